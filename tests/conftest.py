"""Settings that all tests share."""

from __future__ import annotations

import fcntl
import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# One Azurite and one PostgreSQL for a whole session: fixtures that a module imports would be made for it alone.
pytest_plugins = ["tests.azurite.fixtures", "tests.postgresql.fixtures"]

# Thousands of collected tests stay until the end: the garbage collector would look through all of them again and again.
gc.disable()

# Property tests speak to real servers: time is no sign of trouble here, and a busy machine must not fail them.
_SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile("default", max_examples=50, deadline=None, suppress_health_check=_SLOW_IS_FINE)
# For every change; the nightly run has the default: more examples, and new ones every night.
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, max_examples=30)
settings.register_profile("coverage", settings.get_profile("ci"), max_examples=10)  # each line, not each case
settings.register_profile("thorough", settings.get_profile("default"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_finish() -> None:
    """Collect garbage from now on, but not among what was there before the first test."""
    gc.enable()
    gc.freeze()


@pytest.fixture
def demo_port() -> Iterator[None]:
    """The port 5080, which the demo has: one test at a time starts it, also among the workers."""
    with (Path(tempfile.gettempdir()) / "dynamics-sync-demo-port.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
