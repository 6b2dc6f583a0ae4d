"""A run that a person stops: it says at once what it waits for, and ends with its summary."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from shared.cli.screen.output import Output

if TYPE_CHECKING:
    from datetime import datetime

    from shared.jobs import Phase, Progress  # only named: `--help` need not wait for the jobs to load

__all__ = ["Stopping"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_WAITED_FOR: Final = {
    "write": "Stopping: no further request is sent. Those that are under way are waited for and counted. "
    "To stop without waiting, ask again",
    "post_sync": "Stopping: all changes are written, and no further step begins. The one that is under way is waited "
    "for. To stop without waiting, ask again",
    "finish": "Stopping: the results are being kept, and then the run ends. To stop without waiting, ask again",
}
_QUICKLY: Final = "Stopping without waiting"
_NOT_WAITING: Final = {
    "write": f"{_QUICKLY}: requests that are under way may still have an effect. The sync can run again after about a "
    "minute, when its lease has ended"
}
_AT_ONCE: Final = "Stopping: nothing has been written"


class Stopping:
    """Takes Ctrl-C and SIGTERM while a run lasts; it is the run's progress, so that it knows what the run does.

    What has been sent has an effect, so a run that writes stops between two requests. Before that it stops at once, and
    so it does where it is asked a second time.
    """

    def __init__(self, output: Output, progress: Progress) -> None:
        self._output = output
        self._progress = progress
        self._phase = ""
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals; only the main thread can."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def cancelled(self) -> bool:
        """Whether the run was asked to stop."""
        return self._asked

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """See `Progress.phase`."""
        self._phase = phase.value
        self._progress.phase(phase, total)

    def advance(self, rows: int) -> None:
        """See `Progress.advance`."""
        self._progress.advance(rows)

    def throttled(self, requests: int, until: datetime) -> None:
        """See `Progress.throttled`."""
        self._progress.throttled(requests, until)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        said = _WAITED_FOR.get(self._phase)
        if said is None or self._asked:
            self._output.say(_AT_ONCE if said is None else _NOT_WAITING.get(self._phase, _QUICKLY), style="yellow")
            raise KeyboardInterrupt
        self._asked = True
        self._output.say(said, style="yellow")
