"""The command that shows all syncs on one screen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from shared.app import App
from shared.cli.boundary import run
from shared.cli.status_commands import ago
from shared.settings import Settings
from shared.state import RunRecord
from tests.unit.cli.test_job_commands import DEFINITION


@pytest.mark.parametrize(
    ("state", "code", "said"), [("Succeeded", 0, "Nothing needs a person."), ("Failed", 1, "errors r1")]
)
def test_the_exit_code_tells_monitors_whether_a_person_is_needed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    state: str,
    code: int,
    said: str,
) -> None:
    """The table has each sync, and a line for each need."""
    (tmp_path / "syncs").mkdir()
    (tmp_path / "syncs" / "accounts.yaml").write_text(yaml.safe_dump(DEFINITION), "utf-8")
    values = {"SYNC_DEFINITIONS": str(tmp_path / "syncs"), "STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    app = App(Settings.load(values), read_environment=dict)
    started = datetime.now(UTC) - timedelta(hours=2)
    app.state.begin_run(
        RunRecord(
            run_id="r1", sync="accounts", version="1", trigger="command", state=state, started=started, ended=started
        )
    )
    assert run(["status"], open_app=lambda: app) == code
    out = capsys.readouterr().out
    assert said in out
    assert "accounts" in out
    assert "2 h ago" in out
    app.state.close()


@pytest.mark.parametrize(("args", "said"), [(["status"], "-06-01 CEST"), (["runs", "accounts"], "-06-01 06:00 CEST")])
def test_the_next_run_is_shown_in_the_time_zone_of_its_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    """People in Berlin read their own time."""
    (tmp_path / "syncs").mkdir()
    scheduled = DEFINITION | {"schedule": "0 6 1 6 *", "time_zone": "Europe/Berlin"}
    (tmp_path / "syncs" / "accounts.yaml").write_text(yaml.safe_dump(scheduled), "utf-8")
    values = {"SYNC_DEFINITIONS": str(tmp_path / "syncs"), "STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    app = App(Settings.load(values), read_environment=dict)
    now = datetime.now(UTC)
    app.state.begin_run(
        RunRecord(run_id="r1", sync="accounts", version="1", trigger="timer", state="Succeeded", started=now, ended=now)
    )
    run(args, open_app=lambda: app)
    assert said in capsys.readouterr().out
    app.state.close()


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s ago"), (59, "59 s ago"), (61, "1 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")]
)
def test_times_are_shown_in_their_largest_unit(seconds: int, said: str) -> None:
    """A screen has little room; JSON has the moment."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert ago(now, now - timedelta(seconds=seconds)) == said
