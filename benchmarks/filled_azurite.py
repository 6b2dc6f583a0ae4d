"""An Azurite whose log has many runs: its file is written here.

Each row that Azurite is sent takes it longer, the more rows it has: 100,000 runs took it more than 47 minutes. So it
is sent one run, is stopped, and its file of tables gets the others. The file is one of LokiJS: for each table the
rows, and for each indexed property the positions of the rows in its order.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.state import RunRecord
from shared.state.azure import AzureStateStore
from shared.state.azure._runs import RUN_PLACES, RUNS, place_of, rows_of
from shared.state.azure._storage import PREFIX
from tests.azurite.server import ACCOUNTS, Azurite

__all__ = ["azurite", "with_runs"]

FILE = "__azurite_db_table__.json"
INDEXED = ("PartitionKey", "RowKey")


@contextmanager
def with_runs(runs: Sequence[RunRecord]) -> Iterator[AzureStateStore]:
    """A store in a storage account of Azurite that has these runs in its log, at least one."""
    with tempfile.TemporaryDirectory() as folder:
        with azurite(Path(folder)) as store:
            store.begin_run(runs[0])  # with all its rows, so that the tables are there
        _fill(Path(folder) / FILE, runs)
        with azurite(Path(folder)) as store:
            yield store


@contextmanager
def azurite(folder: Path | None = None) -> Iterator[AzureStateStore]:
    """A store in a storage account of Azurite, whose data is in a folder or in memory."""
    server = Azurite(folder=folder)
    try:
        store = AzureStateStore.by_connection_string(server.connection_string(ACCOUNTS[0]))
        yield store
        store.close()
    finally:
        server.stop()


def _fill(file: Path, runs: Sequence[RunRecord]) -> None:
    written = json.loads(file.read_text())
    rows = {RUNS: [row for run in runs for row in rows_of(run)], RUN_PLACES: [place_of(run) for run in runs]}
    for table in written["collections"]:
        name = table["name"].rpartition(f"${PREFIX}")[2]
        if name in rows:
            _replace_rows(table, rows[name])
    file.write_text(json.dumps(written))


def _replace_rows(table: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    pattern = table["data"][0]
    # Texts only: what is read of a run is text, and LokiJS writes other types in two properties.
    told = [{name: value for name, value in row.items() if isinstance(value, str)} for row in rows]
    kept = {name: value for name, value in pattern["properties"].items() if name.startswith("Timestamp")}
    table["data"] = [
        {**pattern, **{name: row[name] for name in INDEXED}, "properties": kept | row, "$loki": number}
        for number, row in enumerate(told, start=1)
    ]
    table["maxId"] = len(told)
    for name in INDEXED:
        order = sorted(range(len(told)), key=lambda at: told[at][name])
        table["binaryIndices"][name] = {"name": name, "dirty": False, "values": order}
