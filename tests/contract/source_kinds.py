"""The kinds of source: how the same rows are written for each, and what can be wrong with what it reads."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from shared.sources import SourceContext
from tests.api_server import file_server
from tests.contract import source_databases as databases
from tests.contract.dynamics_kind import environment, source_context, table_keys, write_table
from tests.workbooks.xlsx import Raw, write_xlsx

__all__ = ["FIELDS", "FILES", "KINDS", "Kind", "Row", "ready", "rows"]

Row = tuple[int, str | None, str | None, str | None, str | None]
"""Number, name, amount, day and truth, as text; None for no value."""
FIELDS: Final = ("number", "name", "amount", "since", "active")
TYPES: Final = ("BIGINT", "VARCHAR", "DECIMAL(18, 4)", "DATE", "BOOLEAN")


def rows(count: int) -> Iterable[Row]:
    """Rows that differ, with umlauts, quotes, long decimals and missing values."""
    for number in range(1, count + 1):
        name = f'Müller "{number}", & Söhne' if number % 7 else None
        yield number, name, f"{number}.1234" if number % 5 else None, "2024-01-31", "true" if number % 2 else "false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of source: of files, or of a table of a running service.

    Attributes:
        write: Writes rows to a file, or to another place that belongs to it.
        source: The keys of its definition, without those of the place.
        ending: Of its files.
        malformed: Content of a file with something that is not a row -> what the error says. A function writes it. None
            where there is none.
        rejects: Whether such a row is rejected alone, and the others are read.
        place: File -> the keys that say where it is.
        context: File -> what a source of this kind needs beside its definition.
        missing: What is said where there is nothing at the place.
        needs: A fixture that the kind needs, and what its value makes of the attributes above.
        misencoded: Content that is not in the encoding -> what the error says; None where there is none.
        environment: The variables that its keys name.
        memory: Most bytes that Python holds at a time, whatever the number of rows.
        above: Its filter for rows whose number is above three and not seven.
    """

    write: Callable[[Path, Iterable[Row]], None]
    source: Mapping[str, Any]
    ending: str = ""
    malformed: tuple[bytes | Callable[[Path], None], str] | None = None
    rejects: bool = False
    misencoded: tuple[bytes, str] | None = None
    place: Callable[[Path], Mapping[str, Any]] = lambda path: {"path": str(path)}
    context: Callable[[Path], SourceContext] = lambda _path: SourceContext()
    environment: Callable[[], Mapping[str, str]] = dict
    missing: str = r"nothing\S+ does not exist"
    memory: int = 12 << 20
    above: str = "number > 3 and number <> 7"
    needs: tuple[str, Callable[[Any], Mapping[str, Any]]] | None = None


def write_delimited(path: Path, content: Iterable[Row]) -> None:
    """A CSV file with a header."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        writer.writerows(content)


def write_parquet(path: Path, content: Iterable[Row]) -> None:
    """A Parquet file with types, by way of a CSV file."""
    plain = path.with_suffix(".plain")
    write_delimited(plain, content)
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in zip(FIELDS, TYPES, strict=True))
    with duckdb.connect() as database:
        database.execute(
            f"COPY (SELECT * FROM read_csv('{plain}', header = true, auto_detect = false, quote = '\"', "
            f"columns = {{{columns}}})) TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 10000)"
        )
    plain.unlink()


WIDTHS: Final = {"number": (1, 8), "name": (9, 40), "amount": (49, 16), "since": (65, 10), "active": (75, 5)}


def write_fixed_width(path: Path, content: Iterable[Row]) -> None:
    """Lines of 79 characters; a number stands at the right end of its field."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, name, amount, since, active in content:
            file.write(f"{number:>8}{name or '':<40}{amount or '':>16}{since or '':<10}{active or '':<5}\r\n")


def write_json(path: Path, content: Iterable[Row]) -> None:
    """One object on each line; numbers and booleans have their types, and a missing value is null or absent."""
    with path.open("w", encoding="utf-8") as file:
        for number, name, amount, since, active in content:
            record = {"number": number, "name": name, "since": since, "active": active == "true"}
            written = json.dumps(record, ensure_ascii=False)
            file.write(written if amount is None else f'{written[:-1]}, "amount": {amount}}}')
            file.write("\n")


def write_excel(path: Path, content: Iterable[Row]) -> None:
    """A sheet with numbers, dates and booleans; an amount is written with the digits that it has."""

    def cells() -> Iterable[tuple[Any, ...]]:
        yield FIELDS
        for number, name, amount, since, active in content:
            day = since and Raw(f's="1"><v>{(date.fromisoformat(since) - date(1899, 12, 30)).days}</v></c>')
            yield number, name, amount and Raw(f"><v>{amount}</v></c>"), day, active == "true"

    write_xlsx(path, {"Data": cells()})


