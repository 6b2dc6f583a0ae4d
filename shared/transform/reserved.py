"""Names of columns that the steps of a run need for themselves: beside a column of the source they would mean both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shared.definitions.models import SyncDefinition
from shared.errors import Problem

__all__ = ["is_reserved", "reserved_problems"]

# `shape`, `reading`, `notation/moments` and `desire` name what they calculate for a column `x` such as `text:x`.
_OF_COLUMN: Final = re.compile(
    r"(text|number|attempt|local|format\d+|clock|before|after|moments|earlier|later|result|try):(?P<column>.*)",
    re.DOTALL,
)
_OF_ROW: Final = re.compile(r"_row|_passes|_broken:?\d+|filter:")


def is_reserved(name: str, columns: frozenset[str]) -> bool:
    """Whether a step needs the name; SQL does not regard case.

    Args:
        name: The name of a column of the source.
        columns: The names of all columns of the source and of all mapped columns of the target, in lower case.
    """
    own = _OF_COLUMN.fullmatch(name.lower())
    return (own is not None and own["column"] in columns) or _OF_ROW.fullmatch(name.lower()) is not None


def reserved_problems(definition: SyncDefinition) -> Iterator[Problem]:
    """Each column of the source with such a name."""
    names = [column.label for column in definition.source.columns]
    columns = frozenset(name.lower() for name in (*names, *(each.target for each in definition.destination.mappings)))
    for place, column in enumerate(definition.source.columns):
        if is_reserved(column.label, columns):
            key = "name" if column.alias is None else "alias"
            message = f"{column.label} is a name that the run needs for itself; choose another name or alias"
            yield Problem(message=message, path=f"source.columns[{place}].{key}")
