"""Which rows of a long list a page shows: a page of them, or those that a text finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from console.editor.forms.widgets import Shown

__all__ = ["PAGE", "Pages"]

PAGE: Final = 40
"""Rows that are shown at once."""
_MOST_OF_A_TEXT: Final = 200


class Pages:
    """Where each list of a form is: at a page, or at what was looked for.

    Args:
        fields: What was sent: `_from.NAME` is where the page of a list starts, and `_find.NAME` what is looked for.
    """

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields
        self._starts: dict[str, int] = {}
        self._finds: dict[str, str] = {}

    def turn(self, name: str, start: int) -> None:
        """Show another page of a list."""
        self._starts[name] = start

    def go_to(self, name: str, row: int) -> None:
        """Show the page of a list that has a row, whatever was looked for."""
        self._starts[name], self._finds[name] = row, ""

    def is_found(self, name: str) -> bool:
        """Whether a list shows what was looked for."""
        return bool(self._find(name))

    def rows(self, name: str, rows: Mapping[Any, Any]) -> Shown:
        """The rows of a list that are shown; see `Rows`."""
        find = self._find(name)
        found = [key for key, row in rows.items() if _has(key, row, find.casefold())] if find else [*rows]
        start = min(self._start(name), max(0, len(found) - 1)) // PAGE * PAGE
        return Shown(
            keys=found[start : start + PAGE], total=len(rows), found=len(found), find=find, start=start, page=PAGE
        )

    def _find(self, name: str) -> str:
        return self._finds.get(name, self._sent(f"_find.{name}").strip()[:_MOST_OF_A_TEXT])

    def _start(self, name: str) -> int:
        sent = self._sent(f"_from.{name}")
        return self._starts.get(name, int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 10 else 0)  # noqa: PLR2004

    def _sent(self, name: str) -> str:
        values = self._fields.get(name)
        return values[-1] if values else ""


def _has(key: Any, row: Any, find: str) -> bool:
    """Whether a row has a text in one of its values, or its number or name."""
    if isinstance(key, int):
        return find in {str(key + 1), f"{key + 1:,}"} or any(find in text for text in _texts(row))
    return find in str(key).casefold() or any(find in text for text in _texts(row))


def _texts(row: Any) -> Iterator[str]:
    for value in row.values() if isinstance(row, dict) else ():
        yield from (
            each.casefold() for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)
        )
