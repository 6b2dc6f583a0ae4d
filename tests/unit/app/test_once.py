"""What is made once in a process, however many threads ask for it first."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import TypeVar

import pytest

from shared.app import App, current
from shared.app.once import Once, made_once
from shared.settings import Settings

T = TypeVar("T")
THREADS = 4


def at_once(ask: Callable[[], T]) -> list[T]:
    """What threads get that ask at the same time."""
    begin = Barrier(THREADS)

    def asked() -> T:
        begin.wait()
        return ask()

    with ThreadPoolExecutor(THREADS) as pool:
        waiting = [pool.submit(asked) for _ in range(THREADS)]
        return [each.result() for each in waiting]


class Thing:
    """Has a slow property, one that needs it, and one that fails once."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.go_on = Event()

    @made_once
    def slow(self) -> object:
        """Takes a while."""
        time.sleep(0.05)
        self.made.append("slow")
        return object()

    @made_once
    def above(self) -> tuple[object, object]:
        return self.slow, object()

    @made_once
    def waits(self) -> bool:
        return self.go_on.wait(10)

    @made_once
    def fails(self) -> int:
        self.made.append("fails")
        if self.made.count("fails") == 1:
            raise ValueError("not yet")
        return 5


def test_a_property_is_made_once_for_all_threads() -> None:
    """Also one that needs another one; each object has its own."""
    thing, other = Thing(), Thing()
    assert len({id(each) for each in at_once(lambda: thing.above)}) == 1
    assert thing.made == ["slow"]
    assert thing.above[0] is thing.slow
    assert other.slow is not thing.slow
    assert Thing.slow.__doc__ == "Takes a while."


def test_a_property_that_takes_long_does_not_hold_up_another_one() -> None:
    """A state store that is slow to open is no reason to wait for the definitions."""
    thing = Thing()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: thing.waits)
        assert thing.slow is thing.slow
        thing.go_on.set()
        assert waiting.result()


def test_a_property_that_failed_is_made_anew() -> None:
    """Such as a store that did not answer."""
    thing = Thing()
    with pytest.raises(ValueError, match="not yet"):
        _ = thing.fails
    assert (thing.fails, thing.fails, thing.made) == (5, 5, ["fails"] * 2)


def test_a_function_is_called_once_for_all_threads() -> None:
    """Until its result is forgotten; a failure is not kept."""
    calls: list[int] = []

    @Once
    def made() -> object:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")
        time.sleep(0.05)
        return object()

    with pytest.raises(ValueError, match="not yet"):
        made()
    assert len({id(each) for each in at_once(made)}) == 1
    assert len(calls) == 2
    first = made()
    made.cache_clear()
    assert made() is not first


def test_a_process_has_one_app_with_one_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first batches of several partitions come together after a start."""
    monkeypatch.chdir(tmp_path)
    opened: list[App] = []

    def open_app() -> App:
        time.sleep(0.05)
        opened.append(App(Settings(sync_definitions=str(tmp_path), state_store=f"sqlite:///{tmp_path}/state.db")))
        return opened[-1]

    monkeypatch.setattr("shared.app.process.open_app", open_app)
    monkeypatch.setattr("shared.app.process.configure", lambda _settings: None)
    current.cache_clear()
    try:
        found = at_once(lambda: (current(), current().state, current().event_tools, current().wiring.repository))
    finally:
        current.cache_clear()
    assert len(opened) == 1
    assert all(len({id(each) for each in kind}) == 1 for kind in zip(*found, strict=True))
