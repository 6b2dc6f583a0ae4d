"""The process that runs scripts: reads requests from standard input, writes answers to standard output.

A request has two parts: the text of the script, and rows as JSON (empty: only check the script). An answer has one
byte that says what it is, and a text. Each part has four bytes before it with its length. See `prelude.js` for rows
and results.

The process has no environment variables but the time zone, which is UTC. After its start it can open no file and no
connection. It imports the engine and the standard library only.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

RESULTS: Final = b"R"
MISTAKE: Final = b"M"  # the script cannot be used at all
STOPPED: Final = b"S"  # it took too long or too much memory on these rows

_MEMORY: Final = 128 * 2**20  # bytes for the script and its values
_STACK: Final = 512 * 2**10  # bytes
# The interpreter, the engine, and one request and its answer as text.
_PROCESS_MEMORY: Final = 1024 * 2**20


def write_part(stream: IO[bytes], part: bytes) -> None:
    """Write one part with its length before it."""
    stream.write(len(part).to_bytes(4, "big") + part)


def read_part(stream: IO[bytes]) -> bytes | None:
    """Read one part; None where the stream ends before it is whole."""
    length = stream.read(4)
    if len(length) < 4:  # noqa: PLR2004 - bytes of a length
        return None
    part = stream.read(int.from_bytes(length, "big"))
    return part if len(part) == int.from_bytes(length, "big") else None


def _limit_process() -> None:
    """Take away what the process does not need any more; Windows has no such limits."""
    try:
        import resource  # noqa: PLC0415 - see above
    except ImportError:
        return
    for what, most in (
        (resource.RLIMIT_AS, _PROCESS_MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def _answer(context: Any, error: type[Exception], prelude: str, script: str, rows: str) -> tuple[bytes, str]:
    try:
        run: Callable[[str], str] = context.eval(prelude)(script)
    except error as mistake:
        stopped = str(mistake).startswith("InternalError: ")  # interrupted, or out of memory
        return (STOPPED, "") if stopped else (MISTAKE, str(mistake))
    if not rows:
        return RESULTS, ""
    try:
        return RESULTS, run(rows)
    except error:
        return STOPPED, ""


def _context(engine: Any, seconds: float) -> Any:
    context = engine.Context()
    context.set_memory_limit(_MEMORY)
    context.set_max_stack_size(_STACK)
    context.set_time_limit(seconds)
    return context


def main() -> None:
    """Answer requests until standard input ends."""
    folder, seconds = sys.argv[1:]
    sys.path.append(folder)
    prelude = Path(__file__).with_name("prelude.js").read_text("utf-8")
    engine = importlib.import_module("quickjs")  # its folder is an argument

    _limit_process()
    while (script := read_part(sys.stdin.buffer)) is not None and (rows := read_part(sys.stdin.buffer)) is not None:
        context = _context(engine, float(seconds))
        kind, text = _answer(context, engine.JSException, prelude, script.decode(), rows.decode())
        write_part(sys.stdout.buffer, kind + text.encode("utf-8", "surrogatepass"))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
