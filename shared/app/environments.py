"""Which environment a command works on that names no sync: a connection of the folder, or the usual variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.definitions import names_used
from shared.definitions.loading.loaded import LoadedConnection
from shared.definitions.models import ConnectionModel, DynamicsConnection, DynamicsEnvironment, EnvironmentSecret
from shared.errors import DefinitionError, UserError
from shared.suggestions import did_you_mean

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "SERVICE_URL", "ChosenEnvironment", "chosen_environment"]

SERVICE_URL: Final = "DYNAMICS_URL"
CLIENT_ID: Final = "DYNAMICS_CLIENT_ID"
CLIENT_SECRET: Final = "DYNAMICS_CLIENT_SECRET"  # noqa: S105 - the name of a variable
_SET: Final = f"set {SERVICE_URL}, {CLIENT_ID} and {CLIENT_SECRET} (also in local.settings.json)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenEnvironment:
    """An environment.

    Attributes:
        environment: Its keys.
        destination: The keys of a destination that uses it.
        parameters: The parameters that those keys need.
    """

    environment: DynamicsEnvironment
    destination: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def chosen_environment(
    files: Sequence[LoadedConnection], variables: Mapping[str, str], connection: str | None = None
) -> ChosenEnvironment:
    """The connection that is named, else the only usable one of type `dynamics`, else what the variables say.

    A connection that needs a parameter is not usable: no definition gives it a value here.

    Args:
        files: The connections of the folder.
        variables: The environment variables; `DYNAMICS_URL` is the address, and the two others sign in.
        connection: Name of a connection.

    Raises:
        DefinitionError: The connection has problems.
        UserError: There is no such connection, it needs a parameter, there are several, or nothing names an
            environment.
    """
    if connection is not None:
        return _of_connection(_named(files, connection))
    ours = [file for file in files if isinstance(file.connection, DynamicsConnection)]
    usable = [file for file in ours if not _parameters_of(file)]
    if len(usable) > 1:
        names = ", ".join(sorted(file.name for file in usable))
        raise UserError(f"there are several connections to Dataverse: name one with --connection ({names})")
    if usable:
        return _of_connection(usable[0])
    if variables.get(SERVICE_URL):
        return _of_variables(variables)
    if ours:
        raise _needs_parameter(ours[0])
    raise UserError(
        f"no environment is known: {_SET}, or write a connection of type dynamics and name it with --connection"
    )


def _named(files: Sequence[LoadedConnection], name: str) -> LoadedConnection:
    for file in files:
        if file.name == name:
            return file
    names = sorted(file.name for file in files)
    hint = did_you_mean(name, names) or f"there are: {', '.join(names) or 'none'}"
    raise UserError(f"there is no connection {name}; {hint}")


def _of_connection(file: LoadedConnection) -> ChosenEnvironment:
    connection = file.connection
    if connection is None:
        raise DefinitionError(file.problems)
    if not isinstance(connection, DynamicsConnection):
        raise UserError(f"the connection {file.name} is of type {connection.type}; one of type dynamics is needed")
    if _parameters_of(file):
        raise _needs_parameter(file)
    keys = type(connection).model_fields.keys() - ConnectionModel.model_fields.keys() - {"options"}
    own = {key: getattr(connection, key) for key in keys & connection.model_fields_set}
    environment = DynamicsEnvironment.model_construct(**{**own, "type": "dynamics"})
    return ChosenEnvironment(environment=environment, destination={"connection": file.name})


def _parameters_of(file: LoadedConnection) -> list[str]:
    """The parameters that a connection needs, in the order of their names."""
    return sorted(names_used(file.connection)) if file.connection is not None else []


def _needs_parameter(file: LoadedConnection) -> UserError:
    return UserError(
        f"the connection {file.name} needs the parameter {_parameters_of(file)[0]}, which only a definition gives: "
        f"{_SET} and leave --connection out, or name a connection without parameters with --connection"
    )


def _of_variables(variables: Mapping[str, str]) -> ChosenEnvironment:
    environment = DynamicsEnvironment(
        type="dynamics",
        service_url=variables[SERVICE_URL],
        client_id=EnvironmentSecret(env=CLIENT_ID),
        client_secret=EnvironmentSecret(env=CLIENT_SECRET),
    )
    return ChosenEnvironment(
        environment=environment,
        destination={
            "service_url": "@service_url",
            "client_id": {"env": CLIENT_ID},
            "client_secret": {"env": CLIENT_SECRET},
        },
        parameters={"service_url": {"formula": f"ENV('{SERVICE_URL}')"}},
    )
