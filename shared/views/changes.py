"""A plan as values: how many records it changes, and some changes, one line a column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.entities import CHANGE_COUNTS

__all__ = ["ChangeLine", "change_lines", "shown_counts"]

_ALWAYS: Final = ("created", "updated", "deleted")
_COUNTS: Final = (*CHANGE_COUNTS, "unchanged", "ignored")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """One column of one change.

    Attributes:
        first: Whether it is the first line of its change: the other lines need not repeat action, row and key.
        action: `insert`, `update`, `upsert`, `expire` or `delete`.
        row: Row number in the source; None for a dropped record.
        key: The values of the sync key, in its order.
        column: Empty for a change without columns.
        display_name: What forms call the column; empty if it has no other name.
        before: The target's value; for a lookup the record's name, for a choice value and label, if they are known.
        after: The value it will have, likewise.
    """

    first: bool
    action: str
    row: int | None
    key: tuple[Any, ...]
    column: str = ""
    display_name: str = ""
    before: Any = None
    after: Any = None


def change_lines(sample: Iterable[Mapping[str, Any]]) -> Iterator[ChangeLine]:
    """The lines of `sample` in the object of `plan --json`; a change without columns has one line."""
    for change in sample:
        for number, column in enumerate(change["columns"] or [{}]):
            yield ChangeLine(
                first=number == 0,
                action=change["action"],
                row=change["row"],
                key=tuple(change["key"].values()),
                column=column.get("column", ""),
                display_name=column.get("display_name", ""),
                before=column.get("before_name") or column.get("before"),
                after=column.get("after_name") or column.get("after"),
            )


def shown_counts(planned: Mapping[str, Any]) -> dict[str, int]:
    """The counts of `planned` in the object of `plan --json` that a reader needs, in order.

    Created, updated and deleted records are always among them, the others where there are some.
    """
    return {name: planned[name] for name in _COUNTS if planned.get(name) or name in _ALWAYS}
