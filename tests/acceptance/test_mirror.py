"""A mirror as a user has it: two keys of a definition, one option, and what the commands say of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from shared.cli.boundary import run
from tests.acceptance.world import accounts, world

ROWS = [{"number": f"A{number}", "name": f"name {number}", "city": "Rome", "revenue": "1.50"} for number in range(5)]


def test_runs_of_a_sync_with_a_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is read is said by `run` and `runs`, in words and as JSON; `--fresh` reads the whole table."""
    with world(tmp_path, in_thread=True) as here:
        for name, value in {**here.environment, "SYNC_DEFINITIONS": str(tmp_path / "syncs")}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("STATE_STORE", f"sqlite:///{tmp_path / 'state.db'}")
        here.define(accounts(destination={**accounts()["destination"], "mirror": True}))
        here.csv(ROWS)
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


def test_a_workspace_that_is_kept_has_the_records_of_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not refer to files that went away with the run; a record without a key is set aside in it."""
    with world(tmp_path, in_thread=True) as here:
        for name, value in {**here.environment, "SYNC_DEFINITIONS": str(tmp_path / "syncs")}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("STATE_STORE", f"sqlite:///{tmp_path / 'state.db'}")
        here.define(accounts(destination={**accounts()["destination"], "mirror": True}))
        here.csv(ROWS)
        for _ in range(2):
            assert run(["run", "accounts"]) == 0
        here.create("accounts", {"name": "without a key"})
        capsys.readouterr()
        run(["run", "accounts", "--json", "--keep-workspace", str(tmp_path / "kept.duckdb")])
        assert json.loads(capsys.readouterr().out)["mirror"]["read"] == "changes"
        with duckdb.connect(str(tmp_path / "kept.duckdb"), read_only=True) as kept:
            names = kept.execute("SELECT accountnumber, name FROM current ORDER BY _k1").fetchall()
        assert names == [(row["number"], row["name"]) for row in ROWS]
