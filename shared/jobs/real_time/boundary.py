"""The boundary of real time: an error that an event causes becomes a failure of that event alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.errors import AbortRun, AnswerLost, RequestRefused, RetryLater, SyncError

__all__ = ["Failure", "attempted", "bisect", "failure_of"]

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an event could not be applied; never holds a value of it.

    Attributes:
        error: The kind of error, as in the execution errors.
        code: The service's code, where it is the service's refusal.
    """

    error: str
    message: str
    code: str = ""


def bisect(
    items: Sequence[Item], attempt: Callable[[Sequence[Item]], Made | Failure]
) -> Iterator[tuple[Sequence[Item], Made | Failure]]:
    """Attempt items together; if they fail, halve them until the item that fails is alone.

    Args:
        items: In their order, which the attempts keep.
        attempt: Works on items together; returns a Failure where that fails without naming the item.

    Yields:
        The items of an attempt with what it made, or one item with its failure. The next attempt is made only when the
        next pair is asked for, so it sees what the caller did with this one.
    """
    if not items:
        return
    made = attempt(items)
    if isinstance(made, Failure) and len(items) > 1:
        middle = len(items) // 2
        yield from bisect(items[:middle], attempt)
        yield from bisect(items[middle:], attempt)
    else:
        yield items, made


def attempted(work: Callable[[], Made], doing: str) -> Made | Failure:
    """Do work that depends on the content of events: an error becomes a failure of these events.

    Raises:
        RetryLater: Dataverse or the state store is not available.
        AnswerLost: Likewise.
    """
    try:
        return work()
    except (RetryLater, AnswerLost):
        raise
    except SyncError as error:
        return failure_of(error)
    except Exception as error:  # the boundary of real time: an unforeseen error becomes a dead letter
        log.exception("%s failed in a way that was not foreseen", doing)
        return Failure(error="Unforeseen", message=f"the program failed: {type(error).__name__}")


def failure_of(error: SyncError) -> Failure:
    """Why the events that an error concerns could not be applied."""
    if isinstance(error, RequestRefused):
        return Failure(error="Failed Operation", message=error.message, code=error.code)
    return Failure(error="Failed Operation" if isinstance(error, AbortRun) else "Invalid Row", message=error.message)
