"""The connections of a folder, and definitions with the keys of the connections that they name.

This is the one place that joins the two: what comes after it sees a definition that has all its keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.definitions.loading.loaded import LoadedConnection
from shared.definitions.loading.located import typed_values
from shared.definitions.loading.parameter_rules import Parameters, read_parameters
from shared.definitions.loading.rules.environment import environment_problems
from shared.definitions.loading.yaml_loader import shown_path
from shared.definitions.models import (
    ConnectionModel,
    DynamicsConnection,
    DynamicsEnvironment,
    ParameterValue,
    SyncDefinition,
)
from shared.definitions.models.base import Model
from shared.definitions.models.names import names_in
from shared.definitions.parameters import in_text
from shared.errors import DefinitionError, Problem, UserError
from shared.suggestions import did_you_mean

__all__ = ["Connections", "JoinedDefinition", "connection_problems", "default_problems", "join"]

_SIGN_IN: Final = frozenset({"client_id", "client_secret", "client_certificate", "certificate_password"})


@dataclass(frozen=True, slots=True)
class Connections:
    """The files of connections.

    Attributes:
        files: In the order of their names.
        location: The folder, for messages.
    """

    files: tuple[LoadedConnection, ...] = ()
    location: str = ""

    def find(self, name: str) -> LoadedConnection:
        """The file of a connection.

        Raises:
            UserError: There is none of this name.
        """
        for file in self.files:
            if file.name == name:
                return file
        names = sorted(file.name for file in self.files)
        others = f"there are: {', '.join(names)}" if names else f"there are none in {self.location}"
        raise UserError(f"there is no connection {name}; {did_you_mean(name, names) or others}")

    def named(self, name: str) -> ConnectionModel:
        """One connection.

        Raises:
            DefinitionError: It has problems.
            UserError: There is none of this name.
        """
        file = self.find(name)
        if file.connection is None:
            raise DefinitionError(file.problems)
        return file.connection


@dataclass(frozen=True, slots=True)
class JoinedDefinition:
    """A definition with the keys of its connections.

    Attributes:
        origin: The definition as it is written.
        used: The connections, in the order of the places.
        definition: The definition with all keys.
    """

    origin: SyncDefinition
    used: tuple[LoadedConnection, ...]
    definition: SyncDefinition

    def made_of(self, origin: SyncDefinition, used: Sequence[LoadedConnection]) -> bool:
        """Whether it was made of the same files."""
        same = len(used) == len(self.used) and all(one is other for one, other in zip(used, self.used, strict=True))
        return origin is self.origin and same


@dataclass(frozen=True, slots=True)
class _Use:
    """A connection that a definition names.

    Attributes:
        place: The path of what names it: `destination`, `source`, or a part of a step such as `post_sync[0].sql`.
        part: The value at that path.
        wanted: The type of connection that is needed there.
        file: The connection's file.
    """

    place: str
    part: Model
    wanted: str
    file: LoadedConnection


def connection_problems(
    definition: SyncDefinition, connections: Connections, values: Mapping[str, ParameterValue] | None = None
) -> list[Problem]:
    """What is wrong with the connections that a definition names, each with its path.

    Args:
        definition: A loaded definition.
        connections: Those that there are.
        values: Values of parameters, as far as they are known; a name that needs others is left alone.
    """
    uses, problems = _uses(definition, values or {}, connections)
    return problems or [problem for use in uses for problem in _problems(definition, use)]


def default_problems(definition: SyncDefinition, connections: Connections) -> list[Problem]:
    """The same, with the defaults of the parameters."""
    parameters = definition.parameters.items()
    defaults = {name: each.default for name, each in parameters if "default" in each.model_fields_set}
    return connection_problems(definition, connections, defaults)


def join(
    definition: SyncDefinition,
    values: Mapping[str, ParameterValue],
    connections: Connections,
    known: JoinedDefinition | None = None,
) -> JoinedDefinition:
    """Give a definition the keys of the connections that it names; keys that it has itself stay.

    Args:
        definition: A loaded definition.
        values: Values of its parameters.
        connections: Those that there are.
        known: The result of an earlier call, returned if it was made of the same files.

    Raises:
        DefinitionError: A connection is missing, has problems, or does not fit; each problem has its path.
    """
    uses, problems = _uses(definition, values, connections)
    used = tuple(use.file for use in uses)
    if known is not None and not problems and known.made_of(definition, used):
        return known
    problems = problems or [problem for use in uses for problem in _problems(definition, use)]
    if problems:
        raise DefinitionError(problems)
    parts = {use.place: use.part.model_copy(update=_taken(use)) for use in uses if _is_environment(use)}
    return JoinedDefinition(definition, used, definition.model_copy(update=parts) if parts else definition)


def _uses(
    definition: SyncDefinition, values: Mapping[str, ParameterValue], connections: Connections
) -> tuple[list[_Use], list[Problem]]:
    """The connections that a definition names, and a problem for each name that there is not."""
    uses: list[_Use] = []
    problems: list[Problem] = []
    for place, part, wanted in _places(definition):
        text = getattr(part, "connection", None)
        if not isinstance(text, str) or not values.keys() >= {*names_in(text, defined=definition.parameters)}:
            continue
        try:
            uses.append(_Use(place, part, wanted, connections.find(in_text(text, values))))
        except UserError as error:
            problems.append(Problem(message=error.message, path=f"{place}.connection"))
    return uses, problems


def _places(definition: SyncDefinition) -> Iterator[tuple[str, Model, str]]:
    """Each part that may name a connection: its path, its value, and the type of connection that it needs."""
    yield "destination", definition.destination, definition.destination.type
    yield "source", definition.source, definition.source.type
    for number, step in enumerate(definition.post_sync):
        for key, wanted in (("sql", "sql"), ("http", "rest")):
            if (part := getattr(step, key)) is not None:
                yield f"post_sync[{number}].{key}", part, wanted


def _problems(definition: SyncDefinition, use: _Use) -> Iterator[Problem]:
    """What is wrong with a connection in the place that names it."""
    connection, path = use.file.connection, f"{use.place}.connection"
    if connection is None:
        message = f"the connection {use.file.name} cannot be used: {use.file.problems[0]}"
        yield Problem(message=message, path=path)
    elif connection.type != use.wanted:
        needed = f"one of type {use.wanted} is needed here"
        message = f"the connection {connection.name} is of type {connection.type}; {needed}"
        yield Problem(message=message, path=path)
    else:
        yield from _unknown_parameters(definition, connection, use)
        if isinstance(use.part, DynamicsEnvironment):
            for key, message in environment_problems({**dict(use.part), **_taken(use)}):
                said = f"{key} does not fit the keys of the connection {connection.name}: {message}"
                yield Problem(message=said, path=f"{use.place}.{key}" if _own(use.part, key) else path)


def _unknown_parameters(definition: SyncDefinition, connection: ConnectionModel, use: _Use) -> Iterator[Problem]:
    """The texts of a connection have the parameters of the definition that uses it."""
    found = [*typed_values(type(connection), connection.model_dump(mode="json", exclude_unset=True))]
    for problem in _parameters(definition).misused(found):
        place = use.file.placed([Problem(message="", path=shown_path(problem.path))])[0]
        said = f"{place.file}:{place.line}:{place.column}: {place.path}: {problem.message}"
        message = f"the connection {connection.name} needs a parameter of this definition: {said}"
        yield Problem(message=message, path=f"{use.place}.connection")


def _parameters(definition: SyncDefinition) -> Parameters:
    raw = {name: each.model_dump(exclude_unset=True) for name, each in definition.parameters.items()}
    return read_parameters({"parameters": raw})


def _is_environment(use: _Use) -> bool:
    return isinstance(use.part, DynamicsEnvironment) and isinstance(use.file.connection, DynamicsConnection)


def _taken(use: _Use) -> dict[str, Any]:
    """The keys that a part of a definition takes from its connection; they are those of one environment.

    A part that says how to sign in (`auth`) signs in with its own keys only.
    """
    part, connection = use.part, use.file.connection
    own = {name for name in part.model_fields_set if _own(part, name)}
    own |= _SIGN_IN if "auth" in own else set()
    shared = (connection.model_fields_set if connection else set()) & type(part).model_fields.keys()
    names = shared - own - ConnectionModel.model_fields.keys()
    return {"connection": None} | {name: getattr(connection, name) for name in names}


def _own(part: Model, key: str) -> bool:
    """Whether a part of a definition has a value for a key."""
    return key in part.model_fields_set and getattr(part, key) is not None
