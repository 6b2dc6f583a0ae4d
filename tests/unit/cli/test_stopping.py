"""A run that a person stops."""

from __future__ import annotations

import io
import signal

import pytest
from rich.console import Console

from shared.cli.screen.output import Output
from shared.cli.stopping import Stopping
from shared.jobs import NoProgress, Phase


def stopping() -> tuple[Stopping, io.StringIO]:
    stream = io.StringIO()
    return Stopping(Output(err=Console(file=stream, width=200)), NoProgress()), stream


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", [Phase.WRITE, Phase.FINISH, Phase.POST_SYNC])
def test_a_run_that_writes_is_asked_to_stop_and_says_what_it_waits_for(number: signal.Signals, phase: Phase) -> None:
    """Asked a second time, it does not wait; the signals are given back in the end."""
    before = signal.getsignal(number)
    made, stream = stopping()
    with made:
        made.phase(phase)
        assert not made.cancelled()
        signal.raise_signal(number)
        assert made.cancelled()
        assert stream.getvalue().startswith("Stopping: ")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert "Stopping without waiting" in stream.getvalue()
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("phase", [None, Phase.LOAD, Phase.RECONCILE])
def test_a_run_that_has_written_nothing_stops_at_once(phase: Phase | None) -> None:
    """And says so."""
    made, stream = stopping()
    if phase:
        made.phase(phase)
    with made, pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert stream.getvalue() == "Stopping: nothing has been written\n"
