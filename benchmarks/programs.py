"""Runs each measured program in a separate process, so that time and memory are measured separately."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from benchmarks.dataverse import ROOT, Local

SAMPLE_SECONDS = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one program took.

    Attributes:
        wall_seconds: From its start to its end, Python's own start included.
        rows: Rows that it wrote, as the service counted them.
        facts: What the program said in its last line.
    """

    program: str
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    requests: int
    throttled: int
    rows: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The service's counters at one moment.

    Attributes:
        executed: Seconds of execution of all requests, as the service's limit counts them.
    """

    at: float
    rows: int
    requests: int
    throttled: int
    executed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """What a program does in each second once a limit of the service binds.

    Attributes:
        executed_a_second: Seconds of execution.
        requests: In all the time.
        throttled: Those of them that were refused.
    """

    rows_a_second: float = 0.0
    executed_a_second: float = 0.0
    requests: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class Course:
    """How a run went, as the service saw it.

    Attributes:
        finished: Whether it came to its end; otherwise its last rows say nothing about how long it took.
    """

    samples: tuple[Sample, ...]
    finished: bool = True

    def after(self, seconds: float) -> Sustained:
        """What was done from one window after the first row to the last whole window.

        Whole windows, because a client that spends each window's budget at once works in bursts.

        Args:
            seconds: Length of a window.
        """
        moving = [sample for sample in self.samples if sample.rows > self.samples[0].rows]
        if not moving:
            return Sustained()
        late = [sample for sample in moving if sample.at >= moving[0].at + seconds]
        end = next(sample for sample in moving if sample.rows == moving[-1].rows) if self.finished else moving[-1]
        if not late or late[0].at >= end.at:
            return Sustained()
        whole = late[0].at + (end.at - late[0].at) // seconds * seconds
        end = next((sample for sample in late if sample.at >= whole > late[0].at), end)
        passed = end.at - late[0].at
        return Sustained(
            rows_a_second=(end.rows - late[0].rows) / passed,
            executed_a_second=(end.executed - late[0].executed) / passed,
            requests=end.requests - late[0].requests,
            throttled=end.throttled - late[0].throttled,
        )


class Recorder:
    """Looks at the service's counters while a program runs."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._over = threading.Event()
        self._samples: list[Sample] = []
        self._thread = threading.Thread(target=self._record, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._samples.append(self.look())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look a last time."""
        self._over.set()
        self._thread.join()
        self._samples.append(self.look())

    def course(self) -> Course:
        """What was seen."""
        return Course(tuple(self._samples))

    def look(self) -> Sample:
        """The counters now."""
        stats = self._local.emulator.stats()
        rows = stats["rows"]
        return Sample(
            at=time.perf_counter(),
            rows=sum(rows.get(name, 0) for name in ("create", "update", "delete")),
            requests=stats["requests"]["total"],
            throttled=stats["throttles"]["total"],
            executed=stats["execution_seconds"],
        )

    def _record(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self._samples.append(self.look())


def measured(program: str, local: Local, *command: str, patience: float | None = None) -> tuple[Measured, Course]:
    """Run `python -m command` against a local Dataverse to its end, or until patience runs out.

    Raises:
        SystemExit: The program failed.
    """
    with Recorder(local) as recorder:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=local.environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            output = json.dumps({"unfinished": True, "cpu_seconds": 0.0, "peak_mb": 0.0})
        wall = time.perf_counter() - begun
    facts = json.loads(output.splitlines()[-1]) if output else {}
    if process.returncode and "unfinished" not in facts:
        raise SystemExit(f"{program} ended with {process.returncode}: {' '.join(command)}")
    course = replace(recorder.course(), finished="unfinished" not in facts)
    first, last = course.samples[0], course.samples[-1]
    result = Measured(
        program=f"{program}, not finished" if "unfinished" in facts else program,
        wall_seconds=round(wall, 2),
        cpu_seconds=facts.pop("cpu_seconds"),
        peak_mb=facts.pop("peak_mb"),
        requests=last.requests - first.requests,
        throttled=last.throttled - first.throttled,
        rows=last.rows - first.rows,
        facts=facts,
    )
    return result, course


def told(*command: str) -> dict[str, Any]:
    """Run a script that prints one JSON object and needs no service.

    Raises:
        SystemExit: The script failed.
    """
    done = subprocess.run([sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
