"""Which environment is asked by a command that names no sync."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.app.environments import ChosenEnvironment, chosen_environment
from shared.definitions import Repository
from shared.errors import UserError

URL = "https://org.crm.dynamics.com/api/data/v9.2/"
VARIABLES = {"DYNAMICS_URL": URL}
FIXED = {"service_url": URL}
PARAMETERS = [
    {"service_url": "@service_url"},
    {"service_url": URL, "tenant_id": "@tenant"},
    {"service_url": URL, "client_id": "@application"},
    {"service_url": URL, "options": "{run_as: '@user'}"},
]


class Folder:
    """A folder with connections.

    Args:
        path: An empty folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, name: str, keys: dict[str, str]) -> None:
        """Write a connection to Dataverse: these keys, and a sign-in."""
        own = {"kind": "connection", "name": name, "type": "dynamics", "client_id": "{env: ID}"}
        keys = {**own, "client_secret": "{env: SECRET}", **keys}
        lines = [f'{key}: "{value}"\n' if value[0] == "@" else f"{key}: {value}\n" for key, value in keys.items()]
        (self._path / f"{name}.yaml").write_text("".join(lines), "utf-8")

    def chosen(self, variables: dict[str, str], connection: str | None = None) -> ChosenEnvironment:
        """The environment that a command asks."""
        files = Repository(str(self._path), clock=time.monotonic).connections().files
        assert all(file.connection for file in files)
        return chosen_environment(files, variables, connection)

    def refused(self, variables: dict[str, str], connection: str | None = None) -> str:
        """The message of a command that has no environment."""
        with pytest.raises(UserError) as error:
            self.chosen(variables, connection)
        return error.value.message


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("keys", PARAMETERS)
def test_the_variables_are_used_beside_connections_that_need_a_parameter(folder: Folder, keys: dict[str, str]) -> None:
    """Wherever the parameter stands, and for several connections as for one."""
    for name in ("crm", "other"):
        folder.write(name, keys)
        chosen = folder.chosen(VARIABLES)
        assert (chosen.environment.service_url, chosen.destination["service_url"]) == (URL, "@service_url")
        assert chosen.parameters == {"service_url": {"formula": "ENV('DYNAMICS_URL')"}}


@pytest.mark.parametrize("keys", PARAMETERS)
@pytest.mark.parametrize(("variables", "connection"), [({}, None), ({}, "crm"), (VARIABLES, "crm")])
def test_a_connection_that_needs_a_parameter_is_refused_with_both_ways(
    folder: Folder, keys: dict[str, str], variables: dict[str, str], connection: str | None
) -> None:
    """Where no variable is set, and where the connection is named."""
    folder.write("crm", keys)
    said = folder.refused(variables, connection)
    assert said.startswith("the connection crm needs the parameter ")
    assert "set DYNAMICS_URL, DYNAMICS_CLIENT_ID and DYNAMICS_CLIENT_SECRET (also in local.settings.json)" in said
    assert "or name a connection without parameters with --connection" in said


@pytest.mark.parametrize("others", [(), ("crm",), ("crm", "other")])
def test_the_only_connection_without_parameters_comes_before_the_variables(
    folder: Folder, others: Sequence[str]
) -> None:
    """Alone, and beside connections that need a parameter."""
    folder.write("dev", FIXED)
    for name in others:
        folder.write(name, {"service_url": "@service_url"})
    for variables in ({}, VARIABLES):
        assert folder.chosen(variables).destination == {"connection": "dev"}


def test_several_connections_without_parameters_have_to_be_named(folder: Folder) -> None:
    """The message lists only those that can be used."""
    for name, keys in {"crm": {"service_url": "@service_url"}, "dev": FIXED, "test": FIXED}.items():
        folder.write(name, keys)
    assert folder.refused(VARIABLES).endswith("name one with --connection (dev, test)")
    assert folder.chosen(VARIABLES, "test").destination == {"connection": "test"}


def test_without_a_connection_and_without_variables_nothing_is_known(folder: Folder) -> None:
    """The message names both ways."""
    said = folder.refused({})
    assert "no environment is known: set DYNAMICS_URL" in said
    assert "write a connection of type dynamics" in said
