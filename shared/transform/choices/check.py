"""Constants of choice columns in a definition: each has to name one option, which no row is needed to see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shared.definitions.models import Column, SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import Problem
from shared.transform.choices.options import ambiguous_choice, unknown_choice
from shared.transform.notation.words import folded_word, named_by
from shared.transform.targets import CHOICES

__all__ = ["choice_problems"]

Literal = tuple[str, AttributeMetadata, str]
"""Path, column, and the text that is written there."""
_TEXT: Final = re.compile(r"\s*'((?:[^']|'')*)'\s*")
_NUMBER: Final = re.compile(r"\s*(\d+)\s*")


def choice_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """The literals in `cases` and `value` that do not name one option of the choice column that they are written to.

    The options of a column are listed once. Of a status reason beside a mapped state, the state of each row tells which
    one is meant.
    """
    told, paired = set[str](), _has_state(definition, entity)
    for path, attribute, text in _literals(definition, entity):
        options = named_by(attribute.choices).get(folded_word(text), ())
        if not options:
            yield Problem(message=unknown_choice(attribute, text, listed=attribute.name not in told), path=path)
            told.add(attribute.name)
        elif len(options) > 1 and not (paired and attribute.type is AttributeType.STATUS):
            yield Problem(message=ambiguous_choice(attribute, text, options), path=path)


def _has_state(definition: SyncDefinition, entity: EntityMetadata) -> bool:
    found = (entity.attributes.get(mapping.target) for mapping in definition.destination.mappings)
    return any(attribute is not None and attribute.type is AttributeType.STATE for attribute in found)


def _literals(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Literal]:
    places = {column.label: place for place, column in enumerate(definition.source.columns)}
    for number, mapping in enumerate(definition.destination.mappings):
        attribute = entity.attributes.get(mapping.target)
        if attribute is None or attribute.type not in CHOICES or not attribute.choices:
            continue
        if mapping.value is not None and attribute.type is AttributeType.PICKLIST:  # states have checks of their own
            yield from _of_literal(mapping.value, attribute, f"destination.mappings[{number}].value")
        if mapping.source is not None and mapping.source in places:
            place = places[mapping.source]
            yield from _of_cases(definition.source.columns[place], attribute, f"source.columns[{place}]")


def _of_cases(column: Column, attribute: AttributeMetadata, path: str) -> Iterator[Literal]:
    if column.replace:  # what the texts become is not known here
        return
    for number, case in enumerate(column.cases):
        yield from _of_literal(case.then, attribute, f"{path}.cases[{number}].then")
    if column.cases and column.default is not None:
        yield from _of_literal(column.default, attribute, f"{path}.default")


def _of_literal(expression: str, attribute: AttributeMetadata, path: str) -> Iterator[Literal]:
    """The text of an expression that is one literal; others are not known before a row is read."""
    found = _TEXT.fullmatch(expression) or _NUMBER.fullmatch(expression)
    if found is None:
        return
    if text := found[1].replace("''", "'").strip():
        yield path, attribute, text
