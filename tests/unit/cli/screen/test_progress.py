"""Progress bars: drawn on a terminal, absent in a pipe."""

from __future__ import annotations

import io

from rich.console import Console

from shared.cli.screen.progress import Bars
from shared.jobs import Phase


def drawn(*, terminal: bool) -> str:
    stream = io.StringIO()
    with Bars(Console(file=stream, force_terminal=terminal, width=100, color_system=None)) as bars:
        bars.advance(1)  # before the first phase nothing is counted
        bars.phase(Phase.READ)
        bars.advance(5000)
        bars.phase(Phase.WRITE, 2000)
        bars.advance(1500)
    return stream.getvalue()


def test_a_terminal_shows_phases_with_rows_done_and_expected() -> None:
    """Each phase keeps its line; the total stands where it is known."""
    shown = drawn(terminal=True)
    assert "Read the target" in shown
    assert "5,000 rows" in shown
    assert "1,500 of 2,000 rows" in shown


def test_a_pipe_gets_no_bars() -> None:
    """Nothing is written to a pipe."""
    assert drawn(terminal=False) == ""
