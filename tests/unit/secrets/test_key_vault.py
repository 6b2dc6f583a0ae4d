"""Secrets from Key Vault, read by Microsoft's own SDK over TLS from a vault on loopback."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
from azure.core.credentials import TokenCredential
from azure.identity import ClientSecretCredential, DefaultAzureCredential, ManagedIdentityCredential

from shared.dataverse import ClientCredentials, ClientSecret
from shared.errors import AbortRun, RetryLater, SyncError, UserError
from shared.http.azure_tokens import WatchedCredential, app_credential
from shared.http.transport import HttpTransport
from shared.secrets.key_vault import CACHE_SECONDS, KeyVaultSecrets
from tests.unit.secrets.fake_cloud import TENANT, Answer, FakeCloud
from tests.unit.secrets.fixtures import server, trusted_cloud

__all__ = ["server", "trusted_cloud"]

# The vault's challenge names https://vault.azure.net, which is no domain above localhost.
ON_LOOPBACK = {"verify_challenge_resource": False}


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def cloud(trusted_cloud: FakeCloud) -> FakeCloud:
    """The cloud as it is before anything happened."""
    server = trusted_cloud
    server.vault = {"client-secret": "s3cr3t"}
    server.client_secret = "old"
    server.forbidden, server.disabled, server.failures, server.identity_failure = set(), set(), [], None
    server.asked.clear()
    server.identities.clear()
    return server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(cloud: FakeCloud, clock: Clock) -> KeyVaultSecrets:
    return opened(cloud, clock=clock)


def opened(
    cloud: FakeCloud,
    *,
    credential: Callable[[], TokenCredential] = ManagedIdentityCredential,
    clock: Callable[[], float] | None = None,
) -> KeyVaultSecrets:
    options = {**ON_LOOPBACK, "retry_backoff_factor": 0.01}
    return KeyVaultSecrets(cloud.url, credential, monotonic=clock or Clock(), client_options=options)


def refusal(store: KeyVaultSecrets, name: str) -> SyncError:
    with pytest.raises(SyncError) as caught:
        store.get(name)
    return caught.value


class TestReading:
    def test_the_managed_identity_reads_a_secret(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """In Azure no credential is configured: the app's identity is asked for a token."""
        assert store.get("client-secret") == "s3cr3t"
        assert (cloud.asked["identity"], cloud.asked["token"]) == (1, 0)

    def test_the_default_credential_takes_the_users_assigned_identity(self, cloud: FakeCloud) -> None:
        """The client id of the user-assigned identity reaches the identity endpoint."""
        store = opened(cloud, credential=lambda: DefaultAzureCredential(managed_identity_client_id="id-of-app"))
        assert store.get("client-secret") == "s3cr3t"
        assert cloud.identities == ["id-of-app"]

    def test_a_service_principal_reads_a_secret(self, cloud: FakeCloud) -> None:
        """A sign-in by client secret works as well, through Entra ID."""
        credential = partial(
            ClientSecretCredential,
            TENANT,
            "client",
            "old",
            authority=cloud.url,
            disable_instance_discovery=True,
        )
        assert opened(cloud, credential=credential).get("client-secret") == "s3cr3t"
        assert cloud.asked["token"] == 1

    def test_a_full_uri_needs_no_vault_url(self, cloud: FakeCloud) -> None:
        """A secret of another vault is named by its URI, with or without a version."""
        store = KeyVaultSecrets("", ManagedIdentityCredential, client_options=ON_LOOPBACK)
        assert store.get(f"{cloud.url}/secrets/client-secret") == "s3cr3t"
        assert store.get(f"{cloud.url}/secrets/client-secret/{'0' * 32}") == "s3cr3t"

    def test_nothing_is_asked_before_the_first_secret(self, cloud: FakeCloud) -> None:
        """Opening the store makes no credential: definitions without Key Vault need no Azure."""

        def blow_up() -> TokenCredential:
            raise AssertionError("asked for a credential")

        KeyVaultSecrets(cloud.url, blow_up)
        assert not cloud.asked


