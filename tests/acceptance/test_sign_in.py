"""Every way to sign in, as a definition names it: a run signs in, the second plans nothing, and no output has a secret."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import AbortRun, RetryLater
from tests.acceptance.world import World, accounts, world
from tests.certificates import made
from tests.token_issuer import Issuer, issuing

ROWS = [{"number": str(number), "name": f"Name {number}", "city": "Ulm", "revenue": "1"} for number in range(1, 4)]
ONE = made("one")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as one:
        yield one


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("sign-in")) as here:
        yield here


@pytest.fixture
def here(shared_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    shared_world.emulator.reset()
    shared_world.emulator.credentials()
    for name in ("CERTIFICATE", "PASSWORD", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        shared_world.environment.pop(name, None)
        monkeypatch.delenv(name, raising=False)
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        shared_world.environment.pop(name, None)
    shared_world.csv(ROWS)
    return shared_world


def signing(here: World, **keys: Any) -> str:
    """The definition of accounts with other keys to sign in."""
    definition = accounts()
    del definition["destination"]["client_secret"]
    definition["destination"] |= keys
    return here.define(definition)


def twice(here: World, name: str) -> None:
    """A run writes, the second plans nothing."""
    assert here.app.validate() == []
    assert here.run(name).created.done == 3
    assert here.plan(name).plan.counts.changes == 0


def test_a_certificate_is_used_and_renewed_while_the_app_continues(
    here: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Its secret is read anew once Entra ID refuses the old one; neither key nor password is in a log."""
    caplog.set_level(logging.DEBUG)
    two = made("two")
    here.environment |= {"CERTIFICATE": ONE.pfx("opens-the-file"), "PASSWORD": "opens-the-file"}
    here.emulator.credentials(certificates=[ONE.public])
    name = signing(
        here,
        auth="client_certificate",
        client_certificate={"env": "CERTIFICATE"},
        certificate_password={"env": "PASSWORD"},
    )
    twice(here, name)
    here.environment["CERTIFICATE"] = two.pem()
    here.emulator.credentials(certificates=[two.public])
    assert here.plan(name).plan.counts.changes == 0
    here.environment["CERTIFICATE"] = ONE.pem()
    with pytest.raises(AbortRun, match="AADSTS700027"):
        here.plan(name)
    assert "opens-the-file" not in caplog.text
    assert "client_assertion=" not in caplog.text
    assert not [line for line in two.private().splitlines() if len(line) > 20 and line in caplog.text]


def test_validate_says_what_is_wrong_with_a_certificate(here: World) -> None:
    """At the sync, before a run meets it; without metadata it cannot know."""
    here.environment["CERTIFICATE"] = ONE.private() + made("two").public
    name = signing(here, auth="client_certificate", client_certificate={"env": "CERTIFICATE"})
    (problem,) = here.app.validate([name])
    assert "a private key that does not belong to its certificate" in problem.message
    assert problem.line > 0
    assert here.app.validate([name], offline=True) == []


def test_a_workload_signs_in_with_the_token_of_its_platform(here: World, issuer: Issuer, tmp_path: Path) -> None:
    """A file of Kubernetes, GitHub Actions, or the app's managed identity: the first that there is."""
    here.emulator.credentials(federated=[issuer.credential()])
    name = signing(here, auth="federated")
    file = tmp_path / "token"
    file.write_text(issuer.token(), "utf-8")
    here.environment |= {"AZURE_FEDERATED_TOKEN_FILE": str(file)}
    twice(here, name)
    here.environment |= {"AZURE_FEDERATED_TOKEN_FILE": "", **issuer.github()}
    assert here.plan(name).plan.counts.changes == 0


@pytest.fixture
def with_identity(here: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sync whose app has a managed identity."""
    here.emulator.credentials(federated=[issuer.credential()])
    for variable, value in issuer.identity().items():
        monkeypatch.setenv(variable, value)
        here.environment[variable] = value
    return signing(here, auth="federated")


def test_a_managed_identity_stands_for_an_application(here: World, issuer: Issuer, with_identity: str) -> None:
    """Its token is exchanged for one of the application, which may be of another tenant."""
    twice(here, with_identity)
    assert "api://AzureADTokenExchange" in {each.query.get("resource") for each in issuer.server.received}


def test_a_managed_identity_without_a_token_now_is_an_outage(
    here: World, issuer: Issuer, with_identity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is tried again; the message has the status."""
    monkeypatch.setattr(issuer, "broken", 503)
    monkeypatch.setattr("shared.clock.time.sleep", lambda _: None)
    with pytest.raises(RetryLater, match=r"the managed identity has no token now: .* answered 503"):
        here.plan(with_identity)


def test_on_the_machine_of_a_developer_the_cli_is_asked(
    here: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`az` is a program that prints a token; a person who is not signed in gets instructions."""
    token = json.dumps({"accessToken": here.emulator.token(), "expires_on": 4_102_444_800})
    program = tmp_path / "az"
    program.write_text(f"#!{sys.executable}\nprint({token!r})\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    name = signing(here, auth="federated")
    twice(here, name)
    program.unlink()
    here.reopen()
    with pytest.raises(AbortRun, match="az login"):
        here.plan(name)
