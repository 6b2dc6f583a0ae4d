"""Signing in for real: msal over TLS, wrong credentials, expiry, several application users."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from emulator.testing import RunningEmulator, running
from shared.dataverse import (
    Applied,
    Change,
    ChangeAction,
    ClientCredentials,
    ClientSecret,
    Connection,
    Dataverse,
    HttpTransport,
)
from shared.errors import AbortRun
from tests.integration.dataverse.conftest import Connect
from tests.integration.dataverse.tables import read_accounts


@pytest.fixture(scope="module")
def secure() -> Iterator[RunningEmulator]:
    with running(tls=True) as emulator:
        yield emulator


def test_msal_signs_in_over_tls(secure: RunningEmulator, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real library, a real certificate, the authority from the service's own challenge."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure.ca_file))
    client = connect(secure)
    assert client.entity("account").entity_set == "accounts"


def test_msal_refuses_a_wrong_secret(
    secure: RunningEmulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with Entra ID's reason and without the secret."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure.ca_file))
    with pytest.raises(AbortRun, match="signing in as application") as caught:
        connect(secure, secret="hunter2-secret").entity("account")
    assert "hunter2-secret" not in caught.value.message


def test_an_untrusted_certificate_is_refused(
    secure: RunningEmulator, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the CA there is no connection, and no token is asked for."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(AbortRun, match="certificate"):
        connect(secure).entity("account")


def test_a_wrong_secret_ends_the_run(emulator: RunningEmulator, connect: Connect) -> None:
    """On loopback too."""
    with pytest.raises(AbortRun, match="signing in as application"):
        connect(emulator, secret="wrong").entity("account")


def test_a_wrong_service_url_is_an_error(emulator: RunningEmulator) -> None:
    """A path that is no Web API, and a host that is not allowed."""
    transport = HttpTransport()
    tokens = ClientCredentials(emulator.client_id, ClientSecret(lambda: emulator.client_secret), transport=transport)
    for url in (emulator.base_url + "/api/data/v9.2/nonsense/", "https://dataverse.example.org/api/data/v9.2/"):
        client = Dataverse(Connection(service_url=url), tokens=[tokens], transport=transport)
        with pytest.raises(AbortRun):
            client.entity("account")
    transport.close()


def test_several_application_users_share_the_writing(emulator: RunningEmulator, connect: Connect) -> None:
    """Each change has one outcome, for every application user."""
    client = connect(emulator, users=3)
    changes = [
        Change(
            number=n,
            action=ChangeAction.INSERT,
            key=json.dumps({"accountnumber": f"A{n}"}),
            payload=json.dumps({"accountnumber": f"A{n}", "name": f"Company {n}"}),
        )
        for n in range(3000)
    ]
    outcomes = list(client.write(client.entity("account"), changes))
    assert sorted(outcome.number for outcome in outcomes if isinstance(outcome, Applied)) == list(range(3000))
    assert len(read_accounts(client)) == 3000


def test_limits_that_bind_are_obeyed(connect: Connect) -> None:
    """Over a short window: every row is written once, and the client learns to wait before it is refused."""
    with running(in_thread=True, limits="requests=12,time=1000,concurrency=6,window=2", dop=10) as emulator:
        client = connect(emulator)
        account = client.entity("account")
        changes = [
            Change(
                number=n,
                action=ChangeAction.INSERT,
                key=json.dumps({"accountnumber": f"A{n}"}),
                payload=json.dumps({"accountnumber": f"A{n}", "name": f"Company {n}"}),
            )
            for n in range(6000)
        ]
        outcomes = list(client.write(account, changes))
        assert sum(isinstance(outcome, Applied) for outcome in outcomes) == 6000
        stats = emulator.stats()
        assert stats["rows"]["create"] == 6000
        assert stats["throttles"]["total"] == client.usage().throttled
