"""What limits the requests of a block: until when they are repeated and answered, and who may stop a wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.clock import Clock
from shared.errors import SyncError

__all__ = ["WaitStoppedError", "Waiting", "earlier"]

_POLL = 0.5  # seconds between two questions whether a wait is to be stopped


class WaitStoppedError(SyncError):
    """A wait for the service was stopped. The request is not sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The limits of a block.

    Attributes:
        until: Moment of the clock's `monotonic`, in seconds, beyond which nothing waits; None for no limit.
        answered: The same for the answers of requests that write nothing.
        stopped: Each may end a wait by True.
    """

    until: float | None = None
    answered: float | None = None
    stopped: tuple[Callable[[], bool], ...] = ()

    def narrowed(self, moment: float | None, *, answered: bool, stopped: Callable[[], bool] | None) -> Waiting:
        """The limits of a block in this one; see `Service.until`."""
        return Waiting(
            until=earlier(self.until, moment),
            answered=earlier(self.answered, moment if answered else None),
            stopped=self.stopped if stopped is None else (*self.stopped, stopped),
        )

    def pause(self, clock: Clock, seconds: float) -> None:
        """Wait.

        Raises:
            WaitStoppedError: The wait was stopped.
        """
        if not self.stopped:
            clock.sleep(seconds)
            return
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0:
            if any(asked() for asked in self.stopped):
                raise WaitStoppedError("Dataverse throttles or is not available, and the wait for it was stopped")
            clock.sleep(min(left, _POLL))


def earlier(one: float | None, other: float | None) -> float | None:
    """The lower of two limits. None means no limit."""
    return min((each for each in (one, other) if each is not None), default=None)
