"""CPU time and memory of a measured program, which prints them in its last line."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any


def peak_mb() -> float:
    """Highest resident memory of this process since it began to run this program.

    `ru_maxrss` would start at what the process that started it held.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return round(int(found[1]) / 1024, 1) if found else 0.0


def report(**facts: Any) -> None:
    """Print facts and footprint as the line of JSON that `programs.measured` reads."""
    print(json.dumps({**facts, "cpu_seconds": round(time.process_time(), 3), "peak_mb": peak_mb()}), flush=True)
