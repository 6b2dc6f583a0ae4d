"""The progress of a run: its phase, and the number of rows that are done."""

from __future__ import annotations

from datetime import datetime
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
    POST_SYNC = "post_sync"


class Progress(Protocol):
    """Gets phases and numbers of rows; never changes what a run does."""

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """A phase begins; `total` rows are ahead where that is known."""

    def advance(self, rows: int) -> None:
        """Some more rows of the phase are done; with a negative number some are done again."""

    def throttled(self, requests: int, until: datetime) -> None:
        """Dataverse or the source has throttled so many requests so far, and the next one waits until a moment."""


class NoProgress:
    """Progress that is not shown."""

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """Do nothing."""

    def advance(self, rows: int) -> None:
        """Do nothing."""

    def throttled(self, requests: int, until: datetime) -> None:
        """Do nothing."""
