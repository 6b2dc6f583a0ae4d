"""What a run is about to do, in numbers, and whether that is safe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from shared.definitions.models import Safety
from shared.errors import UnsafePlanError
from shared.reconcile.forecast.cost import Forecast
from shared.state_rules import CLOSE

__all__ = [
    "DROPS",
    "ColumnChange",
    "Limit",
    "Plan",
    "PlanAction",
    "PlanCounts",
    "SafetyLimits",
    "SampleChange",
    "samples",
]

COUNTED_FROM = 10  # a share of fewer target rows than this has no meaning: one of two is already 50 %


class PlanAction(StrEnum):
    """What becomes of one key that is in the source, in the target or in both."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    EXPIRE = "expire"
    DEACTIVATE = "deactivate"
    MARK = "mark"
    REACTIVATE = "reactivate"
    UPSERT = "upsert"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"


DROPS: Final = (PlanAction.DELETE, PlanAction.EXPIRE, PlanAction.DEACTIVATE, PlanAction.MARK)
"""What becomes of a record that the source does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCounts:
    """Keys by action, and the rows of both sides.

    Attributes:
        source_rows: Rows of the source that take part: not rejected, not filtered, one a key.
        target_rows: Records of the target that take part; 0 for `delta` and `upsert`, which do not read the target.
        created_references: Records of other tables that lookups create.
    """

    insert: int = 0
    update: int = 0
    delete: int = 0
    expire: int = 0
    deactivate: int = 0
    mark: int = 0
    reactivate: int = 0
    upsert: int = 0
    unchanged: int = 0
    ignored: int = 0
    source_rows: int = 0
    target_rows: int = 0
    created_references: int = 0

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[Any]]) -> PlanCounts:
        """Take the rows of `counts_query()`: (action, keys, source rows, target rows)."""
        counts: dict[str, int] = {"source_rows": 0, "target_rows": 0}
        for action, keys, source_rows, target_rows in rows:
            counts[str(action)] = keys
            counts["source_rows"] += source_rows
            counts["target_rows"] += target_rows
        return cls(**counts)

    @property
    def changes(self) -> int:
        """Rows that will be written."""
        return self.insert + self.update + self.reactivate + self.dropped + self.upsert

    @property
    def dropped(self) -> int:
        """Records that are dropped: deleted, or marked in one of the ways."""
        return self.delete + self.expire + self.deactivate + self.mark

    def to_json(self) -> dict[str, int]:
        """All counts by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A number of rows, or a share of the target's rows.

    Attributes:
        amount: Rows, or per cent where `is_share`; as it is written, so that a share of 4.6% is no little less.
    """

    amount: Decimal
    is_share: bool

    @classmethod
    def parse(cls, text: str | int) -> Limit:
        """Read `30%` as a share and `30` as rows."""
        written = str(text).strip()
        return cls(amount=Decimal(written.removesuffix("%")), is_share=written.endswith("%"))

    def most(self, of: int) -> int | None:
        """How many of `of` target rows it allows; None for any number: a share counts from 10 target rows on."""
        if not self.is_share:
            return int(self.amount)
        return int(self.amount * of // 100) if of >= COUNTED_FROM else None

    def broken_by(self, rows: int, of: int) -> bool:
        """Whether `rows` of `of` target rows are too many."""
        most = self.most(of)
        return most is not None and rows > most

    def __str__(self) -> str:
        """Render as the definition has it: `30%` or `30`."""
        return f"{self.amount:g}%" if self.is_share else f"{self.amount:,.0f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyLimits:
    """How much one run may change without `--force`.

    `max_delete` counts every record that is dropped: an expired or inactive one disappears from its users' lists like a
    deleted one, so marking half a table by accident is stopped like deleting it. `max_update` counts updated and
    reactivated records.
    """

    max_delete: Limit = Limit(amount=Decimal(30), is_share=True)
    max_update: Limit = Limit(amount=Decimal(100), is_share=True)
    allow_empty_source: bool = False
    max_created_references: int = 1000
    max_requests: int | None = None
    max_minutes: int | None = None

    @classmethod
    def from_definition(cls, safety: Safety) -> SafetyLimits:
        """Take the limits of `sync_behaviour.safety`."""
        return cls(
            max_delete=Limit.parse(safety.max_delete),
            max_update=Limit.parse(safety.max_update),
            allow_empty_source=safety.allow_empty_source,
            max_created_references=safety.max_created_references,
            max_requests=safety.max_requests,
            max_minutes=safety.max_minutes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Counts, the limits they must keep, and a checksum that names exactly these changes.

    Attributes:
        drops: Whether the rules touch records that are not in the source (`dropped` is not `ignore`).
        checksum: SHA-256 in hexadecimal over all changes, independent of their order; empty when it was not asked for.
        forecast: What its run will cost; None when it was not asked for.
    """

    counts: PlanCounts
    limits: SafetyLimits = field(default_factory=SafetyLimits)
    drops: bool = False
    checksum: str = ""
    forecast: Forecast | None = None

    def violations(self) -> tuple[str, ...]:
        """Describe, with numbers, each limit that the plan breaks."""
        counts, limits, found = self.counts, self.limits, []
        if self.drops and counts.target_rows and not counts.source_rows and not limits.allow_empty_source:
            dropped = f"{counts.dropped:,} of the target's {counts.target_rows:,} records"
            found.append(
                (
                    f"the source has no valid row, so the target's records would be dropped: {dropped}"
                    if counts.dropped
                    else "the source has no valid row, though no record would be dropped"
                )
                + "; safety.allow_empty_source is false"
            )
        for rows, limit, deed, name in (
            (counts.dropped, limits.max_delete, _dropping(counts), "max_delete"),
            (counts.update + counts.reactivate, limits.max_update, "update", "max_update"),
        ):
            if limit.broken_by(rows, counts.target_rows):
                found.append(
                    f"it would {deed} {rows:,} of the target's {counts.target_rows:,} records"
                    f"{_share(rows, counts.target_rows)}; safety.{name} is {limit}"
                )
        if counts.created_references > limits.max_created_references:
            found.append(
                f"its lookups would create {counts.created_references:,} records in other tables; "
                f"safety.max_created_references is {limits.max_created_references:,}"
            )
        return (*found, *self._too_costly())

    def _too_costly(self) -> Iterator[str]:
        """The limits of cost that the forecast breaks."""
        cost, limits = self.forecast, self.limits
        if cost and limits.max_requests is not None and cost.requests > limits.max_requests:
            about = "at least" if cost.open else "about"
            yield (
                f"it would send {about} {cost.requests:,} requests to Dataverse; "
                f"safety.max_requests is {limits.max_requests:,}"
            )
        if cost and limits.max_minutes is not None and cost.minutes > limits.max_minutes:
            yield f"it would take about {cost.minutes:,} minutes; safety.max_minutes is {limits.max_minutes:,}"

    def raise_if_unsafe(self, cause: str = "") -> None:
        """Refuse a plan that breaks a limit.

        Args:
            cause: What makes it unsafe, as a sentence, where that is known; it is told first.

        Raises:
            UnsafePlanError: All broken limits with their numbers, and where they are set.
        """
        found = self.violations()
        if found:
            said = f"The plan is not safe: {'; '.join(found)}. Nothing was written"
            todo = "Check the plan; if it is correct, change sync_behaviour.safety"
            raise UnsafePlanError(f"{cause} {said}" if cause else f"{said}. {todo}")


