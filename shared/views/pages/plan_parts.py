"""What a page of a plan shows, as values: totals, limits, changes by kind, reasons, errors. Pages only lay them out."""

from __future__ import annotations

import datetime as dt
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.views.errors import first_rows

__all__ = [
    "MOST_OF_A_VALUE",
    "Change",
    "Group",
    "LimitLine",
    "Total",
    "error_lines",
    "groups",
    "limit_lines",
    "moment",
    "reasons",
    "shown_change",
    "shown_key",
    "totals",
]

# The changes of a record: the name of the count, its heading, and its kind, which has a colour. Drops come first:
# an approver must not miss them.
_ACTIONS: Final = (
    ("delete", "deleted", "To delete", "drop"),
    ("expire", "expired", "To expire", "drop"),
    ("deactivate", "deactivated", "To deactivate", "drop"),
    ("mark", "marked", "To mark as dropped", "drop"),
    ("reactivate", "reactivated", "To reactivate", "edit"),
    ("update", "updated", "To update", "edit"),
    ("insert", "created", "To create", "add"),
    ("upsert", "upserted", "To create or update", "add"),
)
_TOTALS: Final = (("created", "to create", "add"), ("updated", "to update", "edit"), ("deleted", "to delete", "drop"))
_OTHER_TOTALS: Final = (
    ("expired", "to expire", "drop"),
    ("deactivated", "to deactivate", "drop"),
    ("marked", "to mark as dropped", "drop"),
    ("reactivated", "to reactivate", "edit"),
    ("upserted", "to create or update", "add"),
    ("created_references", "to create in other tables", "add"),
    ("unchanged", "unchanged", "none"),
    ("ignored", "ignored", "none"),
)
_LIMITS: Final = {
    "max_delete": "Records to delete, expire or deactivate",
    "max_update": "Records to update",
    "max_created_references": "Records to create in other tables",
    "max_requests": "Requests to Dataverse",
    "max_minutes": "Minutes",
}
_BEFORE, _AFTER = "before", "after"
_BOTH: Final = (_BEFORE, _AFTER)
_SIDES: Final = {"delete": (_BEFORE,), "insert": (_AFTER,)}
MOST_OF_A_VALUE: Final = 500
"""Characters of a value that a page shows: a column of Dataverse may hold a million."""
_GROUPED_FROM: Final = 10_000  # a number of four digits may be a year


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many records: `kind` is `add`, `edit`, `drop` or `none`."""

    count: int
    words: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitLine:
    """One safety limit.

    Attributes:
        what: What it limits.
        name: Its key in the definition.
        limit: Its value in the definition, and of how many records it is a share.
        planned: The number of the plan, of how many at most.
        used: Percent of the limit, 0 to 100; None where it allows any number.
        over: Whether the plan breaks it.
        rest: What it still allows.
    """

    what: str
    name: str
    limit: str
    planned: str
    used: int | None
    over: bool
    rest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnLine:
    """One column of a change.

    Attributes:
        values: A text for each side of its group; empty where it has no value. Of a long one the part that differs.
        notes: For each of them how long it is, where it is shortened; otherwise empty.
    """

    name: str
    label: str
    values: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change: its key, its row of the source where it has one, and its columns that have a value."""

    key: str
    row: int | None
    columns: tuple[ColumnLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The changes of one kind that a plan shows; `sides` are `before` and `after`, or one of them."""

    title: str
    kind: str
    shown: str
    sides: tuple[str, ...]
    changes: tuple[Change, ...]


def totals(planned: Mapping[str, Any]) -> list[Total]:
    """How many records are created, updated and deleted, and the others where there are some."""
    shown = [*_TOTALS, *(each for each in _OTHER_TOTALS if planned.get(each[0]))]
    return [Total(count=planned.get(name, 0), words=words, kind=kind) for name, words, kind in shown]


def limit_lines(limits: Iterable[Mapping[str, Any]]) -> list[LimitLine]:
    """The safety limits.

    Args:
        limits: As `about.limits` in the object of `plan --json`.
    """
    return [_limit(each) for each in limits]


def _limit(each: Mapping[str, Any]) -> LimitLine:
    planned, most = each["planned"], each["most"]
    over = most is not None and planned > most
    used = 0 if not planned else 100 if not most else min(100, round(100 * planned / most))
    of = f" of {each['of']:,} records" if str(each["limit"]).endswith("%") else ""
    return LimitLine(
        what=_LIMITS.get(each["name"], each["name"]),
        name=each["name"],
        limit=f"{each['limit']}{of}",
        planned=f"{planned:,} of at most {most:,}" if most is not None else f"{planned:,}",
        used=used if most is not None else None,
        over=over,
        rest="above the limit" if over else _allowed(planned, most),
    )


def _allowed(planned: int, most: int | None) -> str:
    """What a limit still allows; `most` is None where a percentage does not apply because the table has few records."""
    return (
        "allowed: a percentage applies from 10 records on" if most is None else f"{most - planned:,} more are allowed"
    )


def groups(plan: Mapping[str, Any]) -> Iterator[Group]:
    """Yield samples of every kind of change, drops first.

    Args:
        plan: What `plan --json` prints.
    """
    columns: Mapping[str, Any] = (plan.get("about") or {}).get("columns", {})
    for action, count, title, kind in _ACTIONS:
        sample = [each for each in plan["sample"] if each["action"] == action]
        if sample:
            total = max(plan["planned"].get(count, 0), len(sample))
            shown = f"{len(sample):,} of {total:,} shown" if total > len(sample) else "all shown"
            sides = _SIDES.get(action, _BOTH)
            changes = tuple(_change(each, columns, sides) for each in sample)
            yield Group(title=title, kind=kind, shown=shown, sides=sides, changes=changes)


def shown_change(change: Mapping[str, Any]) -> Change:
    """One change with its values before and after.

    Args:
        change: As in `sample` of the object of `plan --json`.
    """
    return _change(change, {}, _BOTH)


def _change(change: Mapping[str, Any], columns: Mapping[str, Any], sides: Sequence[str]) -> Change:
    held = [each for each in change["columns"] if any(each.get(side) not in (None, "") for side in sides)]
    key = shown_key(change["key"])
    return Change(key=key, row=change["row"], columns=tuple(_column(each, columns, sides) for each in held))


def _column(column: Mapping[str, Any], columns: Mapping[str, Any], sides: Sequence[str]) -> ColumnLine:
    name = column["column"]
    about = columns.get(name, {})
    options = about.get("options", {})
    values = [column.get(f"{side}_name") or _with_option(column.get(side), options) for side in sides]
    start = _start(values)
    shown = [_part(each, start) for each in values]
    notes = tuple(_note(each, start) if part != each else "" for each, part in zip(values, shown, strict=True))
    return ColumnLine(name=name, label=about.get("label", ""), values=tuple(shown), notes=notes)


def shown_key(key: Mapping[str, Any]) -> str:
    """The values of a key as one text, of a long one its beginning and how long it is."""
    text = ", ".join(map(_value, key.values()))
    part = _part(text, 0)
    return part if part == text else f"{part} ({len(text):,} characters)"


def _start(texts: Sequence[str]) -> int:
    """From which character on the texts of a column are shown, so that a difference behind the bound is seen."""
    if max(map(len, texts)) <= MOST_OF_A_VALUE or len({*texts}) == 1:
        return 0
    differs = range(min(map(len, texts)))
    same = bisect_left(differs, True, key=lambda place: len({text[: place + 1] for text in texts}) > 1)
    return max(0, same - MOST_OF_A_VALUE // 5) if same > MOST_OF_A_VALUE // 2 else 0


def _part(text: str, start: int) -> str:
    part = text[start : start + MOST_OF_A_VALUE]
    before, after = text[:start], text[start + MOST_OF_A_VALUE :]
    return f"{'…' if before else ''}{part}{'…' if after else ''}"


def _note(text: str, start: int) -> str:
    place = f", shown from character {start + 1:,} on" if start else ""
    return f"shortened: it has {len(text):,} characters{place}"


def _with_option(value: Any, options: Mapping[str, str]) -> str:
    """A value; of a choice, each option with its label."""
    text = _value(value)
    found = [options.get(part.strip()) for part in text.split(",")] if options and text else []
    if not found or None in found:
        return text
    return ", ".join(f"{part.strip()} {label}" for part, label in zip(text.split(","), found, strict=True))


def _value(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:,.2f}" if round(value, 2) == value else f"{value:,}"
        case int() if abs(value) >= _GROUPED_FROM:
            return f"{value:,}"
        case list():
            return ", ".join(map(_value, value))
        case _:
            return json.dumps(value, ensure_ascii=False)


def reasons(planned: Mapping[str, Any], about: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """Why rows are ignored or filtered: how many, the words, and the filter where it is the reason."""
    found = [(each["count"], each["why"], "") for each in about.get("ignored", ())]
    filtered = planned["source"].get("filtered", 0)
    if filtered and about.get("filter"):
        found.append((filtered, "rows for which the filter is not true:", about["filter"]))
    return found


def error_lines(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The errors as texts: type, column, count, rows, message, side and class.

    Args:
        errors: As `errors` in the object of `plan --json`.
    """
    names = ("type", "column", "count", "rows", "message", "side", "class")
    named = (
        {**error, "rows": first_rows(error["rows"], error["count"], error.get("examples", ()))} for error in errors
    )
    return [{name: _value(error[name]) for name in names} for error in named]


def moment(text: str) -> str:
    """An ISO text as people read it; empty for an empty one."""
    return f"{dt.datetime.fromisoformat(text).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if text else ""
