"""Settings become stores, secrets and clients."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.app.wiring import Wiring
from shared.dataverse import RetryPolicy
from shared.definitions import EnvironmentSecret, load_definition
from shared.definitions.reference.example import EXAMPLE
from shared.errors import UserError
from shared.settings import Settings
from tests.api_server import Reply, serving


def wiring(**environment: str) -> Wiring:
    """The wiring of an app without settings, in this environment."""
    return Wiring(Settings.load({}), lambda: environment)


def test_the_state_store_is_the_file_that_the_settings_name(tmp_path: Path) -> None:
    """What one app writes another one reads."""
    settings = Settings.load({"STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}"})
    first, second = (Wiring(settings, dict).open_state() for _ in range(2))
    assert first.acquire_lease("sync/a", holder="me", seconds=60)
    assert second.acquire_lease("sync/a", holder="you", seconds=60) is None
    first.close()
    second.close()


def test_a_secret_is_read_from_the_environment_as_it_is_now() -> None:
    """A variable that is set after the start counts once the secret is asked for anew."""
    environment = {"SECRET": "old"}
    made = Wiring(Settings.load({}), lambda: environment)
    reference = EnvironmentSecret(env="SECRET")
    assert made.secret(reference) == "old"
    environment["SECRET"] = "new"
    assert made.secret(reference, fresh=True) == "new"


def test_a_secret_that_is_not_set_is_named() -> None:
    """The message has the variable's name."""
    with pytest.raises(UserError, match="MISSING"):
        wiring().secret(EnvironmentSecret(env="MISSING"))


def test_a_request_never_waits_longer_than_the_retries_of_the_run() -> None:
    """The client has the definition's address, and the shorter of both times."""
    address = "https://org.crm4.dynamics.com/api/data/v9.2/"
    definition = load_definition(EXAMPLE)
    sign_in = {"client_id": "app", "client_secret": EnvironmentSecret(env="SECRET")}
    destination = definition.destination.model_copy(update={"service_url": address, **sign_in})
    plain = definition.model_copy(update={"destination": destination})
    client = wiring().connected(plain, {}, retry_policy=RetryPolicy(seconds=3.0))
    assert client.service.connection.timeout == 3.0
    assert client.service.connection.service_url == address
    client.close()


@pytest.mark.parametrize(
    ("values", "endpoint", "said"),
    [
        ({}, "", "no storage account is set: set AzureWebJobsStorage__accountName"),
        ({"AzureWebJobsStorage": "AccountName"}, "", "not a connection string"),
    ],
)
def test_a_storage_account_that_is_not_set_is_an_error(values: dict[str, str], endpoint: str, said: str) -> None:
    """The message names the setting."""
    with pytest.raises(UserError, match=said):
        Wiring(Settings.load(values), dict).open_blobs(endpoint)


@pytest.mark.parametrize(("named", "asked"), [(None, "the-app"), ("another", "another")])
def test_a_managed_identity_without_a_name_is_that_of_the_app(
    monkeypatch: pytest.MonkeyPatch, named: str | None, asked: str
) -> None:
    """An app in Azure has a user-assigned identity, which the endpoint of App Service gives only by its id."""
    made = Wiring(Settings.load({"AZURE_CLIENT_ID": "the-app"}), dict, open_dataverse=lambda **parts: parts)  # type: ignore[arg-type]  # the parts are looked at
    document = load_definition(EXAMPLE)
    own = {"service_url": "https://org.crm4.dynamics.com/", "auth": "managed_identity", "client_id": named}
    definition = document.model_copy(update={"destination": document.destination.model_copy(update=own)})
    granted = Reply(body={"access_token": "a-token", "expires_on": "4102444800", "token_type": "Bearer"})
    with serving(lambda _: granted) as endpoint:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "header")
        (tokens,) = made.connected(definition, {})["tokens"]  # type: ignore[index]  # the same
        assert tokens.token("https://org.crm4.dynamics.com") == "a-token"
    assert endpoint.received[0].query["client_id"] == asked
