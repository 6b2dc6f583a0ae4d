"""The boundary of real time: an error that an event causes becomes a failure of that event alone."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from shared.errors import AbortRun, AnswerLost, NoRoomError, RequestRefused, RetryLater, SyncError
from shared.reconcile import PlanAction
from shared.state import ErrorRow

__all__ = ["NOTHING_DONE", "Failure", "OvertakenError", "WaveResult", "attempted", "bisect", "failure_of", "in_turns"]

log = logging.getLogger(__name__)

_PAUSE: Final = 30.0  # seconds that the host had better wait, also until others may have freed disk space
_TURNS: Final = 10  # of events that others go on overtaking
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


class OvertakenError(RetryLater):
    """Newer events of the same records took effect meanwhile, so the rest of the changes was not sent.

    The same events can be given again: with the new positions, what is old changes nothing.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=_PAUSE)


def in_turns(work: Callable[[], Made]) -> Made:
    """Do work again at once where others have overtaken it: with the new positions it leaves out what is old.

    Raises:
        OvertakenError: Others have overtaken it each time.
    """
    for _ in range(_TURNS - 1):
        try:
            return work()
        except OvertakenError:
            continue
    return work()


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
        RetryLater, AnswerLost: No event is the cause; see `failure_of`.
    """
    try:
        return work()
    except SyncError as error:
        return failure_of(error)
    except Exception as error:  # the boundary of real time: an unforeseen error becomes a dead letter
        log.exception("%s failed in a way that was not foreseen", doing)
        return Failure(error="Unforeseen", message=f"the program failed: {type(error).__name__}")


def failure_of(error: SyncError) -> Failure:
    """Why the events that an error concerns could not be applied.

    Raises:
        RetryLater: The error is one, or the disk of the instance is full: no event is the cause, and they come again.
        AnswerLost: The error is one.
    """
    if isinstance(error, (RetryLater, AnswerLost)):
        raise error
    if isinstance(error, NoRoomError):
        raise RetryLater(error.message, retry_after=_PAUSE) from error
    if isinstance(error, RequestRefused):
        return Failure(error="Failed Operation", message=error.message, code=error.code)
    return Failure(error="Failed Operation" if isinstance(error, AbortRun) else "Invalid Row", message=error.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveResult:
    """The result of a wave.

    Attributes:
        failures: Position of a net change -> why it was refused.
        counts: Records by what was done to them: the names of the decisions, `adopted` and `failed`; and `edited`,
            those of them that keep a value which others have edited.
        left_out: Position of a net change -> the errors of the fields that it was applied without.
        waiting: Positions of net changes that refer to what is not there yet; nothing was done about them.
    """

    failures: Mapping[int, Failure]
    counts: Mapping[str, int]
    left_out: Mapping[int, tuple[ErrorRow, ...]] = field(default_factory=dict)
    waiting: frozenset[int] = frozenset()

    def refusing(self, refused: Mapping[int, Failure]) -> WaveResult:
        """The same, where some of the ignored changes were refused before they were written."""
        counts = Counter(self.counts)
        counts.update({PlanAction.IGNORED.value: -len(refused), "failed": len(refused)})
        return replace(self, failures={**self.failures, **refused}, counts=+counts)

    def placed(self, positions: Sequence[int], waiting: frozenset[int]) -> WaveResult:
        """The same for a wave of which only the changes at these positions were applied, and others wait."""
        return WaveResult(
            failures={positions[place]: failure for place, failure in self.failures.items()},
            counts=self.counts,
            left_out={positions[place]: errors for place, errors in self.left_out.items()},
            waiting=waiting | {positions[place] for place in self.waiting},
        )


NOTHING_DONE: Final = WaveResult(failures={}, counts={})
