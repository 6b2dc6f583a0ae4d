"""From a YAML text to a `SyncDefinition`, or to every problem in it with its position."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from shared.definitions.loading.located import PathProblem, TypedValue, pydantic_problems, typed_values, unknown_keys
from shared.definitions.loading.parameter_rules import Parameters, read_parameters
from shared.definitions.loading.rules import between_keys
from shared.definitions.loading.yaml_loader import Document, TextPosition, YamlProblem, read_yaml, shown_path
from shared.definitions.models import SyncDefinition
from shared.definitions.models.base import SYNC_NAME
from shared.errors import DefinitionError, Problem

__all__ = ["Reading", "load_definition", "read_definition"]

_SYNC_NAME: Final = re.compile(rf"(?=.{{1,100}}$){SYNC_NAME}")
_NAME_LINE: Final = re.compile(r"^name:[ \t]+[\"']?([a-z0-9-]{1,100})[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)


def load_definition(text: str, *, file: str = "") -> SyncDefinition:
    """Parse one definition.

    Args:
        text: YAML.
        file: What problems call the text: a path or URL.

    Raises:
        DefinitionError: With every problem, in the order of the text.
    """
    reading = read_definition(text, file=file)
    if reading.definition is None:
        raise DefinitionError(reading.problems)
    return reading.definition


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The result of reading a text.

    Attributes:
        definition: None when there are problems.
        name: The name that the text gives, also where it has problems; empty where it gives none.
        problems: In the order of the text.
        positions: Path as problems show it, such as ``destination.mappings[3].target`` -> the position of that key.
    """

    definition: SyncDefinition | None
    name: str
    problems: tuple[Problem, ...]
    positions: Mapping[str, TextPosition]


def read_definition(text: str, *, file: str = "") -> Reading:
    """Parse one definition, or list its problems."""
    document = read_yaml(text)
    problems = {_yaml_problem(each, file): None for each in document.problems}
    definition: SyncDefinition | None = None
    if isinstance(document.value, dict):
        parameters = read_parameters(document.value)
        definition, errors = _validated(document, parameters)
        problems |= {_problem(each, document, file): None for each in errors}
    elif not problems:
        message = "a definition is a mapping of keys such as name, source and destination"
        problems = {Problem(message=message, file=file, line=1, column=1): None}
    ordered = tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))
    positions = {shown_path(path): position for path, position in document.keys.items()}
    name = _name(document.value, text)
    return Reading(definition=None if ordered else definition, name=name, problems=ordered, positions=positions)


def _name(value: object, text: str) -> str:
    """The name in a text; if the text is not YAML, the value in its line of the name."""
    if isinstance(value, dict):
        name = value.get("name")
        return name if isinstance(name, str) and _SYNC_NAME.fullmatch(name) else ""
    found = _NAME_LINE.search(text)
    return found[1] if found else ""


def _validated(document: Document, parameters: Parameters) -> tuple[SyncDefinition | None, list[PathProblem]]:
    value = document.value
    found = [*typed_values(SyncDefinition, value)]
    problems = [*_path_problems(value, found, parameters)]
    try:
        return SyncDefinition.model_validate(value, context={"secrets": parameters.secrets}), problems
    except ValidationError as error:
        problems += pydantic_problems(error.errors(include_url=False), value, found)
    return None, problems


def _path_problems(value: object, found: list[TypedValue], parameters: Parameters) -> Iterator[PathProblem]:
    yield from unknown_keys(found)
    if isinstance(value, dict):
        yield from between_keys(value)
    yield from parameters.problems
    yield from parameters.misused(found)


def _yaml_problem(problem: YamlProblem, file: str) -> Problem:
    position = problem.position
    return Problem(
        message=problem.message, file=file, line=position.line, column=position.column, path=shown_path(problem.path)
    )


def _problem(problem: PathProblem, document: Document, file: str) -> Problem:
    position = document.value_position(problem.path) if problem.at_value else document.key_position(problem.path)
    return Problem(
        message=problem.message, file=file, line=position.line, column=position.column, path=shown_path(problem.path)
    )
