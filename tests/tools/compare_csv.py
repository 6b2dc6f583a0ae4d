"""Load every file of a folder with the loader and with Python's csv module, and tell where they differ.

Run it over any collection of CSV files: ``.venv/bin/python -m tests.tools.compare_csv FOLDER``. For each file it prints
one of these words, and ends with 1 when a file is different:

- ``equal``: every row that the csv module reads is loaded as it is; rows of another width are reported as malformed.
- ``rejected``: as equal, but the loader reports some rows as malformed that the csv module reads.
- ``unread``: as equal as far as the csv module reads; it gives up at a row that is broken.
- ``refused``: the loader says why it takes nothing of the file.
- ``different``: a value is loaded that the csv module does not read, or a row is missing.
- ``slow``: the loader did not end within the time for one file.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from shared.definitions.models import DelimitedSource
from shared.errors import UserError
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace

_DELIMITERS = (",", ";", "\t", "|")
_ENDINGS = (".csv", ".tsv", ".tab", ".psv")
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a file compares, and in which place."""

    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is read by both."""

    encoding: str
    delimiter: str
    newline: str  # as `open` takes it: what ends a line is what ends the first one
    padded: bool  # blanks before quotes: the loader does not count them as part of the field, csv does unless told


def compare(path: Path) -> Verdict:
    """Read a file in both ways."""
    dialect = _guessed(path)
    rows = _python_rows(path, dialect)
    first = next(rows, None)
    if first is None or isinstance(first, csv.Error):
        return Verdict("unread", "the csv module reads no row")
    width = len(first)
    described = DelimitedSource.model_validate(
        {
            "type": "delimited",
            "path": str(path),
            "header": False,
            "columns": [{"name": f"c{number}"} for number in range(width)],
            "delimiter": dialect.delimiter,
            "encoding": dialect.encoding,
        }
    )
    try:
        opened = open_source(described, SourceContext())
        with Workspace.open(readable=opened.readable) as workspace:
            opened.load(workspace)
            strip = " " if dialect.padded else ""
            return _compared(workspace, _python_rows(path, dialect), width, strip)
    except UserError as error:
        return Verdict("refused", error.message)


def _guessed(path: Path) -> Dialect:
    with path.open("rb") as stream:
        start = stream.read(1 << 20)
    encoding = "utf-16" if start[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    try:
        with path.open(encoding=encoding) as whole:
            while whole.read(1 << 20):
                pass
    except UnicodeError:
        encoding = "windows-1252" if encoding == "utf-8" else encoding
    text = start.decode(encoding, "replace").lstrip("\ufeff\r\n")
    line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    delimiter = max(_DELIMITERS, key=line.count)
    return Dialect(
        encoding=encoding,
        delimiter=delimiter if delimiter in line else ",",
        padded=re.search(r'(?:^|[,;\t|]) +"', text, re.MULTILINE) is not None,
        newline="" if re.match(r"\r(?!\n)", text[len(line) :]) else "\n",
    )


def _python_rows(path: Path, dialect: Dialect) -> Iterator[list[str] | csv.Error]:
    """Yield what the csv module reads, without blank lines; an error if it cannot continue."""
    csv.field_size_limit(1 << 30)
    encoding = "utf-8-sig" if dialect.encoding == "utf-8" else dialect.encoding
    with path.open(encoding=encoding, errors="replace", newline=dialect.newline) as text:
        width = 0
        try:
            reader = csv.reader(text, delimiter=dialect.delimiter, strict=True, skipinitialspace=dialect.padded)
            for row in reader:
                if len(row) > 1 or (row and (row[0] if width == 1 else row[0].strip())):
                    width = width or len(row)
                    yield row
        except csv.Error as error:
            yield error


def _compared(workspace: Workspace, expected: Iterator[list[str] | csv.Error], width: int, strip: str) -> Verdict:
    bad = {row for (row,) in workspace.query("SELECT _row FROM source_errors")}
    rows = workspace.rows("SELECT * FROM source_raw ORDER BY _row")
    loaded = next(rows, None)
    rejected = number = 0
    # With one column a row without a value is a blank line, and has no number.
    counted = (row for row in expected if width > 1 or isinstance(row, csv.Error) or any(row))
    for number, row in enumerate(counted, start=1):
        if isinstance(row, csv.Error):
            return Verdict("unread", f"the csv module gives up at row {number}: {row}")
        good = len(row) == width or (len(row) > width and not any(row[width:]))
        if loaded is not None and loaded[0] == number:
            cells = [(cell or "").lstrip(strip) for cell in loaded[1:]]
            if not good or cells != row[:width]:
                return Verdict("different", f"row {number}: {_first_difference(cells, row)}")
            loaded = next(rows, None)
        elif number in bad:
            rejected += good
        elif not good or any(row):
            return Verdict("different", f"row {number} is neither loaded nor reported")
    if loaded is not None:
        return Verdict("different", f"row {loaded[0]} is loaded, and the csv module reads {number} rows")
    return Verdict("rejected", f"{rejected} of {number} rows") if rejected else Verdict("equal", f"{number} rows")


def _first_difference(cells: Sequence[str], row: Sequence[str]) -> str:
    place = next((place for place, (a, b) in enumerate(zip(cells, row, strict=False)) if a != b), len(cells))
    ours, theirs = ("".join(values[place : place + 1])[:_SHOWN] for values in (cells, row))
    return f"field {place + 1}: loaded {ours!r}, csv reads {theirs!r}"


class _Worker:
    """A process that compares one file after the other, and can be ended."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()

    def ask(self, path: Path, seconds: float) -> Verdict | None:
        """Compare a file; None when time is up."""
        self._ours.send(path)
        if not self._ours.poll(seconds):
            return None
        answer: Verdict = self._ours.recv()
        return answer

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join()
        self._ours.close()


def _serve(connection: Connection) -> None:
    with suppress(EOFError):
        while True:
            path = connection.recv()
            try:
                verdict: Any = compare(path)
            except Exception as error:  # noqa: BLE001 - whatever the loader raises besides its own errors is a finding
                verdict = Verdict("different", f"{type(error).__name__}: {error}")
            connection.send(verdict)


def compare_folder(folder: Path, seconds: float = 60) -> Iterator[tuple[Path, Verdict]]:
    """Compare every delimited file below a folder.

    Args:
        folder: Where the files are.
        seconds: The time for one file.
    """
    worker = _Worker()
    try:
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS and path.is_file()):
            verdict = worker.ask(path, seconds)
            if verdict is None:
                worker.end()
                worker = _Worker()
            yield path, verdict or Verdict("slow", f"no end after {seconds:g} s")
    finally:
        worker.end()


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare a folder and print what was found; 1 when a file is different or slow."""
    parser = argparse.ArgumentParser(prog="compare_csv", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=60, help="the time for one file")
    options = parser.parse_args(arguments)
    counts: Counter[str] = Counter()
    for path, verdict in compare_folder(options.folder, options.seconds):
        counts[verdict.kind] += 1
        _tell(f"{verdict.kind:10} {path.relative_to(options.folder)}  {verdict.detail}")
    _tell(f"{counts.total()} files: {', '.join(f'{count} {kind}' for kind, count in counts.most_common()) or 'none'}")
    return 1 if counts["different"] or counts["slow"] else 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