class TestKeeping:
    def test_a_value_is_kept_for_ten_minutes(self, store: KeyVaultSecrets, cloud: FakeCloud, clock: Clock) -> None:
        """Within ten minutes the vault is asked once; afterwards the rotated value is found."""
        store.get("client-secret")
        cloud.vault["client-secret"] = "rotated"
        clock.seconds = CACHE_SECONDS - 1
        assert store.get("client-secret") == "s3cr3t"
        clock.seconds = CACHE_SECONDS
        assert store.get("client-secret") == "rotated"
        assert cloud.asked["secret"] == 2

    def test_fresh_asks_again_at_once(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """A value that was refused is not believed for another ten minutes."""
        store.get("client-secret")
        cloud.vault["client-secret"] = "rotated"
        assert store.get("client-secret", fresh=True) == "rotated"
        assert store.get("client-secret") == "rotated"

    def test_many_threads_ask_once(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """Runs that start side by side share one request."""
        gate = threading.Barrier(8)

        def ask(_: int) -> str:
            gate.wait()
            return store.get("client-secret")

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(ask, range(8))) == {"s3cr3t"}
        assert cloud.asked["secret"] == 1

    def test_a_failure_is_not_kept(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """A secret that was missing is found as soon as it is created."""
        refusal(store, "new-secret")
        cloud.vault["new-secret"] = "here"
        assert store.get("new-secret") == "here"

    def test_a_rotated_secret_needs_no_restart(self, cloud: FakeCloud, store: KeyVaultSecrets) -> None:
        """A token endpoint that answers invalid_client makes the secret be fetched anew, once."""
        cloud.vault["client-secret"] = "old"
        authority = f"{cloud.url}/{TENANT}"
        tokens = ClientCredentials(
            "client",
            ClientSecret(lambda: store.get("client-secret"), lambda: void(store.get("client-secret", fresh=True))),
            transport=HttpTransport(),
            authority=authority,
        )
        first = tokens.token("https://localhost")
        cloud.client_secret = cloud.vault["client-secret"] = "new"
        tokens.forget()
        assert tokens.token("https://localhost") != first
        cloud.client_secret = "newest, and not yet in the vault"
        tokens.forget()
        before = cloud.asked["secret"]
        with pytest.raises(AbortRun):
            tokens.token("https://localhost")
        assert cloud.asked["secret"] == before + 1


def void(_: object) -> None:
    """Drop a value."""


class TestRefusals:
    def test_a_missing_secret_names_vault_and_secret(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """The user learns which reference to correct."""
        error = refusal(store, "nobody")
        assert isinstance(error, UserError)
        assert "'nobody'" in error.message
        assert cloud.url in error.message

    def test_no_permission_names_the_role(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """The operator learns which role to assign."""
        cloud.forbidden.add("client-secret")
        error = refusal(store, "client-secret")
        assert isinstance(error, AbortRun)
        assert "Key Vault Secrets User" in error.message

    def test_a_disabled_secret_has_its_own_error(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """A disabled secret is no matter of permission."""
        cloud.disabled.add("client-secret")
        error = refusal(store, "client-secret")
        assert isinstance(error, UserError)
        assert "disabled" in error.message

    def test_a_vault_in_trouble_is_asked_again_and_then_later(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """After one 503 the request is sent again; a vault that stays unavailable raises RetryLater."""
        busy = Answer(status=503, body={"error": {"code": "ServiceUnavailable", "message": "busy"}})
        cloud.failures = [busy]
        assert store.get("client-secret") == "s3cr3t"
        cloud.failures = [busy] * 10
        error = refusal(store, "other")
        assert isinstance(error, RetryLater)
        assert error.retry_after > 0

    def test_throttling_means_later(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """429 is no refusal."""
        slow = {"error": {"code": "Throttled", "message": "Too many requests"}}
        cloud.failures = [Answer(status=429, body=slow, headers={"Retry-After": "0"})] * 10
        assert isinstance(refusal(store, "client-secret"), RetryLater)

    def test_a_vault_that_does_not_answer_is_a_retry_later(self, cloud: FakeCloud) -> None:
        """A closed port is a vault that is unavailable."""
        options = {**ON_LOOPBACK, "retry_total": 0}
        store = KeyVaultSecrets("https://localhost:9", ManagedIdentityCredential, client_options=options)
        assert isinstance(refusal(store, "client-secret"), RetryLater)

    def test_an_error_without_an_identity_names_the_ways_to_sign_in(
        self, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A person who is not signed in gets both ways to sign in."""
        monkeypatch.setenv("IDENTITY_HEADER", "wrong")
        error = refusal(opened(cloud), "client-secret")
        assert isinstance(error, AbortRun)
        assert "az login" in error.message

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_an_identity_without_a_token_now_means_later(self, cloud: FakeCloud, status: int) -> None:
        """The status is in the message, and no advice to sign in; the next request at once means the same."""
        cloud.identity_failure = Answer(status=status, body={"statusCode": status, "message": "busy"})
        watched = WatchedCredential(partial(DefaultAzureCredential, retry_total=0))
        store = opened(cloud, credential=lambda: watched)
        for _ in range(2):
            error = refusal(store, "client-secret")
            assert isinstance(error, RetryLater)
            assert f"answered {status}" in error.message
            assert "az login" not in error.message

    def test_an_identity_that_is_refused_is_told_with_the_status(self, cloud: FakeCloud) -> None:
        """A chain of credentials says why below its first line."""
        cloud.identity_failure = Answer(status=400, body={"statusCode": 400, "message": "No identity found"})
        error = refusal(opened(cloud, credential=lambda: app_credential(None)), "client-secret")
        assert isinstance(error, AbortRun)
        assert "answered 400" in error.message
        assert "az login" in error.message

    def test_a_name_without_a_vault_names_the_setting(self) -> None:
        """KEY_VAULT_URL is what is missing."""
        error = refusal(KeyVaultSecrets("", ManagedIdentityCredential), "client-secret")
        assert isinstance(error, UserError)
        assert "KEY_VAULT_URL" in error.message

    @pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 128, "http://vault/secrets/x", "https://vault/keys/x"])
    def test_what_is_no_reference_is_refused(self, name: str) -> None:
        """Text that is neither name nor URI is refused before anybody is asked."""
        error = refusal(KeyVaultSecrets("https://localhost:9", ManagedIdentityCredential), name)
        assert isinstance(error, UserError)

    def test_no_message_holds_a_secret(self, store: KeyVaultSecrets, cloud: FakeCloud) -> None:
        """Whatever error follows after a value is known, no message has the value."""
        store.get("client-secret")
        cloud.forbidden.add("client-secret")
        with pytest.raises(AbortRun) as caught:
            store.get("client-secret", fresh=True)
        assert "s3cr3t" not in repr(caught.value) + repr(vars(store))


@pytest.mark.parametrize(
    "body",
    [[], [1], 5, None, "text", {}, {"value": None}, {"value": [1]}, {"value": {}}, {"id": 5, "value": "x"},
     {"value": "x", "attributes": [1]}, {"value": "x", "attributes": {"exp": "soon"}, "id": "http://[::1"}],
)  # fmt: skip
def test_an_answer_of_another_shape_is_an_error_of_its_own(
    store: KeyVaultSecrets, cloud: FakeCloud, body: object
) -> None:
    """Whatever the SDK makes of it; some of these it takes for texts."""
    cloud.failures = [Answer(status=200, body=body)]
    with suppress(SyncError):
        assert isinstance(store.get("client-secret"), str)
