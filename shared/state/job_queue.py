"""The queue whose messages start jobs. The row of a job says what to do; a message only says when to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

__all__ = ["NOW", "QUEUE_NAME", "JobQueue", "PoisonedMessage"]

# The trigger in batch_sync/function.py names it too.
QUEUE_NAME: Final = "dynamics-sync-jobs"

NOW: Final = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonedMessage:
    """A message that was delivered too often, because the process that got it ended each time.

    Attributes:
        job_id: What the message says; empty where it is no job's id.
        receipt: What `JobQueue.discard` needs.
    """

    job_id: str
    receipt: object


class JobQueue(Protocol):
    """Carries ids of jobs, at least once each. Every method may be called from any thread.

    Every method raises `RetryLater` when the queue is unavailable and `AbortRun` when it refuses us.
    """

    def send(self, job_id: str, delay: timedelta = NOW) -> None:
        """Put the id of a job into the queue; it is delivered after a delay of at most six days."""

    def poisoned(self) -> Sequence[PoisonedMessage]:
        """Messages that were delivered too often; a call may give a part of them."""

    def discard(self, poisoned: PoisonedMessage) -> None:
        """Remove such a message; one that is gone already is not an error."""
