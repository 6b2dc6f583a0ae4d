"""The time of this machine that cannot be set: all processes see the same, and it continues during sleep.

A clock of the wall is set, by people and by the network; a lease that is counted by it is lost or never ends. The
count since the machine started has no such steps. It has no meaning on another machine or after a restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "since_boot"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def since_boot() -> float:
    """Seconds since the machine started, its sleep included where the system counts that.

    A run must notice that its lease expired while the machine slept, which `time.monotonic` does not show on Linux.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _boot() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine that a process runs on.

    Attributes:
        boot: Names the time since its last start; empty where the system has no name for it.
        seconds: Gives the seconds since then.
    """

    boot: str
    seconds: Callable[[], float] = since_boot

    @classmethod
    def this(cls) -> Machine:
        """The machine as it is now."""
        return cls(boot=_boot())
