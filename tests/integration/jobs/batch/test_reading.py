"""A sync with a mirror reads what has changed, and writes what a sync without one would write."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import AbortRun, RetryLater
from shared.jobs.batch.undo.erasing import Eraser
from shared.jobs.summary import MirrorFigures
from shared.state.sqlite import SqliteStateStore
from shared.workspace import Workspace
from tests.mirror_world import (
    KEY,
    NOTE,
    SET,
    TEXT,
    LateClock,
    Sync,
    created,
    edit,
    expiring,
    items,
    made_again,
    transport,
)
from tests.store_in_front import StoreInFront, failing

ROWS = {str(number): f"text {number}" for number in range(8)}


@pytest.fixture
def sync(tmp_path: Path) -> Iterator[Sync]:
    transport().reset()
    state = SqliteStateStore(tmp_path / "state.db")
    yield Sync(state)
    state.close()


def begun(sync: Sync) -> None:
    """A first load, and the run after it, which reads its records again."""
    sync.run(ROWS)
    sync.run(ROWS)


def test_a_run_without_changes_asks_for_the_changes_alone(sync: Sync) -> None:
    """One request, by the delta link of the run before; a plan asks the same."""
    begun(sync)
    done = sync.run(ROWS)
    assert done.mirror == MirrorFigures(read="changes", kept=True)
    assert done.unchanged == len(ROWS)
    assert len(sync.network.asked) == 1
    assert "$deltatoken=" in sync.network.asked[0]
    assert sync.plan(ROWS).plan.counts.unchanged == len(ROWS)
    assert len(sync.network.asked) == 1


def test_what_a_run_has_written_is_read_again_by_the_next_one(sync: Sync) -> None:
    """The service lists it as changed, and only it."""
    begun(sync)
    assert sync.equal_run({**ROWS, "1": "other", "new": "row"}).writes
    done = sync.equal_run({**ROWS, "1": "other", "new": "row"})
    assert done.mirror == MirrorFigures(read="changes", kept=True, changed=2)
    assert done.unchanged == len(ROWS) + 1


def test_what_others_have_written_is_seen(sync: Sync) -> None:
    """New records, changed ones, deleted ones, and two records with one key."""
    begun(sync)
    edit("1", {TEXT: "theirs"})
    edit("2", None)
    # Of two records that were made in one second, the one with the lower id counts as the older one.
    double = {"new_itemid": "ffffffff-ffff-4fff-bfff-ffffffffffff", KEY: "3", TEXT: "double"}
    created([double, {KEY: "9", TEXT: "theirs"}])
    done = sync.equal_run(ROWS)
    assert done.mirror == MirrorFigures(read="changes", kept=True, changed=3, removed=1)
    assert (done.updated.done, done.created.done, done.deleted.done) == (1, 1, 1)
    sync.equal_run(ROWS)
    assert sync.run(ROWS).mirror == MirrorFigures(read="changes", kept=True)


def test_records_enter_and_leave_the_filter(sync: Sync) -> None:
    """A record that is changed is read again under the filter."""
    sync.destination = {"filter": f"{NOTE} ne 'old' or contains({KEY},'1')"}
    begun(sync)
    edit("1", {NOTE: "old"})
    edit("2", {NOTE: "old"})
    done = sync.equal_run({**ROWS, "2": "text 2"})
    assert done.mirror == MirrorFigures(read="changes", kept=True, changed=1, removed=1)
    edit("2", {NOTE: "new"})
    assert sync.plan(ROWS).plan.counts == sync.plan(ROWS, mirror=False).plan.counts


def test_a_change_while_the_table_is_read_is_not_lost(sync: Sync) -> None:
    """Whether it comes before its page is read, or after it: the delta link is older than the reading."""
    created([{KEY: key, TEXT: text} for key, text in ROWS.items()])
    edits = iter([("7", "A"), ("0", "B"), ("4", "C"), ("5", "D"), ("1", "E"), ("6", "F"), ("2", "G")])

    def meanwhile(path: str) -> None:
        if (one := next(edits, None)) is not None:
            edit(one[0], {TEXT: one[1]})

    sync.network.before.append(meanwhile)
    sync.run(ROWS)
    sync.network.before.clear()
    sync.equal_run(ROWS)
    assert sync.equal_run(ROWS).writes == 0


REASONS: list[tuple[str, dict[str, Any]]] = [
    ("the filter", {"destination": {"filter": f"{KEY} ne null"}}),
    ("the columns", {"destination": {"mappings": [{"source": "key", "target": KEY}]}}),
    ("run_as", {"destination": {"options": {"run_as": "00000000-0000-0000-0000-000000000001"}}}),
]


@pytest.mark.parametrize(("what", "changed"), REASONS, ids=[what for what, _ in REASONS])
def test_a_mirror_of_something_else_is_not_used(sync: Sync, what: str, changed: dict[str, Any]) -> None:
    """The whole table is read, and the mirror begun anew."""
    begun(sync)
    for name, value in changed.items():
        setattr(sync, name, value)
    if what == "run_as":
        sync.behaviour = {"changed": "ignore"}  # there is no such user: nothing may be written
    done = sync.equal_run(ROWS)
    assert done.mirror is not None
    assert (done.mirror.read, done.mirror.kept) == ("whole", True)
    assert "have changed" in done.mirror.reason
    assert sync.run(ROWS).mirror == MirrorFigures(read="changes", kept=True)


def test_a_column_that_was_made_again_is_another_column(sync: Sync) -> None:
    """It has no values any more, and the service lists no record as changed because of it."""
    begun(sync)
    made_again(TEXT)
    done = sync.equal_run(ROWS)
    assert done.mirror is not None
    assert done.mirror.read == "whole"
    assert done.updated.done == len(ROWS)


def test_after_some_time_the_mirror_is_compared_with_the_table(sync: Sync) -> None:
    """The difference is 0, whatever was written since and is written meanwhile."""
    begun(sync)
    edit("1", {TEXT: "theirs"})
    sync.clock = LateClock(timedelta(days=6))
    assert sync.plan(ROWS).plan.counts.update == 1
    sync.clock = LateClock(timedelta(days=8))
    done = sync.equal_run(ROWS)
    assert done.mirror is not None
    assert (done.mirror.read, done.mirror.kept, done.mirror.difference) == ("whole", True, 0)
    assert sync.equal_run(ROWS).mirror == MirrorFigures(read="changes", kept=True, changed=1)


def test_a_mirror_that_a_wrong_clock_has_dated_is_compared_at_once(sync: Sync) -> None:
    """Not only when that moment has come; afterwards it has the right date."""
    sync.clock = LateClock(timedelta(days=400))
    begun(sync)
    sync.clock = LateClock(timedelta(days=400, minutes=-4))  # clocks of two machines may differ by so much
    assert sync.run(ROWS).mirror == MirrorFigures(read="changes", kept=True)
    sync.clock = LateClock(timedelta(0))
    assert sync.plan(ROWS).plan.counts.unchanged == len(ROWS)
    done = sync.equal_run(ROWS)
    assert done.mirror is not None
    assert (done.mirror.read, done.mirror.kept, done.mirror.difference) == ("whole", True, 0)
    assert "wrong clock" in done.mirror.reason
    assert sync.equal_run(ROWS).mirror == MirrorFigures(read="changes", kept=True)


def test_a_difference_is_reported(sync: Sync) -> None:
    """A value that changed without a sign of it: here the state store of the emulator is written to."""
    begun(sync)
    database = transport()._application.service.environment.database
    database.connection.execute(f"UPDATE {SET[:-1]} SET {TEXT} = 'hidden' WHERE {KEY} IN ('1', '2')")
    assert sync.run(ROWS).unchanged == len(ROWS)  # this is what the comparison is for
    sync.clock = LateClock(timedelta(days=8))
    done = sync.run(ROWS)
    assert done.mirror is not None
    assert done.mirror.difference == 2
    assert "mirror difference: 2 records had other values" in done.message
    assert done.updated.done == 2


def test_a_token_that_is_too_old_is_followed_by_a_whole_reading(sync: Sync) -> None:
    """And by a new mirror."""
    begun(sync)
    with expiring():
        done = sync.equal_run(ROWS)
    assert done.mirror is not None
    assert (done.mirror.read, done.mirror.kept) == ("whole", True)
    assert "has expired" in done.mirror.reason
    assert sync.run(ROWS).mirror == MirrorFigures(read="changes", kept=True)


def test_fresh_reads_the_whole_table(sync: Sync) -> None:
    """And begins the mirror anew."""
    begun(sync)
    done = sync.run(ROWS, fresh=True)
    assert done.mirror == MirrorFigures(read="whole", reason="--fresh", kept=True)
    assert sync.run(ROWS).mirror == MirrorFigures(read="changes", kept=True)


@pytest.mark.parametrize("damage", ["missing", "zeros", "manifest"])
def test_a_damaged_mirror_is_replaced(sync: Sync, tmp_path: Path, damage: str) -> None:
    """Whatever became of its files: the run reads the whole table."""
    begun(sync)
    files = sorted((tmp_path / "state.db-mirrors" / "items").iterdir(), key=lambda file: file.name == "manifest.json")
    (*parts, manifest) = files
    for file in parts if damage != "manifest" else [manifest]:
        match damage:
            case "missing":
                file.unlink()
            case "zeros":
                file.write_bytes(bytes(file.stat().st_size))
            case "manifest":
                file.write_text("{", "utf-8")
    done = sync.equal_run(ROWS)
    assert done.mirror is not None
    assert (done.mirror.read, done.mirror.kept) == ("whole", True)
    assert sync.run(ROWS).mirror == MirrorFigures(read="changes", kept=True)


def test_a_plan_begins_no_mirror(sync: Sync) -> None:
    """It has no lease of the sync; so it asks for no delta link either."""
    created([{KEY: key, TEXT: text} for key, text in ROWS.items()])
    assert sync.plan(ROWS).plan.counts.unchanged == len(ROWS)
    assert not [path for path in sync.network.asked if path.partition("?")[2] == "$select=new_itemid"]
    assert sync.state.mirror("items") is None


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("mirror", AbortRun("refused")),
        ("mirror_part", RetryLater("away", retry_after=1)),
        ("put_mirror_part", AbortRun("refused")),
        ("swap_mirror", RetryLater("away", retry_after=1)),
    ],
)
def test_a_state_store_in_trouble_costs_time_alone(sync: Sync, method: str, error: Exception) -> None:
    """The run writes what it would write, and the next one reads by way of the mirror again."""
    begun(sync)
    edit("1", {TEXT: "theirs"})
    store = sync.state
    sync.state = StoreInFront(store, **{method: failing(error)})
    assert sync.run(ROWS).updated.done == 1
    sync.state = store
    assert sync.run(ROWS).unchanged == len(ROWS)
    assert sync.run(ROWS).mirror == MirrorFigures(read="changes", kept=True)


def test_a_user_to_whom_no_changes_are_listed(sync: Sync) -> None:
    """Change tracking needs the right to read the table in the whole organization."""
    refused = {"code": "0x80040220", "message": "Principal user is missing prvReadnew_Item privilege."}
    fault = {"action": "status", "status": 403, "match": {"path": "$select=new_itemid"}, **refused}
    transport().faults([{**fault, "times": 2}])  # the first one is asked for the version of the metadata
    done = sync.run(ROWS)
    assert done.mirror is not None
    assert (done.mirror.read, done.mirror.kept, done.created.done) == ("whole", False, len(ROWS))
    assert "none can be begun" in done.mirror.reason
    assert sync.run(ROWS).mirror == MirrorFigures(read="whole", reason="there is no mirror yet", kept=True)


def test_a_mirror_with_a_record_that_is_erased_is_thrown_away(sync: Sync, tmp_path: Path) -> None:
    """Also where the record has left it: its base still has the values. Without `apply` it is only counted."""
    begun(sync)
    (record,) = [item["new_itemid"] for item in items() if item[KEY] == "1"]
    edit("1", None)
    sync.run({key: text for key, text in ROWS.items() if key != "1"})
    for key, found in (("TEXT 1", True), (record.upper(), True), ("text 9", False)):
        eraser = Eraser(state=sync.state, key=[key], open_workspace=Workspace.open)
        assert bool(eraser.erase(["items"], only=None, apply=False).mirrors) == found
    eraser = Eraser(state=sync.state, key=["1"], open_workspace=Workspace.open)
    assert eraser.erase(["items"], only=None, apply=True).mirrors
    assert [file.name for file in (tmp_path / "state.db-mirrors" / "items").iterdir()] == ["manifest.json"]
    assert sync.equal_run(ROWS).mirror == MirrorFigures(read="whole", reason="there is no mirror yet", kept=True)


@pytest.mark.parametrize("damage", ["a part", "a value of a part", "the manifest", "no manifest"])
def test_a_mirror_that_cannot_be_read_is_thrown_away_when_a_record_is_erased(
    sync: Sync, tmp_path: Path, damage: str
) -> None:
    """Nobody knows whether it has the record; also where no manifest names the files any more."""
    begun(sync)
    sync.run(ROWS, fresh=True)  # one part
    folder = tmp_path / "state.db-mirrors" / "items"
    (part,) = folder.glob("*.parquet")
    manifest, content = folder / "manifest.json", part.read_bytes()
    part.unlink()  # no other name of the same file is to change
    match damage:
        case "a part":
            part.write_bytes(content[: len(content) // 2])
        case "a value of a part":
            with Workspace.open() as workspace:
                (workspace.folder / "old.parquet").write_bytes(content)
                workspace.execute(
                    f"COPY (SELECT * REPLACE ('x' || {KEY} AS {KEY}, 'x' || {TEXT} AS {TEXT}) FROM "
                    f"'{workspace.folder}/old.parquet') TO '{workspace.folder}/new.parquet' (FORMAT parquet)"
                )
                part.write_bytes((workspace.folder / "new.parquet").read_bytes())
        case "the manifest":
            part.write_bytes(content)
            manifest.write_text("{", "utf-8")
        case "no manifest":
            part.write_bytes(content)
            manifest.unlink()
    eraser = Eraser(state=sync.state, key=["1"], open_workspace=Workspace.open)
    assert eraser.erase(["items"], only=None, apply=False).mirrors == 1
    assert part.exists()
    assert eraser.erase(["items"], only=None, apply=True).mirrors == 1
    assert [file.name for file in folder.iterdir()] == ["manifest.json"]
    assert eraser.erase(["items"], only=None, apply=False).mirrors == 0
    assert sync.equal_run(ROWS).mirror == MirrorFigures(read="whole", reason="there is no mirror yet", kept=True)


def test_many_runs_with_changes_leave_few_files(sync: Sync, tmp_path: Path) -> None:
    """The base is written anew now and then, and the records stay right."""
    begun(sync)
    for number in range(10):
        edit("1", {TEXT: f"theirs {number}"})
        assert sync.run(ROWS).updated.done == 1
    assert len(list((tmp_path / "state.db-mirrors" / "items").iterdir())) <= 10
    assert {item[TEXT] for item in items()} == {*ROWS.values()}
