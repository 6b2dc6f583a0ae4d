"""A Dataverse for the tests of real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import RunningEmulator, running
from tests.integration.jobs.real_time.world import World

Make = Callable[..., World]
HOUR = 3600
LONGEST = 5  # seconds of a test whose events go into one row of the execution log


@pytest.fixture(autouse=True)
def within_an_hour() -> None:
    """The execution log has a row for each hour: no test begins where the next hour may begin before its end."""
    left = HOUR - time.time() % HOUR
    if left < LONGEST:
        time.sleep(left)


@pytest.fixture(scope="session")
def emulator() -> Iterator[RunningEmulator]:
    """One server for the session."""
    with running(in_thread=True) as server:
        yield server


@pytest.fixture
def make(emulator: RunningEmulator, tmp_path: Path) -> Iterator[Make]:
    """Makes a world over an empty Dataverse."""
    emulator.reset()
    made: list[World] = []

    def build(**parts: Any) -> World:
        made.append(World(emulator=emulator, folder=tmp_path, **parts))
        return made[-1]

    yield build
    emulator.clear_faults()
    for each in made:
        each.tools.memory.workspaces.close()
        each.state.close()
