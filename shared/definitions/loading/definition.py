"""From a YAML text to a `SyncDefinition` or a connection, or to every problem in it with its position."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from shared.definitions.loading.large_texts import keeps_large_texts
from shared.definitions.loading.located import PathProblem, pydantic_problems, typed_values, unknown_keys
from shared.definitions.loading.parameter_rules import read_parameters
from shared.definitions.loading.rules.between_keys import between_keys
from shared.definitions.loading.rules.environment import connection_problems
from shared.definitions.loading.rules.odata import filter_problems
from shared.definitions.loading.yaml_loader import (
    Document,
    TextPosition,
    YamlProblem,
    both_lines,
    read_yaml,
    shown_path,
)
from shared.definitions.models import Connection, ConnectionModel, SyncDefinition
from shared.definitions.models.base import LONGEST_NAME, SYNC_NAME
from shared.errors import DefinitionError, Problem

__all__ = ["ReadText", "load_definition", "read_definition"]

_SYNC_NAME: Final = re.compile(rf"(?=.{{1,{LONGEST_NAME}}}$){SYNC_NAME}")
_ONLY_SYNCS: Final = frozenset({"source", "destination", "sync_behaviour"})
_KIND_LINE: Final = re.compile(r"^kind:", re.MULTILINE)
_NAME_LINE: Final = re.compile(rf"^name:[ \t]+[\"']?([a-z0-9-]{{1,{LONGEST_NAME}}})[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)


def load_definition(text: str, *, file: str = "") -> SyncDefinition:
    """Parse one definition.

    Args:
        text: YAML.
        file: What problems call the text: a path or URL.

    Raises:
        DefinitionError: With every problem, in the order of the text.
    """
    reading = read_definition(text, file=file)
    if reading.of_connection and not reading.problems:
        raise DefinitionError([Problem(message="this is a connection and not a sync", file=file, path="kind")])
    if reading.definition is None:
        raise DefinitionError(reading.problems)
    return reading.definition


_NO_SETS: Final = PathProblem(
    path=("kind",),
    message="sets of syncs come later: this version reads syncs (without kind) and connections (kind: connection)",
    at_value=True,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadText:
    """The result of reading a text.

    Attributes:
        definition: None when there are problems, or where the text is a connection.
        connection: None when there are problems, or where the text is a sync.
        of_connection: Whether the text is a connection, also where it has problems.
        name: The name that the text gives, also where it has problems; empty where it gives none.
        problems: In the order of the text.
        positions: Path as problems show it, such as ``destination.mappings[3].target`` -> the position of that key.
    """

    definition: SyncDefinition | None
    connection: ConnectionModel | None
    of_connection: bool
    name: str
    problems: tuple[Problem, ...]
    positions: Mapping[str, TextPosition]


@keeps_large_texts
def read_definition(text: str, *, file: str = "") -> ReadText:
    """Parse one definition or connection, or list its problems; the results for large texts are kept."""
    document = read_yaml(text)
    problems = {_yaml_problem(each, file): None for each in document.problems}
    of_connection = _of_connection(document.value, text)
    content: SyncDefinition | ConnectionModel | None = None
    if isinstance(document.value, dict) and document.value.get("kind") == "set":
        of_connection = False
        problems = {_problem(_NO_SETS, document, file): None}
    elif isinstance(document.value, dict):
        content, errors = (_connection if of_connection else _definition)(document.value)
        problems |= {_problem(each, document, file): None for each in errors}
    elif not problems:
        message = "a definition is a mapping of keys such as name, source and destination"
        problems = {Problem(message=message, file=file, line=1, column=1): None}
    ordered = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    positions = {shown_path(path): position for path, position in document.keys.items()}
    return ReadText(
        definition=content if isinstance(content, SyncDefinition) and not ordered else None,
        connection=content if isinstance(content, ConnectionModel) and not ordered else None,
        of_connection=of_connection,
        name=_name(document.value, text),
        problems=ordered,
        positions=positions,
    )


def _of_connection(value: object, text: str) -> bool:
    """Whether a text is a connection: it has a kind, and no key that only a sync has."""
    if isinstance(value, dict):
        return "kind" in value and _ONLY_SYNCS.isdisjoint(value)
    return value is None and _KIND_LINE.search(text) is not None


def _name(value: object, text: str) -> str:
    """The name in a text; if the text is not YAML, the value in its line of the name."""
    if isinstance(value, dict):
        name = value.get("name")
        return name if isinstance(name, str) and _SYNC_NAME.fullmatch(name) else ""
    found = _NAME_LINE.search(text)
    return found[1] if found else ""


def _definition(value: dict[str, Any]) -> tuple[SyncDefinition | None, list[PathProblem]]:
    parameters = read_parameters(value)
    found = [*typed_values(SyncDefinition, value)]
    problems = [*unknown_keys(found), *between_keys(value), *parameters.problems, *parameters.misused(found)]
    problems += filter_problems(found)
    try:
        return SyncDefinition.model_validate(value, context={"secrets": parameters.secrets}), problems
    except ValidationError as error:
        problems += pydantic_problems(error.errors(include_url=False), value, found)
    return None, problems


def _connection(value: dict[str, Any]) -> tuple[ConnectionModel | None, list[PathProblem]]:
    found = [*typed_values(Connection, value)]
    problems = [*unknown_keys(found), *connection_problems(value)]
    try:
        return _connections().validate_python(value), problems
    except ValidationError as error:
        problems += pydantic_problems(error.errors(include_url=False), value, found)
    return None, problems


@cache
def _connections() -> TypeAdapter[ConnectionModel]:
    """Made when the first connection is read."""
    return TypeAdapter(Connection)


def _yaml_problem(problem: YamlProblem, file: str) -> Problem:
    position = problem.position
    return Problem(
        message=problem.message, file=file, line=position.line, column=position.column, path=shown_path(problem.path)
    )


def _problem(problem: PathProblem, document: Document, file: str) -> Problem:
    position = document.value_position(problem.path) if problem.at_value else document.key_position(problem.path)
    message = problem.message
    if problem.first is not None:
        message = message.replace("{both}", both_lines(document.key_position(problem.first), position))
    return Problem(
        message=message, file=file, line=position.line, column=position.column, path=shown_path(problem.path)
    )
