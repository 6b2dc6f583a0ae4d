"""Constants of choice columns in a definition: each has to name an option, which no row is needed to see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shared.definitions.models import Column, SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import Problem
from shared.transform.choices.options import options_of, unknown_choice
from shared.transform.notation.words import folded_word
from shared.transform.targets import CHOICES

__all__ = ["choice_problems"]

Unknown = tuple[str, AttributeMetadata, str]
"""Path, column, and the text that is no option of it."""
_TEXT: Final = re.compile(r"\s*'((?:[^']|'')*)'\s*")
_NUMBER: Final = re.compile(r"\s*(\d+)\s*")


def choice_problems(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Problem]:
    """The literals in `cases` and `value` that are no option of the choice column that they are written to.

    The options of a column are listed once.
    """
    told = set[str]()
    for path, attribute, text in _unknown(definition, entity):
        yield Problem(message=unknown_choice(attribute, text, listed=attribute.name not in told), path=path)
        told.add(attribute.name)


def _unknown(definition: SyncDefinition, entity: EntityMetadata) -> Iterator[Unknown]:
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


def _of_cases(column: Column, attribute: AttributeMetadata, path: str) -> Iterator[Unknown]:
    if column.replace:  # what the texts become is not known here
        return
    for number, case in enumerate(column.cases):
        yield from _of_literal(case.then, attribute, f"{path}.cases[{number}].then")
    if column.cases and column.default is not None:
        yield from _of_literal(column.default, attribute, f"{path}.default")


def _of_literal(expression: str, attribute: AttributeMetadata, path: str) -> Iterator[Unknown]:
    """The text of an expression that is one literal and no option; others are not known before a row is read."""
    found = _TEXT.fullmatch(expression) or _NUMBER.fullmatch(expression)
    if found is None:
        return
    text = found[1].replace("''", "'").strip()
    if text and folded_word(text) not in options_of(attribute.choices):
        yield path, attribute, text
