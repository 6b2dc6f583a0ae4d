"""Plans and errors without the values of rows: for people who may see what a sync does, but not its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from shared.state import ErrorRow

__all__ = ["MASK", "masked_changes", "masked_error", "masked_plan", "masked_undo"]

MASK: Final = "••••"
"""What stands in the place of a value."""
# What has no value of a row; everything else is left out, so that a new key is not shown by mistake.
_OPEN: Final = frozenset(
    {
        *("sync", "strategy", "about", "planned", "forecast", "violations", "notes", "left_out", "cause", "checksum"),
        *("post_sync", "requests", "throttled", "elapsed_seconds", "rows", "throttled_by_source"),
        *("undo_of", "not_undone"),
    }
)
_PLACES: Final = ("row", "line", "file")  # what of an example says where it is, and not what it holds


def masked_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """A plan in which no value of a row is left; that a value is empty can still be seen.

    Args:
        plan: What `plan --json` prints.
    """
    errors = [_masked_error(each) for each in plan["errors"]]
    return {**_open(plan), "sample": masked_changes(plan["sample"]), "errors": errors}


def masked_undo(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The plan of an undo in which no value of a row is left; see `masked_plan`.

    Args:
        plan: What `undo --json` prints before it is done.
    """
    edited = [{**each, "key": _masked_key(each["key"])} for each in plan["edited"]]
    return {**_open(plan), "sample": masked_changes(plan["sample"]), "edited": edited}


def _open(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in _OPEN else None for name, value in plan.items()}


def masked_changes(changes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Changes of records without keys and values."""
    return [_masked_change(each) for each in changes]


def masked_error(error: ErrorRow) -> dict[str, Any]:
    """An error of a run as JSON values, with the places of its example rows, and without their keys and values.

    The message has the value of the first row where values were kept, and here it does not.
    """
    return replace(error, examples=_places(error.examples)).to_json()


def _masked_error(error: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an error as JSON values, whose message has a value where an example has one."""
    examples = error.get("examples", ())
    message = MASK if any("value" in each for each in examples) else error["message"]
    return {**error, "message": message, "examples": _places(examples)}


def _places(examples: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    return tuple({name: each[name] for name in _PLACES if name in each} for each in examples)


def _masked_change(change: Mapping[str, Any]) -> dict[str, Any]:
    columns = [
        {
            name: MASK if name in {"before", "after"} and value not in (None, "") else value
            for name, value in column.items()
            if name not in {"before_name", "after_name"}
        }
        for column in change["columns"]
    ]
    return {**change, "key": _masked_key(change["key"]), "columns": columns}


def _masked_key(key: Mapping[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(key, MASK)
