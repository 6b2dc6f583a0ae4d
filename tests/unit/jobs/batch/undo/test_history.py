"""The history of a record: found by its key or its id, also where its key was changed."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from shared.errors import UserError
from shared.jobs.batch.undo.history import history_of, record_ids
from shared.memory.journal import Journal
from shared.reconcile.undo.journal import DONE, PLANNED
from shared.state import RunRecord
from shared.state.sqlite import SqliteStateStore
from shared.workspace import Workspace

NOW = datetime(2026, 11, 26, tzinfo=UTC)
RECORD = UUID(int=7)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStateStore:
    return SqliteStateStore(tmp_path / "state.db")


def keep(
    store: SqliteStateStore, run: str, day: int, key: str, *, result: str = "applied", sent: str = '{"name":"x"}'
) -> None:
    """A run that changes the name of the record, with its journal."""
    started = NOW - timedelta(days=day)
    store.begin_run(RunRecord(run_id=run, sync="s", version="1", trigger="timer", state="Succeeded", started=started))
    journal = Journal(store, run)
    journal.put_about({"sync": "s"})
    with Workspace.open(threads=1) as workspace:
        change = f"""1::BIGINT change, 'update' AS action, '{RECORD}'::UUID id, '{key}' AS key, '{{"name":"{run}"}}' before,
            '{sent}' payload, '' later, '' links, 'name' AS columns, '' version"""
        journal.put(workspace, PLANNED, 0, f"SELECT {change}")
        if result:
            journal.put(workspace, DONE, 0, f"SELECT 1::BIGINT change, '{result}' result, NULL::UUID id, false created")


def found(store: SqliteStateStore, *key: str, days: int = 30) -> list[tuple[str, str]]:
    opened = partial(Workspace.open, threads=1)
    history = history_of(store, "s", key, opened, NOW - timedelta(days=days))
    return [(entry.run.run_id, entry.result) for entry in history.entries]


def test_a_record_is_followed_by_its_id(store: SqliteStateStore) -> None:
    """The latest run first; before its key was changed it had another one, and older runs are not looked at."""
    keep(store, "c", 1, '{"number":"2","part":5}')
    keep(store, "b", 2, '{"number":"1"}', result="")
    keep(store, "a", 3, '{"number":"1"}', result="failed")
    keep(store, "0", 9, '{"number":"1"}')
    assert found(store, "2", "5", days=5) == [("c", "applied"), ("b", "unknown")]
    assert found(store, str(RECORD).upper()) == [("c", "applied"), ("b", "unknown"), ("0", "applied")]
    assert found(store, "2") == []


def test_a_lookup_has_an_id_on_both_sides(store: SqliteStateStore) -> None:
    """Also where the path of the record was sent; a text that only looks like such a path stays."""
    path = f"/accounts({UUID(int=9)})"
    keep(store, "b", 1, '{"number":"1"}', sent=f'{{"name@odata.bind":"{path}"}}')
    keep(store, "a", 2, '{"number":"1"}', sent=f'{{"name":"{path}"}}')
    opened = partial(Workspace.open, threads=1)
    entries = history_of(store, "s", ["1"], opened, NOW - timedelta(days=30)).entries
    assert [each.change.columns[0].after for each in entries] == [str(UUID(int=9)), path]


def test_a_damaged_journal_is_named(store: SqliteStateStore) -> None:
    """A part that is no Parquet file, and what the journal is about."""
    keep(store, "a", 1, "{}")
    store.put_journal_part("a", "about.json", b"{")
    with pytest.raises(UserError, match="journal of run a is damaged"):
        Journal(store, "a").about()
    assert Journal(store, "b").about() is None


@pytest.mark.parametrize("damage", ["half of it", "no Parquet", "empty"])
def test_a_damaged_part_of_a_journal_is_named(store: SqliteStateStore, damage: str) -> None:
    """With the run and the sync; a part that can be read is not."""
    keep(store, "a", 1, '{"number":"1"}')
    name = "done-00000.parquet"
    part = store.journal_part("a", name) or b""
    store.put_journal_part("a", name, {"half of it": part[: len(part) // 2], "no Parquet": b"x", "empty": b""}[damage])
    with pytest.raises(UserError, match=f"journal of run a of s is damaged: {name} is missing or cannot be read"):
        found(store, "1")


@pytest.mark.parametrize("part", ["planned-00000.parquet", "done-00000.parquet"])
def test_a_lost_part_of_a_journal_is_noticed(store: SqliteStateStore, tmp_path: Path, part: str) -> None:
    """Without it the run would seem to have changed nothing, or other things; journals of earlier versions name none."""
    keep(store, "a", 1, '{"number":"1"}')
    journal = Journal(store, "a")
    journal.put_about({"sync": "s"})
    journal.check_parts(journal.about() or {})
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("DELETE FROM journals WHERE name = ?", [part])
    with pytest.raises(UserError, match=f"journal of run a of s is damaged: {part} is missing"):
        found(store, "1")
    store.put_journal_part("a", "about.json", b"{}")
    journal.check_parts(journal.about() or {})


@pytest.mark.parametrize("data", ["'[]'", "x''", "1"])
def test_what_another_program_has_put_in_the_place_of_a_file_is_damage(
    store: SqliteStateStore, tmp_path: Path, data: str
) -> None:
    """Also a text, or a number."""
    keep(store, "a", 1, '{"number":"1"}')
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute(f"UPDATE journals SET data = {data} WHERE name = 'about.json'")
    with pytest.raises(UserError, match=r"damaged: about\.json"):
        Journal(store, "a").about()


def test_only_a_single_value_in_the_form_of_an_id_is_one() -> None:
    """Keys of several values are none."""
    assert record_ids([str(RECORD)]) == {str(RECORD)}
    assert record_ids(["A1"]) == record_ids([str(RECORD), "x"]) == set()
