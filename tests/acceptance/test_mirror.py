"""A mirror as a user has it: two keys of a definition, one option, and what the commands say of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.app.undoing import undo
from shared.cli.boundary import run
from shared.jobs import NoProgress, RunOptions, RunSummary
from tests.acceptance.world import World, accounts, world

ROWS = [{"number": f"A{number}", "name": f"name {number}", "city": "Rome", "revenue": "1.50"} for number in range(5)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A sync with a mirror, which the command line knows."""
    with world(tmp_path, in_thread=True) as made:
        for name, value in {**made.environment, "SYNC_DEFINITIONS": str(tmp_path / "syncs")}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("STATE_STORE", f"sqlite:///{tmp_path / 'state.db'}")
        made.define(accounts(destination={**accounts()["destination"], "mirror": True}))
        made.csv(ROWS)
        yield made


def test_runs_of_a_sync_with_a_mirror(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What is read is said by `run` and `runs`, in words and as JSON; `--fresh` reads the whole table."""
    said: Callable[..., Any] = lambda *words: (run([*words]), capsys.readouterr().out)[1]  # noqa: E731
    assert "Mirror: the whole table was read (there is no mirror yet)" in said("run", "accounts")
    assert json.loads(said("run", "accounts", "--json"))["mirror"] == {
        "read": "changes", "reason": "", "kept": True, "changed": 5, "removed": 0, "difference": None,
    }  # fmt: skip
    here.create("accounts", {"accountnumber": "B", "name": "theirs"})
    assert "Mirror: 1 record read again, 0 removed" in said("run", "accounts")
    assert "1 record read again, 0 removed" in said("runs", "last")
    assert "Mirror: the whole table was read (--fresh)" in said("run", "accounts", "--fresh")
    assert json.loads(said("plan", "accounts", "--fresh", "--json"))["planned"]["unchanged"] == 5
    here.define(accounts(destination={**accounts()["destination"], "mirror": True, "filter": "owninguser/x eq 1"}))
    assert "there will be no mirror: destination.filter uses owninguser/x" in said("validate", "accounts")


def test_validate_names_why_there_is_no_mirror_of_a_sync_with_a_lookup(
    here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a lookup needs of another table's metadata is known then, too."""
    destination = {**accounts()["destination"], "mirror": True, "filter": "owninguser/x eq 1"}
    lookup = {"source": "city", "target": "parentaccountid", "lookup": {"match": "accountnumber"}}
    contact = {"source": "name", "target": "primarycontactid", "lookup": {"match": "lastname"}}
    here.define(accounts(destination={**destination, "mappings": [*destination["mappings"], lookup, contact]}))
    run(["validate", "accounts"])
    assert "there will be no mirror: destination.filter uses owninguser/x" in capsys.readouterr().out


def test_a_workspace_that_is_kept_has_the_records_of_the_mirror(
    here: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not refer to files that went away with the run; a record without a key is set aside in it."""
    for _ in range(2):
        assert run(["run", "accounts"]) == 0
    here.create("accounts", {"name": "without a key"})
    capsys.readouterr()
    run(["run", "accounts", "--json", "--keep-workspace", str(tmp_path / "kept.duckdb")])
    assert json.loads(capsys.readouterr().out)["mirror"]["read"] == "changes"
    with duckdb.connect(str(tmp_path / "kept.duckdb"), read_only=True) as kept:
        names = kept.execute("SELECT accountnumber, name FROM current ORDER BY _k1").fetchall()
    assert names == [(row["number"], row["name"]) for row in ROWS]


def story(here: World, *, mirror: bool) -> list[Any]:
    """Parents in the table itself, a value that others edit, records without a key, dropped records, and an undo."""
    base = accounts()
    mappings = [*base["destination"]["mappings"][:2], {"source": "city", "target": "address1_city"}]
    mappings[2] |= {"write": "unless_edited"}
    mappings.append({"source": "parent", "target": "parentaccountid", "lookup": {"match": "accountnumber"}})
    columns = [*base["source"]["columns"], {"name": "parent"}]
    here.define(
        accounts(
            source={"columns": columns},
            destination={"mappings": mappings, "mirror": mirror},
            sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%", "max_update": "100%"}},
        )
    )
    rows = [{**row, "parent": "A0" if place else ""} for place, row in enumerate(ROWS)]
    here.csv(rows)
    found: list[Any] = []

    def run() -> RunSummary:
        done = here.run()
        found.append((done.created.done, done.updated.done, done.deleted.done, done.unchanged, done.failed))
        return done

    def held() -> None:
        query = "accounts?$select=accountnumber,name,address1_city&$expand=parentaccountid($select=accountnumber)"
        records = [{key: each[key] for key in each if "@" not in key} for each in here.records(query)]
        for each in records:
            del each["accountid"]
            each["parentaccountid"] = (each["parentaccountid"] or {}).get("accountnumber")
        found.append(sorted(records, key=str))

    run()
    run()
    here.update("accounts(accountnumber='A1')", {"address1_city": "theirs"})
    here.update("accounts(accountnumber='A2')", {"name": "theirs"})
    here.create("accounts", {"name": "without a key"})
    here.csv([*({**row, "city": "Kiel", "parent": "A5"} for row in rows[:4]), {**rows[0], "number": "A5"}])
    changed = run()
    held()
    run()
    undone = here.app.state.run(changed.run_id)
    assert undone is not None
    undo(here.app, undone, RunOptions(force=True), NoProgress())
    held()
    return found


def test_a_mirror_changes_nothing_in_what_a_sync_does(tmp_path: Path) -> None:
    """Lookups in the table itself, the ledger, records that are set aside, and an undo are the same with one."""
    found = []
    for mirror in (False, True):
        with world(tmp_path / str(mirror), in_thread=True) as here:
            found.append(story(here, mirror=mirror))
    assert found[0] == found[1]
    assert found[0][2][:3] == (1, 4, 1)