def _dropping(counts: PlanCounts) -> str:
    return "deactivate or mark" if counts.deactivate or counts.mark else "delete or expire"


def _share(rows: int, of: int) -> str:
    return f" ({rows / of:.1%})" if of else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange:
    """One column of one change, as JSON values: what the target holds and what it will hold.

    Attributes:
        before_name: For a lookup, the name of the record that the target refers to; for a choice, value and label of
            the option. Empty if it is not known.
        after_name: The same for what it will hold.
        display_name: What forms call the column; empty if it has no other name.
    """

    column: str
    before: Any
    after: Any
    before_name: str = ""
    after_name: str = ""
    display_name: str = ""

    def to_json(self) -> dict[str, Any]:
        """All fields by name; names only where there are some."""
        names = {"before_name": self.before_name, "after_name": self.after_name, "display_name": self.display_name}
        shown = {"column": self.column, "before": self.before, "after": self.after}
        return shown | {key: name for key, name in names.items() if name}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleChange:
    """One change of the plan, for people to look at.

    Attributes:
        row: Row number in the source; None for a dropped record.
        id: The record's id; None for a new one.
        key: Sync key: target column -> value.
    """

    action: PlanAction
    row: int | None
    id: str | None
    key: dict[str, Any]
    columns: tuple[ColumnChange, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return {
            "action": self.action.value,
            "row": self.row,
            "id": self.id,
            "key": self.key,
            "columns": [column.to_json() for column in self.columns],
        }


def samples(rows: Iterable[Sequence[Any]]) -> tuple[SampleChange, ...]:
    """Read the rows of `sample_query()`.

    They are (action, _row, _id, key, payload, on_create, later, links, columns, before).
    """
    return tuple(
        SampleChange(
            action=PlanAction(str(action)),
            row=row,
            id=None if record is None else str(record),
            key=json.loads(key),
            columns=_column_changes(columns, _sent(payload, on_create, later, links), json.loads(before)),
        )
        for action, row, record, key, payload, on_create, later, links, columns, before in rows
    )


def _sent(*objects: str) -> dict[str, Any]:
    """The columns' values after all requests: a later one has the last word; some of the texts may be empty."""
    sent = {name: value for text in objects for name, value in json.loads(text or "{}").items()}
    sent.pop(CLOSE, None)  # how the state is set, not a column
    return sent


def _column_changes(columns: str, payload: dict[str, Any], before: dict[str, Any]) -> tuple[ColumnChange, ...]:
    """Pair old and new values in the order of the sent names; a delete sends none and shows the old values.

    By their order, because a payload names a lookup by its navigation property and not by its column.
    """
    if not columns:
        return tuple(ColumnChange(column=name, before=value, after=None) for name, value in before.items())
    names = columns.split(",")
    held = before.values() if before else [None] * len(names)
    changes = zip(names, held, payload.values(), strict=True)
    return tuple(ColumnChange(column=name, before=old, after=new) for name, old, new in changes)
