"""Statements under a time limit.

DuckDB can be interrupted between two pieces of work. A function that takes long within one piece, on a large value,
cannot be interrupted. So a statement with a limit runs in a separate thread: when its time is over, DuckDB is
interrupted; if that does not help, the statement is abandoned, so that the caller can continue.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, TypeVar

__all__ = ["OverdueError", "within"]

T = TypeVar("T")

# How long DuckDB is given to come back after the interrupt: one piece of work on 2,048 rows takes far less.
_GRACE: Final = 5.0
_ASKED: Final = 50


class OverdueError(Exception):
    """The time is over.

    Attributes:
        stuck: DuckDB did not come back either: its connection is still at work and cannot be used again.
    """

    def __init__(self, *, stuck: bool) -> None:
        super().__init__("the time limit is reached")
        self.stuck = stuck


class _Call:
    """One call and its result: a value or an error, which is raised again in the waiting thread."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._done = threading.Event()
        self.value: Any = None
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        self._done.set()
        return True

    def run(self) -> None:
        with self:
            self.value = self._work()

    def ended(self, seconds: float) -> bool:
        return self._done.wait(max(0.0, seconds))

    def stopped(self, interrupt: Callable[[], None], grace: float) -> bool:
        """Ask the work to stop; once more after a while, because it may not even have begun."""
        for _ in range(_ASKED):
            interrupt()
            if self.ended(grace / _ASKED):
                return True
        return False


def within(
    left: Callable[[], float], work: Callable[[], T], interrupt: Callable[[], None], *, grace: float = _GRACE
) -> T:
    """Do some work and return what it gives, or stop it when its time is over.

    Args:
        left: How many seconds are left; the work may move the limit while it runs.
        work: What to do, in another thread.
        interrupt: Asks the work to stop, from this thread.
        grace: How many seconds to wait, once asked, until the work counts as stuck.

    Raises:
        OverdueError: It took longer.
    """
    call = _Call(work)
    # A daemon, so that work that cannot be stopped does not keep the process from ending.
    threading.Thread(target=call.run, name="statement", daemon=True).start()
    try:
        while not call.ended(left()):
            if left() <= 0:
                raise OverdueError(stuck=not call.stopped(interrupt, grace))
    except KeyboardInterrupt:
        call.stopped(interrupt, grace)
        raise
    if call.error is not None:
        raise call.error
    value: T = call.value
    return value
