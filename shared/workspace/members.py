"""SQL that reads many members of JSON objects in one pass over each object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.workspace.sql import literal, quoted

__all__ = ["Members"]

_TEXTS, _FOUND, _KINDS = "json_extract_string", "json_exists", "json_type"
# A double keeps 15 digits for certain: a longer number loses some on its way through JSON.
_LONG: Final = "-?[0-9][0-9.]{15,}"


class Members:
    """The members that a query reads of columns with JSON objects: ask for each one, then put `items` below them.

    A JSON function reads the whole object, and keeps memory of its own for the objects of 2,048 rows. With a call for
    each member, 5,000 records of 28 columns need more than 512 MB; with one for all members, 600,000 need less.
    """

    def __init__(self) -> None:
        self._places: dict[tuple[str, str], dict[str, int]] = {}
        self._exact: dict[str, dict[str, None]] = {}

    def text(self, document: str, name: str, *, exact: bool = False) -> str:
        """SQL of the text of a member; NULL for null, and where it is missing.

        Args:
            document: The column with the objects. An empty text has no members.
            name: Of the member.
            exact: Keep all digits of a long number; JSON takes it through a double.
        """
        if exact:
            self._exact.setdefault(document, {})[name] = None
        return self._one(_TEXTS, document, name)

    def has(self, document: str, name: str) -> str:
        """SQL condition: the object has the member; NULL where there is no object."""
        return self._one(_FOUND, document, name)

    def kind(self, document: str, name: str) -> str:
        """SQL of the kind of a member, such as `ARRAY`; NULL where it is missing."""
        return self._one(_KINDS, document, name)

    def items(self) -> Iterator[str]:
        """What the query below selects of the documents, for everything that was asked for so far."""
        for (function, document), names in self._places.items():
            whole = f"nullif({document}, '')"
            if function == _TEXTS and (exact := self._exact.get(document)):
                number = literal(f'("(?:{"|".join(exact)})":)({_LONG})')
                whole = f"""regexp_replace({whole}, {number}, '\\1"\\2"', 'g')"""
            paths = ", ".join(literal(f'$."{name}"') for name in names)
            yield f"{function}({whole}, [{paths}]) AS {quoted(f'{function}:{document}')}"

    def _one(self, function: str, document: str, name: str) -> str:
        names = self._places.setdefault((function, document), {})
        return f"{quoted(f'{function}:{document}')}[{names.setdefault(name, len(names) + 1)}]"
