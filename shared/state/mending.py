"""The rows in error of a run, kept so that a person can correct them and run them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from shared.state._reading import reading

__all__ = ["REASON_COLUMN", "ROW_COLUMN", "RowToMend", "RowsToMend"]

ROW_COLUMN: Final = "to_mend_row"
"""Column of the file to mend with the number of the row in its run; a retry finds the row by it."""
REASON_COLUMN: Final = "to_mend_reason"
"""Column of the file to mend that says what is wrong with the row; a retry does not read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowToMend:
    """One row in error.

    Attributes:
        number: Of the row in the source, from 1.
        values: Column -> its value as text; columns without a value are left out.
        reason: What is wrong with it: all its errors.
        duplicate: Whether another row of the source has its key.
    """

    number: int
    values: Mapping[str, str]
    reason: str
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsToMend:
    """The rows in error of one run that are not mended yet.

    Attributes:
        columns: Column that is read, by alias or name -> its type in the definition or in the source.
        rows: In the order of their numbers.
        found: How many rows of the run had errors; more than are kept if there were too many, or unreadable ones.
        mended: Run that retried rows -> how many of them it mended, in order.
    """

    columns: Mapping[str, str]
    rows: tuple[RowToMend, ...]
    found: int
    mended: Mapping[str, int] = field(default_factory=dict)

    @property
    def left_out(self) -> int:
        """Rows in error that were never kept."""
        return self.found - len(self.rows) - sum(self.mended.values())

    def to_bytes(self) -> bytes:
        """The rows as a state store keeps them: JSON in UTF-8."""
        rows = [[row.number, dict(row.values), row.reason, row.duplicate] for row in self.rows]
        value = {"columns": dict(self.columns), "rows": rows, "found": self.found, "mended": dict(self.mended)}
        return json.dumps(value, ensure_ascii=False).encode("utf-8")

    @classmethod
    def of_bytes(cls, data: bytes, run_id: str) -> Self:
        """The rows of a run, from what `to_bytes` gives.

        Raises:
            AbortRun: The bytes are not what this program writes.
        """
        with reading("rows to mend", run_id):
            value = json.loads(data)
            return cls(
                columns={str(name): str(kind) for name, kind in value["columns"].items()},
                rows=tuple(map(_row, value["rows"])),
                found=int(value["found"]),
                mended={str(run): int(count) for run, count in value["mended"].items()},
            )


def _row(value: Any) -> RowToMend:
    number, values, reason, duplicate = value
    texts = {str(name): str(text) for name, text in values.items()}
    return RowToMend(number=int(number), values=texts, reason=str(reason), duplicate=bool(duplicate))
