"""The files that the benchmarks load: accounts with eight columns, written by DuckDB.

    python -m benchmarks.dataset FILE --rows N [--was]

Row i is the same in every file. With `--was` the file is what stood in Dataverse before: one row in a hundred has another
name, one in a thousand is not there yet, and one in a thousand is there and nowhere in the source.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import duckdb

CHANGED_EVERY = 100
DROPPED_EVERY = 1000

COLUMNS = {
    "accountnumber": "'K-' || lpad(i::VARCHAR, 9, '0')",
    "name": "'Company number ' || i",
    "address1_line1": "(i % 9973) || ' Harbour Street'",
    "address1_city": "'City ' || (i % 997)",
    "revenue": "(((i * 7919) % 100000000) / 100.0)::DECIMAL(18,2)",
    "numberofemployees": "i % 5003",
    "industrycode": "i % 33 + 1",
    "creditonhold": "i % 2 = 0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a source differs from what stood in Dataverse."""

    changed: int
    dropped: int
    added: int

    @classmethod
    def of(cls, rows: int) -> Difference:
        """The difference between the two files of so many rows."""
        shift = rows // DROPPED_EVERY
        return cls(changed=rows // CHANGED_EVERY - shift // CHANGED_EVERY, dropped=shift, added=shift)


def write(path: Path, rows: int, *, was: bool = False, every: int = 0) -> None:
    """Write rows 1 to n; what was there before is shifted by what is new and what is dropped.

    Args:
        path: The file.
        rows: How many.
        was: Write what was there before.
        every: One row in so many has another name than without it.
    """
    shift = rows // DROPPED_EVERY if was else 0
    values = dict(COLUMNS)
    if was or every:
        prefix = f"CASE WHEN i % {every or CHANGED_EVERY} = 0 THEN '{'New' if every else 'Was'} ' ELSE '' END"
        values["name"] = f"{prefix} || {COLUMNS['name']}"
    selected = ", ".join(f"{value} AS {name}" for name, value in values.items())
    duckdb.execute(
        f"COPY (SELECT {selected} FROM range({shift} + 1, {rows} + {shift} + 1) AS t(i)) TO '{path}' (HEADER)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--was", action="store_true")
    arguments = parser.parse_args()
    write(arguments.file, arguments.rows, was=arguments.was)


if __name__ == "__main__":
    main()
