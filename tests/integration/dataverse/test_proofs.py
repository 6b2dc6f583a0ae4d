"""Signing in without a secret, against a real token endpoint: certificates and tokens of other issuers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from azure.identity import CertificateCredential, ManagedIdentityCredential, WorkloadIdentityCredential

from emulator.testing import RunningEmulator, running
from shared.dataverse import ClientAssertion, ClientCertificate, ClientCredentials, ClientSecret, HttpTransport
from shared.dataverse.http.proofs import ClientProof
from shared.dataverse.http.workloads import issuer_of
from shared.errors import AbortRun, RetryLater
from shared.secrets.key_vault import KeyVaultSecrets
from tests.certificates import made
from tests.token_issuer import Issuer, issuing
from tests.unit.secrets.fake_cloud import FakeCloud

ONE = made("one")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def plain() -> Iterator[RunningEmulator]:
    with running() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def secure() -> Iterator[RunningEmulator]:
    with running(tls=True) as emulator:
        yield emulator


@pytest.fixture(params=["plain", "secure"])
def entra(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RunningEmulator:
    """An authority that is asked by our own request, and one that is asked by msal."""
    emulator: RunningEmulator = request.getfixturevalue(request.param)
    if emulator.ca_file:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", emulator.ca_file)
    emulator.credentials()
    return emulator


def signed_in(entra: RunningEmulator, proof: ClientProof, client_id: str | None = None) -> ClientCredentials:
    transport = HttpTransport()
    authority = f"{entra.authority}/{entra.tenant_id}"
    return ClientCredentials(client_id or entra.client_id, proof, transport=transport, authority=authority)


def certificate(text: str, password: str | None = None) -> ClientCertificate:
    return ClientCertificate(lambda: text, password=None if password is None else lambda: password)


@pytest.mark.parametrize("form", ["pem", "pfx", "protected pfx"])
def test_a_certificate_signs_in(entra: RunningEmulator, form: str) -> None:
    """As Key Vault gives it, and as a protected file."""
    entra.credentials(certificates=[ONE.public])
    texts = {"pem": (ONE.pem(), None), "pfx": (ONE.pfx(), None), "protected pfx": (ONE.pfx("opens"), "opens")}
    assert signed_in(entra, certificate(*texts[form])).token(entra.base_url)


@pytest.mark.parametrize(
    ("proof", "client", "code"),
    [
        (lambda: certificate(made("two").pem()), None, "AADSTS700027"),
        (lambda: certificate(ONE.pem()), "00000000-0000-0000-0000-00000000000f", "AADSTS700016"),
        (lambda: ClientSecret(lambda: "a-secret-that-is-wrong"), None, "AADSTS7000215"),
    ],
)
def test_a_refusal_says_what_entra_said(
    entra: RunningEmulator, proof: Callable[[], ClientProof], client: str | None, code: str
) -> None:
    """The message says what to check, and has no part of the proof."""
    entra.credentials(certificates=[ONE.public])
    with pytest.raises(AbortRun, match=code) as caught:
        signed_in(entra, proof(), client).token(entra.base_url)
    assert "client_id and tenant_id" in caught.value.message.replace("client_id, client_secret", "client_id")
    assert "MII" not in caught.value.message
    assert "a-secret-that-is-wrong" not in caught.value.message


def test_a_secret_that_holds_a_certificate_names_the_key_to_write(entra: RunningEmulator) -> None:
    """It was put into the wrong key of the definition."""
    with pytest.raises(AbortRun, match="write auth: client_certificate"):
        signed_in(entra, ClientSecret(ONE.pem)).token(entra.base_url)


def test_a_renewed_certificate_is_read_when_the_old_one_is_refused(entra: RunningEmulator) -> None:
    """From a moment on the application has only the new one; the process continues."""
    two, kept = made("two"), {"secret": ONE.pem()}
    store = {"secret": ONE.pem()}
    entra.credentials(certificates=[ONE.public])
    tokens = signed_in(entra, ClientCertificate(lambda: kept["secret"], lambda: kept.update(store)))
    first = tokens.token(entra.base_url)
    store["secret"] = two.pem()
    entra.credentials(certificates=[two.public])
    tokens.forget()
    assert tokens.token(entra.base_url) != first
    assert kept["secret"] == two.pem()


def test_an_expired_certificate_is_read_again_before_it_is_sent(entra: RunningEmulator) -> None:
    """A vault renews a certificate before its end; what is kept may be older."""
    old, new = made("one", begins=datetime(2025, 1, 1, tzinfo=UTC), days=10), made("two")
    entra.credentials(certificates=[new.public])
    kept = {"secret": old.pem()}
    proof = ClientCertificate(lambda: kept["secret"], lambda: kept.update(secret=new.pem()))
    assert signed_in(entra, proof).token(entra.base_url)
    with pytest.raises(AbortRun, match="expired on 2025-01-11 00:00 UTC"):
        signed_in(entra, ClientCertificate(old.pem)).token(entra.base_url)


def test_a_new_version_in_the_vault_is_used(
    plain: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read by Microsoft's SDK from the secret of the certificate's name, over TLS."""
    cloud = FakeCloud(tmp_path)
    try:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cloud.ca_file))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{cloud.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header-of-this-app")
        seconds = [0.0]
        vault = KeyVaultSecrets(
            cloud.url,
            ManagedIdentityCredential,
            monotonic=lambda: seconds[0],
            client_options={"verify_challenge_resource": False},
        )
        cloud.vault["sync-certificate"] = ONE.pfx()
        plain.credentials(certificates=[ONE.public])
        read = partial(vault.get, "sync-certificate")
        tokens = signed_in(plain, ClientCertificate(read, lambda: void(read(fresh=True))))
        first = tokens.token(plain.base_url)
        two = made("two")
        cloud.vault["sync-certificate"] = two.pem()
        plain.credentials(certificates=[two.public])
        tokens.forget()
        assert tokens.token(plain.base_url) != first
        assert cloud.asked["secret"] == 2
    finally:
        cloud.stop()


def void(_: object) -> None:
    """Drop a value."""


def test_microsofts_own_library_signs_in_too(secure: RunningEmulator, tmp_path: Path, issuer: Issuer) -> None:
    """What the authority accepts is not only what our client sends."""
    (tmp_path / "one.pem").write_text(ONE.pem(), "utf-8")
    (tmp_path / "token").write_text(issuer.token(), "utf-8")
    secure.credentials(certificates=[ONE.public], federated=[issuer.credential()])
    by: dict[str, Any] = {
        "authority": secure.authority,
        "disable_instance_discovery": True,
        "connection_verify": secure.ca_file,
    }
    names = (secure.tenant_id, secure.client_id)
    credentials = (
        CertificateCredential(*names, str(tmp_path / "one.pem"), **by),
        CertificateCredential(*names, str(tmp_path / "one.pem"), send_certificate_chain=True, **by),
        WorkloadIdentityCredential(
            tenant_id=names[0], client_id=names[1], token_file_path=str(tmp_path / "token"), **by
        ),
    )
    for credential in credentials:
        with credential:
            assert credential.get_token(f"{secure.base_url}/.default").token


def test_a_token_file_signs_in_and_is_read_each_time(entra: RunningEmulator, tmp_path: Path, issuer: Issuer) -> None:
    """The platform replaces the file before its token ends."""
    entra.credentials(federated=[issuer.credential()])
    file = tmp_path / "token"
    file.write_text(issuer.token() + "\n", "utf-8")
    tokens = signed_in(entra, ClientAssertion(issued({"AZURE_FEDERATED_TOKEN_FILE": str(file)})))
    assert tokens.token(entra.base_url)
    file.write_text(issuer.token(exp=1), "utf-8")
    tokens.forget()
    with pytest.raises(AbortRun, match="AADSTS700024"):
        tokens.token(entra.base_url)
    file.write_text(issuer.token(), "utf-8")
    assert tokens.token(entra.base_url)


def test_a_job_of_github_signs_in(entra: RunningEmulator, issuer: Issuer) -> None:
    """It asks GitHub for a token of the right audience."""
    entra.credentials(federated=[issuer.credential()])
    tokens = signed_in(entra, ClientAssertion(issued(issuer.github())))
    assert tokens.token(entra.base_url)
    entra.credentials(federated=[issuer.credential(subject="repo:contoso/syncs:pull_request")])
    tokens.forget()
    with pytest.raises(AbortRun, match=r"AADSTS700213.*environment:production") as caught:
        tokens.token(entra.base_url)
    assert "a federated credential of the application has the issuer, subject" in caught.value.message


def issued(environment: dict[str, str]) -> Callable[[str], str]:
    found = issuer_of(environment, HttpTransport())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\xff\xfe", "it is not text"),
        (b"a b", "characters"),
    ],
)
def test_a_token_file_that_holds_no_token_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    """With the variable that leads to it."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(AbortRun, match=said):
        issued({"AZURE_FEDERATED_TOKEN_FILE": str(file)})("api://AzureADTokenExchange")


def test_what_github_refuses_is_said(issuer: Issuer) -> None:
    """A job without the permission has no variables; one with a wrong token is refused; a busy GitHub is asked later."""
    assert issuer_of({"ACTIONS_ID_TOKEN_REQUEST_URL": issuer.url}, HttpTransport()) is None
    wrong = issuer.github() | {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another-request-token"}
    with pytest.raises(AbortRun, match="id-token: write") as caught:
        issued(wrong)("api://AzureADTokenExchange")
    assert "another-request-token" not in caught.value.message
    with pytest.raises(AbortRun, match="https://"):
        issued(wrong | {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://example.com/token"})("api://AzureADTokenExchange")
    issuer.broken = 503
    with pytest.raises(RetryLater):
        issued(issuer.github())("api://AzureADTokenExchange")
    issuer.broken = 200
