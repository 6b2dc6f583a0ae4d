"""Which environment a command works on that names no sync: a connection of the folder, or the usual variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.definitions.loading.loaded import LoadedConnection
from shared.definitions.models import ConnectionModel, DynamicsConnection, DynamicsEnvironment, EnvironmentSecret
from shared.definitions.models.names import names_in
from shared.errors import DefinitionError, UserError
from shared.suggestions import did_you_mean

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "SERVICE_URL", "ChosenEnvironment", "chosen_environment"]

SERVICE_URL: Final = "DYNAMICS_URL"
CLIENT_ID: Final = "DYNAMICS_CLIENT_ID"
CLIENT_SECRET: Final = "DYNAMICS_CLIENT_SECRET"  # noqa: S105 - the name of a variable


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
    """The connection that is named, else the only one of type `dynamics`, else what the variables say.

    Args:
        files: The connections of the folder.
        variables: The environment variables; `DYNAMICS_URL` is the address, and the two others sign in.
        connection: Name of a connection.

    Raises:
        DefinitionError: The connection has problems.
        UserError: There is no such connection, there are several, or nothing names an environment.
    """
    if connection is not None:
        return _of_connection(_named(files, connection))
    ours = [file for file in files if isinstance(file.connection, DynamicsConnection)]
    if len(ours) == 1:
        return _of_connection(ours[0])
    if len(ours) > 1:
        names = ", ".join(sorted(file.name for file in ours))
        raise UserError(f"there are several connections to Dataverse: name one with --connection ({names})")
    if not variables.get(SERVICE_URL):
        raise UserError(
            f"no environment is known: set {SERVICE_URL}, {CLIENT_ID} and {CLIENT_SECRET} (also in "
            f"local.settings.json), or write a connection of type dynamics and name it with --connection"
        )
    return _of_variables(variables)


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
    texts = [text for text in (connection.service_url, connection.tenant_id) if text]
    if named := sorted({name for text in texts for name in names_in(text)}):
        raise UserError(
            f"the connection {file.name} needs the parameter {named[0]} of a definition: name a connection without "
            f"parameters with --connection"
        )
    keys = type(connection).model_fields.keys() - ConnectionModel.model_fields.keys() - {"options"}
    own = {key: getattr(connection, key) for key in keys & connection.model_fields_set}
    environment = DynamicsEnvironment.model_construct(**{**own, "type": "dynamics"})
    return ChosenEnvironment(environment=environment, destination={"connection": file.name})


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
