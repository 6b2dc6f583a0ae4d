"""The time model: how long a request takes, so that a benchmark has a known upper bound.

A request takes the latency plus a time for each row that it reads or writes. The time of the rows is work of the server
and counts for the execution-time limit; the latency belongs to the network and does not count.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

__all__ = ["OPERATIONS", "TimeModel"]

OPERATIONS: Final = ("create", "read", "update", "upsert", "delete")
"""The operations that can have different times per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeModel:
    """How long requests take.

    Attributes:
        latency: Seconds per request.
        row: Seconds per row, by operation.
    """

    latency: float = 0.0
    row: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, latency_ms: float, row_ms: str) -> Self:
        """Read the command line: one number of milliseconds for every operation, or ``create=2,upsert=3,read=0.05``.

        Raises:
            ValueError: An operation is unknown, or a number is not valid or is negative.
        """
        if "=" in row_ms:
            parts = [part.partition("=") for part in row_ms.split(",")]
            given = {name.strip(): float(value) for name, _, value in parts}
        else:
            given = dict.fromkeys(OPERATIONS, float(row_ms))
        unknown = given.keys() - set(OPERATIONS)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not an operation; write {', '.join(OPERATIONS)}")
        if latency_ms < 0 or any(value < 0 for value in given.values()):
            raise ValueError("Times must not be negative")
        return cls(latency=latency_ms / 1000, row={name: value / 1000 for name, value in given.items() if value})

    @property
    def is_instant(self) -> bool:
        """Whether requests take only the time that the emulator itself needs."""
        return not self.latency and not self.row

    def execution(self, rows: Mapping[str, int]) -> float:
        """Return the seconds of server work for a request; ``rows`` is its number of rows by operation."""
        if not self.row:
            return 0.0
        return sum(self.row.get(operation, 0.0) * count for operation, count in rows.items())

    async def spend(self, rows: Mapping[str, int]) -> float:
        """Wait as long as a request takes, and return the seconds of server work."""
        if self.is_instant:
            return 0.0
        work = self.execution(rows)
        await asyncio.sleep(self.latency + work)
        return work
