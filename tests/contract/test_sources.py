"""What each kind of source must do: the same rows come out of all of them, and bad files are explained."""

from __future__ import annotations

import itertools
import os
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.errors import UserError
from shared.sources import completed, open_source
from shared.transform import shape_steps
from shared.workspace import OutOfTimeError, Workspace
from tests.contract.source_kinds import FIELDS, KINDS, Kind, Row, ready, rows

MANY = 60_000


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return ready(request.param, request)


def defined(kind: Kind, path: Path, **keys: Any) -> SyncDefinition:
    """A definition over a file."""
    return SyncDefinition.model_validate(
        {
            "name": "contract",
            "source": {**kind.source, **kind.place(path), **keys},
            "destination": {
                "type": "dynamics",
                "entity": "account",
                "service_url": "https://org.api.crm.dynamics.com/api/data/v9.2/",
                "auth": "managed_identity",
                "id_column": "accountid",
                "mappings": [{"source": "number", "target": "accountnumber"}],
            },
            "sync_behaviour": {"sync_key": ["accountnumber"]},
        }
    )


def loaded(kind: Kind, definition: SyncDefinition, workspace: Workspace, path: Path) -> None:
    """Load the source and shape it, as a run does."""
    source = open_source(definition.source, kind.context(path))
    whole = completed(definition, source, workspace)
    source.load(workspace)
    for step in shape_steps(whole):
        workspace.run(step)


def read(kind: Kind, path: Path, **keys: Any) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The typed rows of a source, and its errors."""
    definition = defined(kind, path, **keys)
    source = open_source(definition.source, kind.context(path))
    with Workspace.open(readable=source.readable) as workspace:
        loaded(kind, definition, workspace, path)
        found = workspace.query(f"SELECT _row, {', '.join(FIELDS)} FROM source ORDER BY _row")
        return found, workspace.query("SELECT _row, error, message FROM source_errors ORDER BY _row")


def expected(row: Row) -> tuple[Any, ...]:
    """A row as every source gives it."""
    number, name, amount, since, active = row
    moment = f"{since} 00:00:00" if since else None
    return (number, Decimal(number), name, Decimal(amount) if amount else None, moment, active == "true")


def told(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(*row[:4], str(row[4]), row[5]) for row in found]


def written(kind: Kind, folder: Path, count: int) -> Path:
    path = folder / f"source{kind.ending}"
    kind.write(path, rows(count))
    return path


@pytest.mark.parametrize("count", [0, 1, 100])
def test_rows_have_their_values_their_types_and_their_order(kind: Kind, tmp_path: Path, count: int) -> None:
    """No row, one row and some rows: the same out of every kind."""
    found, errors = read(kind, written(kind, tmp_path, count))
    assert told(found) == [expected(row) for row in rows(count)]
    assert errors == []


def test_a_second_read_equals_the_first(kind: Kind, tmp_path: Path) -> None:
    """No row of the first load is left, and the order is the same."""
    path = written(kind, tmp_path, 1000)
    assert read(kind, path) == read(kind, path)


def test_many_rows_need_little_memory(kind: Kind, tmp_path: Path) -> None:
    """Python holds a small part of them at a time, and DuckDB gets 96 MB."""
    path = written(kind, tmp_path, MANY)
    definition = defined(kind, path)
    source = open_source(definition.source, kind.context(path))
    with Workspace.open(
        readable=source.readable, memory_limit="96MB", on_disk=True, threads=1, temp_folder=tmp_path
    ) as workspace:
        tracemalloc.start()
        try:
            loaded(kind, definition, workspace, path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        totals = workspace.query("SELECT count(*), sum(number), max(_row), count(name) FROM source")
    assert totals == [(MANY, MANY * (MANY + 1) // 2, MANY, MANY - MANY // 7)]
    assert peak < kind.memory


def test_a_missing_place_is_named(kind: Kind, tmp_path: Path) -> None:
    """The message names the path or the table."""
    with pytest.raises(UserError, match=kind.missing):
        read(kind, tmp_path / f"nothing{kind.ending}")


@pytest.mark.parametrize("name", [name for name, each in KINDS.items() if each.malformed])
def test_what_is_no_row_is_reported_with_its_place(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One bad row does not stop the others, if rows can be distinguished."""
    kind = ready(name, request)
    content, message = kind.malformed or (b"", "")
    path = tmp_path / f"source{kind.ending}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    if not kind.rejects:
        with pytest.raises(UserError, match=message) as caught:
            read(kind, path)
        assert str(path) in caught.value.message
        return
    found, errors = read(kind, path)
    assert [row[2] for row in found] == ["One"]
    assert errors == [(2, "Malformed Row", message)]


@pytest.mark.parametrize("name", [name for name, each in KINDS.items() if each.misencoded])
def test_another_encoding_is_reported(name: str, tmp_path: Path) -> None:
    """The run ends with nothing read."""
    kind = KINDS[name]
    content, message = kind.misencoded or (b"", "")
    path = tmp_path / f"source{kind.ending}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(kind, path)


def test_rows_are_filtered_and_null_values_are_read_in_every_kind(kind: Kind, tmp_path: Path) -> None:
    """The keys that all kinds have mean the same in each."""
    path = written(kind, tmp_path, 10)
    found, errors = read(kind, path, filter=kind.above, null_values=["2024-01-31", "7"])
    assert [(row[1], row[4]) for row in found] == [(Decimal(n), None) for n in (4, 5, 6, 8, 9, 10)]
    assert errors == []


def test_a_read_that_has_no_time_left_ends_and_leaves_nothing_open(kind: Kind, tmp_path: Path) -> None:
    """The deadline of a run passes while it loads: whatever it is doing then, it stops, and can be read again."""
    path = written(kind, tmp_path, 20_000)
    definition, context = defined(kind, path), kind.context(path)
    source = open_source(definition.source, context)
    looks = itertools.count()
    with Workspace.open(readable=source.readable, temp_folder=tmp_path) as workspace:
        completed(definition, source, workspace)
        with workspace.until(lambda: 60.0 if next(looks) < 1 else 0.0), pytest.raises(OutOfTimeError):
            source.load(workspace)
        if (descriptors := Path("/proc/self/fd")).is_dir():
            assert str(path) not in {os.path.realpath(each) for each in descriptors.iterdir()}
    assert {*tmp_path.iterdir()} <= {path}
    assert len(read(kind, path)[0]) == 20_000
