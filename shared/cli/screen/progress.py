"""Progress bars on a terminal; silence in a pipe."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from datetime import datetime

    from shared.jobs import Phase  # only named: `--help` need not wait for the jobs to load

__all__ = ["Bars"]

BAR = 16  # columns: with millions of rows of millions, a line fits into 80
_SAID = {
    "check": "Check the mappings",
    "load": "Load the source",
    "shape": "Shape its rows",
    "read": "Read the target",
    "reconcile": "Compare",
    "write": "Write",
    "finish": "Finish",
    "post_sync": "Steps after the sync",
}


class Bars:
    """One line a phase, with rows done and time taken."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=BAR),
            TextColumn("{task.fields[counted]}", justify="right"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._current: TaskID | None = None

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; what is there stays."""
        if error is None:
            self._complete()
        self._bars.stop()

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """Begin a phase; the one before it is done."""
        self._complete()
        self._current = self._bars.add_task(_SAID.get(phase.value, phase.value), total=total, counted="")

    def advance(self, rows: int) -> None:
        """Count rows of the phase."""
        if self._current is None:
            return
        self._bars.advance(self._current, rows)
        task = self._bars.tasks[self._current]
        of = f" of {task.total:,.0f}" if task.total else ""
        self._bars.update(self._current, counted=f"{task.completed:,.0f}{of} rows")

    def throttled(self, requests: int, until: datetime) -> None:  # noqa: ARG002 - the summary has the number
        """Say why nothing moves, until the next rows are done."""
        if self._current is not None:
            self._bars.update(self._current, counted=f"throttled, waits until {until:%H:%M:%S} UTC")

    def _complete(self) -> None:
        if self._current is not None:
            done = self._bars.tasks[self._current].completed or 1  # a phase without rows is also complete
            self._bars.update(self._current, total=done, completed=done)
            self._bars.stop_task(self._current)
