"""Waiting for what other threads and processes do, and letting them wait until a test has seen it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from emulator.testing import RunningEmulator

__all__ = ["held_creates", "until_true"]

# Far more than anything takes; a test as a whole ends after two minutes.
_SECONDS = 100


def until_true(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + _SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)


@contextmanager
def held_creates(emulator: RunningEmulator, prefix: str = "", *, after: int = 1) -> Iterator[None]:
    """Let some requests through that create accounts, and hold those that follow until the end of the block.

    Args:
        emulator: The Dataverse; all its faults are cleared at the end.
        prefix: Only requests with an account whose number begins so.
        after: How many requests are let through.
    """
    create = {"method": "POST", "path": "CRM.CreateMultiple"} | (
        {"filter": f"startswith(accountnumber,'{prefix}')"} if prefix else {}
    )
    first = {"action": "delay", "match": create, "seconds": 0, "times": after}
    emulator.faults([first, {"action": "delay", "match": create, "seconds": 600, "times": 1_000_000}])
    try:
        yield
    finally:
        emulator.clear_faults()
