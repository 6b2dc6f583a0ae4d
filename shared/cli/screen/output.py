"""The output of a command: its result to standard output, everything else to standard error."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from shared.errors import UserError
from shared.visible import for_terminal, in_json

__all__ = ["Output", "write_file", "write_files"]

PIPE_WIDTH = 120  # a pipe or a log has no width of its own; rich would take it for a terminal of 80


@dataclass(slots=True, kw_only=True)
class Output:
    """The two streams of a command.

    Attributes:
        as_json: Whether the result is one JSON object for a program; set while the options are read.
        told: Whether a result was printed.
    """

    as_json: bool = False
    told: bool = False
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def result(self, value: Mapping[str, Any], *shown: RenderableType) -> None:
        """Print the result: the value for programs, the rest for people.

        Raises:
            UserError: Standard output takes no more.
            BrokenPipeError: The reader has closed the pipe, as with `| head`.
        """
        self.told = True
        try:
            self._print(value, shown)
            self.out.file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"the result cannot be written to standard output: {error.strerror}") from error

    def _print(self, value: Mapping[str, Any], shown: Sequence[RenderableType]) -> None:
        if self.as_json:
            # Escaped to ASCII, so that no terminal's or pipe's encoding can break it.
            self.out.file.write(in_json(json.dumps(value, indent=2)) + "\n")
            return
        for each in shown:
            self.out.print(each)

    def say(self, text: RenderableType, *, style: str | None = None) -> None:
        """Print something that is not the result."""
        self.err.print(text, style=style)


class _CleanConsole(Console):
    """A console that removes terminal commands from all texts; all output uses it."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render something; control characters in texts have no effect on the terminal."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(for_terminal(segment.text), segment.style)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a terminal without umlauts shows them in another way
    console = _CleanConsole(stderr=stderr, highlight=False, markup=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, PIPE_WIDTH)
    return console


def write_file(path: Path, text: str | bytes) -> None:
    """Write a file that the user asked for.

    Raises:
        UserError: It cannot be written. A file that was there before is as it was.
    """
    from shared.app.definition_files.whole import write_whole  # noqa: PLC0415 - the package loads all of the app

    data = text.encode("utf-8") if isinstance(text, str) else text
    try:
        write_whole(path, data)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[Path]:
    """Write files, each with a name and its bytes, into a folder, and return their paths.

    Raises:
        UserError: A file cannot be written.
    """
    paths = []
    for name, data in files:
        write_file(folder / name, data)
        paths.append(folder / name)
    return paths