TYPED: Final = [
    {"name": "number", "type": "number"},
    {"name": "name"},
    {"name": "amount", "type": "number"},
    {"name": "since", "type": "date"},
    {"name": "active", "type": "bool"},
]

KINDS: Final[Mapping[str, Kind]] = {
    "delimited": Kind(
        write=write_delimited,
        source={"type": "delimited", "columns": TYPED},
        ending=".csv",
        malformed=(
            b"number,name,amount,since,active\n1,One,1.5,2024-01-31,true\n2,Two,2.5,2024-01-31,true,extra\n",
            "6 fields instead of 5 (line 3 of source.csv)",
        ),
        rejects=True,
        misencoded=(b"number,name,amount,since,active\n1,M\xfcller,1,2024-01-31,true\n", "is not utf-8"),
    ),
    "excel": Kind(
        write=write_excel,
        source={"type": "excel"},
        ending=".xlsx",
        malformed=(b"PK\x03\x04 and nothing that can be read", "cannot be read: it is damaged"),
        rejects=False,
    ),
    "fixed_width": Kind(
        write=write_fixed_width,
        source={
            "type": "fixed_width",
            "short_lines": "reject",
            "columns": [
                {**column, "start": WIDTHS[column["name"]][0], "width": WIDTHS[column["name"]][1]} for column in TYPED
            ],
        },
        ending=".txt",
        malformed=(
            b"%-8s%-40s%-16s%-10s%-5s\n2       Two\n" % (b"1", b"One", b"1.5", b"2024-01-31", b"true"),
            "11 characters instead of 79 (line 2 of source.txt)",
        ),
        rejects=True,
        misencoded=(b"1       M\xfcller\n", "is not utf-8"),
    ),
    "json": Kind(
        write=write_json,
        source={"type": "json", "columns": TYPED},
        ending=".json",
        malformed=(
            b'{"number": 1, "name": "One"}\n{"number": 2\n',
            "not JSON: expecting ',' delimiter at character 13 (line 2 of source.json)",
        ),
        rejects=True,
        misencoded=(b'{"name": "M\xfcller"}\n', "is not utf-8"),
    ),
    "rest": Kind(
        write=write_json,
        source={"type": "rest", "columns": TYPED, "pagination": {"type": "offset", "parameter": "offset"}},
        place=lambda path: {"url": file_server().url + str(path)},
        ending=".ndjson",
        malformed=(
            b'{"number": 1, "name": "One"}\n{"number": 2\n',
            "not JSON: expecting ',' delimiter at character 13 (line 2 of page 1)",
        ),
        rejects=True,
        misencoded=(b'{"name": "M\xfcller"}\n', "is not utf-8"),
        missing=r"nothing\S+ answered 404 Not Found",
    ),
    "parquet": Kind(
        write=write_parquet,
        source={"type": "parquet"},
        ending=".parquet",
        malformed=(b"PAR1 and nothing that can be read PAR1", "damaged, or not a Parquet file"),
    ),
    "dynamics": Kind(
        write=write_table,
        source={"type": "dynamics"},
        place=table_keys,
        context=lambda _path: source_context(),
        environment=environment,
        missing="the environment has no table 'nothing'",
        memory=24 << 20,  # two pages of 5,000 records: one is loaded while the next one comes
        above="number gt 3 and number ne 7",
    ),
    "sql of postgresql": Kind(
        write=databases.write_nothing,
        source={"type": "sql", "connection": {"env": "DATABASE"}},
        ending="",
        malformed=(b"", "the row is longer than 16 MB"),
        rejects=True,
        place=lambda path: {"table": path.stem},
        missing='relation "nothing" does not exist',
        needs=("database", databases.of_postgresql),
    ),
    "sql of sqlite": Kind(
        write=databases.write_sqlite,
        source={"type": "sql", "connection": {"env": "DATABASE"}, "table": "source"},
        ending=".db",
        malformed=(databases.write_malformed_sqlite, "a text of the row is not UTF-8"),
        rejects=True,
        place=lambda _path: {},
        context=databases.context_of_sqlite,
        missing="the file does not exist",
    ),
}

FILES: Final = ("delimited", "excel", "fixed_width", "json", "parquet")
"""The kinds that read files."""


def ready(name: str, request: pytest.FixtureRequest) -> Kind:
    """A kind with the fixture that it needs."""
    kind = KINDS[name]
    if kind.needs is None:
        return kind
    fixture, attributes = kind.needs
    return replace(kind, **attributes(request.getfixturevalue(fixture)))
