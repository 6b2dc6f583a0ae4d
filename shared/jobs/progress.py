"""What a run tells while it runs: its phase, and how far it is."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

__all__ = ["NoProgress", "Phase", "Progress"]


class Phase(StrEnum):
    """The parts of a run, in order."""

    CHECK = "check"
    LOAD = "load"
    SHAPE = "shape"
    READ = "read"
    RECONCILE = "reconcile"
    WRITE = "write"
    FINISH = "finish"


class Progress(Protocol):
    """Hears of phases and rows; never changes what a run does."""

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """A phase begins; `total` rows are ahead where that is known."""

    def advance(self, rows: int) -> None:
        """Some more rows of the phase are done."""


class NoProgress:
    """Progress that nobody watches."""

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """Say nothing."""

    def advance(self, rows: int) -> None:
        """Say nothing."""
