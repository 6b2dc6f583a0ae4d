"""The boundary of real time: whatever an event causes becomes a failure of that event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from shared.errors import AbortRun, AnswerLost, RequestRefused, RetryLater, SyncError
from shared.jobs.real_time.rows import Failure

__all__ = ["attempted", "failure_of"]

log = logging.getLogger(__name__)

Made = TypeVar("Made")


def attempted(work: Callable[[], Made], doing: str) -> Made | Failure:
    """Do what the content of events has a say in: whatever it causes is a failure of these events.

    Raises:
        RetryLater: Dataverse or the state store is away.
        AnswerLost: Likewise.
    """
    try:
        return work()
    except (RetryLater, AnswerLost):
        raise
    except SyncError as error:
        return failure_of(error)
    except Exception as error:  # the boundary of real time: what was not foreseen becomes a dead letter
        log.exception("%s failed in a way that was not foreseen", doing)
        return Failure(error="Unforeseen", message=f"the program failed: {type(error).__name__}")


def failure_of(error: SyncError) -> Failure:
    """Why the events that an error concerns could not be applied."""
    if isinstance(error, RequestRefused):
        return Failure(error="Failed Operation", message=error.message, code=error.code)
    return Failure(error="Failed Operation" if isinstance(error, AbortRun) else "Invalid Row", message=error.message)
