"""Runs scripts in a process of its own, which is ended when a script takes too long."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from shared.errors import RetryLater, UserError
from shared.scripts.child import MISTAKE, RESULTS, read_part, write_part

__all__ = ["MOST_STOPPED", "Allowance", "ScriptEngine", "ScriptError"]

_CHILD: Final = Path(__file__).with_name("child.py")
_PATIENCE: Final = 20.0  # seconds for an answer: the script's own second, on a machine that does other work
MOST_STOPPED: Final = 10
"""Rows on which a script may be stopped in one run: each costs up to `_PATIENCE` seconds."""
_SECONDS: Final = 1.0
_PLACE: Final = re.compile(r"^ +at <input>:(\d+)", re.MULTILINE)
_HEADER_LINES: Final = 2  # of the function that the engine makes of a script
_MISSING: Final = (
    'script columns need the package quickjs-ng: pip install "dynamics-sync[javascript]", or write a formula in SQL'
)


class ScriptError(Exception):
    """A script that cannot be used: it cannot be read, has no function `calc`, or fails before its first row."""


@dataclass(slots=True)
class Allowance:
    """On how many rows of a run a script may be stopped, and on which it was.

    Attributes:
        stopped: The numbers of these rows; a row that is calculated again counts once.
    """

    most: int = MOST_STOPPED
    stopped: set[int] = field(default_factory=set)


class ScriptEngine:
    """Runs scripts; the process starts with the first one.

    Safe for threads: one request after the other.

    Args:
        seconds: Processor time of the script for one row, and for the rows of one request.
        patience: Seconds to wait for one answer.
    """

    def __init__(self, *, seconds: float = _SECONDS, patience: float = _PATIENCE) -> None:
        self._seconds = seconds
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None
        self._stop: weakref.finalize[..., ScriptEngine] | None = None
        self._too_much = f"takes more than {seconds:g} s, or more than 128 MB"
        self._lock = threading.Lock()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="scripts")

    def close(self) -> None:
        """End the process; the engine is not used afterwards."""
        with self._lock:
            self._end()
        self._reader.shutdown()

    def check(self, script: str) -> None:
        """Read a script, and run what is outside of its function.

        Raises:
            Mistake: It cannot be used.
            UserError: The engine is not installed.
            RetryLater: Its process cannot be started now.
        """
        with self._lock:
            if self._asked(script, "") is None:
                raise ScriptError(f"what is outside of the function {self._too_much}")

    def results(self, script: str, rows: Sequence[str], allowance: Allowance) -> str:
        """The results of a script for some rows: each batch in a new context, so nothing is kept between batches.

        Args:
            script: Text with a function `calc`.
            rows: JSON texts of rows; see `prelude.js`.
            allowance: That of the run.

        Returns:
            The results as a JSON array, in the order of the rows.

        Raises:
            Mistake: The script cannot be used.
            UserError: The engine is not installed, or the script was stopped on too many rows.
            RetryLater: Its process cannot be started now.
        """
        with self._lock:
            found = self._asked(script, f"[{','.join(rows)}]")
            if found is not None:
                return found
            return f"[{','.join(self._one_by_one(script, rows, allowance))}]"

    def _one_by_one(self, script: str, rows: Sequence[str], allowance: Allowance) -> Iterator[str]:
        """The results of rows that together take too long: a row may have the whole time of a request."""
        for row in rows:
            found = self._asked(script, f"[{row}]")
            if found is not None:
                yield found[1:-1]
                continue
            number = json.loads(row)["n"]
            allowance.stopped.add(number)
            if len(allowance.stopped) > allowance.most:
                raise UserError(f"the script {self._too_much} on more than {allowance.most:,} rows")
            yield json.dumps({"n": number, "r": None, "e": self._too_much})

    def _asked(self, script: str, rows: str) -> str | None:
        """The answer to one request; None where the script was stopped, or its process ended."""
        process = self._running()
        request, answer = process.stdin, process.stdout
        if request is None or answer is None:  # both are pipes
            raise AssertionError
        exchange: Future[bytes | None] = self._reader.submit(_exchange, request, answer, script, rows)
        try:
            found = exchange.result(self._patience)
        except TimeoutError:
            found = None
        except OSError:  # the process has ended
            found = None
        if found is None:
            self._end()
            with suppress(OSError):
                exchange.result()
            return None
        kind, text = found[:1], found[1:].decode("utf-8", "replace")
        if kind == MISTAKE:
            raise ScriptError(_in_script(text, script))
        return text if kind == RESULTS else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            found = importlib.util.find_spec("quickjs")
            if found is None or found.origin is None:
                raise UserError(_MISSING)
            self._process = process = _started(str(Path(found.origin).parent.parent), self._seconds)
            # One that nobody closes ends with its process, or when nothing uses it any more.
            self._stop = weakref.finalize(self, _stopped, process)
        return self._process

    def _end(self) -> None:
        self._process = None
        if self._stop is not None:
            self._stop()


def _started(folder: str, seconds: float) -> subprocess.Popen[bytes]:
    """A new process, with the folder of the engine's package.

    Raises:
        RetryLater: The machine starts none now: it has no memory for it, or too many processes. No row is the cause.
    """
    try:
        return subprocess.Popen(  # noqa: S603 - the interpreter of this process and a file of ours
            [sys.executable, "-I", "-S", str(_CHILD), folder, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"TZ": "UTC0"},  # without it the engine would take the time zone of the machine
        )
    except OSError as error:
        raise RetryLater(f"no process for scripts can be started: {error.strerror}", retry_after=30) from error


def _stopped(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was not sent yet
                pipe.close()


def _exchange(request: IO[bytes], answer: IO[bytes], script: str, rows: str) -> bytes | None:
    write_part(request, script.encode("utf-8", "replace"))
    write_part(request, rows.encode("utf-8", "replace"))
    request.flush()
    return read_part(answer)


def _in_script(text: str, script: str) -> str:
    """A message of the engine with the line of the script."""
    message = text.strip().partition("\n")[0] or "the script cannot be read"
    found = _PLACE.search(text)
    line = int(found[1]) - _HEADER_LINES if found else 0
    if not message.startswith("SyntaxError: ") or line < 1:
        return message
    # A mistake that shows at the end of the text is behind its last line.
    return f"line {min(line, script.rstrip().count(chr(10)) + 1)}: {message.removeprefix('SyntaxError: ')}"
