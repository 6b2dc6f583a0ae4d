"""The command that shows all syncs on one screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from shared.app import App
from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.waiting import PartitionState
from shared.cli import status_commands
from shared.cli.boundary import run
from shared.cli.status_commands import ago
from shared.settings import Settings
from shared.state import Pause, RunRecord
from tests.event_hubs import hub_of, refusing_hub, slow_hub, with_hub
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
    ("seconds", "said"),
    [
        (-90_000, "in the future"),
        (-301, "in the future"),
        (-299, "0 s ago"),
        (0, "0 s ago"),
        (59, "59 s ago"),
        (61, "1 min ago"),
        (7300, "2 h ago"),
        (200_000, "2 d ago"),
    ],
)
def test_times_are_shown_in_their_largest_unit(seconds: int, said: str) -> None:
    """A screen has little room; JSON has the moment."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert ago(now, now - timedelta(seconds=seconds)) == said


KNOWN, AHEAD, UNKNOWN = PartitionState.KNOWN, PartitionState.AHEAD, PartitionState.UNKNOWN
NOTHING: dict[str, object] = {"waiting": None, "partitions": []}
REFUSED = "the event hub refuses the app: give its identity the role Azure Event Hubs Data Receiver"
LISTENER = {"name": "crm", "topic": {"format": "json", "records": "$.row"}}


@contextmanager
def app_of(folder: Path, definition: dict[str, object], **values: str) -> Iterator[App]:
    """An app with one sync."""
    (folder / "syncs").mkdir()
    (folder / "syncs" / "accounts.yaml").write_text(yaml.safe_dump(definition), "utf-8")
    settings = {"SYNC_DEFINITIONS": str(folder / "syncs"), "STATE_STORE": f"sqlite:///{folder / 'state.db'}"}
    app = App(Settings.load(settings | values), read_environment=dict)
    yield app
    app.state.close()


def said(app: App, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command prints for people, with single spaces."""
    capsys.readouterr()
    run(["status"], open_app=lambda: app)
    return " ".join(capsys.readouterr().out.split())


def told(app: App, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    """The exit code, and what the command prints for programs."""
    capsys.readouterr()
    code = run(["status", "--json"], open_app=lambda: app)
    value: dict[str, object] = json.loads(capsys.readouterr().out)
    return code, value


def test_the_pause_of_a_sync_without_a_definition_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its file may have another name now, whose sync is not paused; `resume` ends it."""
    with app_of(tmp_path, DEFINITION) as app:
        for name in ("accounts", "gone"):
            app.state.pause(Pause(sync=name, run_id="r1", since=datetime.now(UTC)))
        shown = said(app, capsys)
        assert "and has no definition any more: dynamics-sync resume gone" in shown
        assert shown.count("Needs a person") == 2
        app.state.resume("accounts")
        code, value = told(app, capsys)
        assert (code, value["needs_a_person"], value["paused_without_definition"]) == (1, True, ["gone"])
        assert run(["resume", "gone"], open_app=lambda: app) == 0
        code, value = told(app, capsys)
        assert (code, value["needs_a_person"], value["paused_without_definition"]) == (0, False, [])


def test_events_that_wait_are_shown_for_each_partition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those in which none waits are in the JSON alone; nobody is needed."""
    hub = hub_of(("hub/0", 1_200, KNOWN), ("hub/1", 0, KNOWN), ("hub/2", 3, KNOWN))
    with app_of(tmp_path, DEFINITION | {"listener": LISTENER}) as app:
        shown = said(with_hub(app, hub), capsys)
        code, value = told(app, capsys)
    assert "Partition Events waiting" in shown
    assert "hub/0 1,200 hub/2 3 1,203 events wait in the event hub, for all listeners together." in shown
    assert "Partition hub/0 has the most: 1,200." in shown
    assert (code, value["needs_a_person"]) == (0, False)
    assert value["hub"] == {
        "state": "known",
        "reason": "",
        "waiting": 1203,
        "partitions": [
            {"partition": "hub/0", "state": "known", "waiting": 1200},
            {"partition": "hub/1", "state": "known", "waiting": 0},
            {"partition": "hub/2", "state": "known", "waiting": 3},
        ],
    }


def test_a_checkpoint_ahead_of_the_hub_needs_a_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The app reads no events of the partition; a checkpoint without a number needs nobody."""
    with app_of(tmp_path, DEFINITION | {"listener": LISTENER}) as app:
        hub = hub_of(("hub/0", None, AHEAD), ("hub/1", None, UNKNOWN), ("hub/2", 0, KNOWN))
        shown = said(with_hub(app, hub), capsys)
        code, value = told(app, capsys)
        assert "hub/0 checkpoint ahead hub/1 not known" in shown
        assert "The app reads no events of partition hub/0: the checkpoint is ahead of the hub" in shown
        assert "No events wait in the other partitions of the event hub." in shown
        assert "Needs a person: 1 partition of the event hub is not read: its checkpoint is ahead of the hub" in shown
        assert (code, value["needs_a_person"]) == (1, True)
        with_hub(app, hub_of(("hub/0", None, UNKNOWN)))
        assert told(app, capsys)[0] == 0
        assert "wait in partition hub/0 is not known: the checkpoint has no sequence number" in said(app, capsys)


def test_a_hub_that_does_not_answer_keeps_no_status_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why there is no number, and nobody is needed for that."""
    with app_of(tmp_path, DEFINITION | {"listener": LISTENER}) as app:
        shown = said(with_hub(app, refusing_hub()), capsys)
        assert "accounts never" in shown
        assert "is not known. The event hub refuses the app: give its identity the role" in shown
        code, value = told(app, capsys)
        assert (code, value["hub"]) == (0, NOTHING | {"state": "not available", "reason": REFUSED})
        monkeypatch.setattr(status_commands, "_PATIENCE", 0.01)
        with slow_hub() as hub:
            assert "is not known yet: it has not answered in time" in said(with_hub(app, hub), capsys)
            assert told(app, capsys) == (0, value | {"hub": NOTHING | {"state": "not known yet", "reason": ""}})


def test_a_connection_string_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status of the syncs is there all the same."""
    with app_of(tmp_path, DEFINITION | {"listener": LISTENER}, EventHubConnection="no-connection-string") as app:
        shown = said(app, capsys)
    assert "accounts never" in shown
    assert "is not known. EventHubConnection is not a connection string of an Event Hubs namespace." in shown


def test_without_a_listener_no_hub_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said of events."""
    with app_of(tmp_path, DEFINITION) as app:
        with_hub(app, WaitingEvents(lambda: pytest.fail("the hub was asked")))
        assert "event" not in said(app, capsys)
        assert told(app, capsys)[1]["hub"] is None


def test_without_a_hub_nothing_is_said_of_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As on a laptop."""
    with app_of(tmp_path, DEFINITION | {"listener": LISTENER}) as app:
        assert "event" not in said(app, capsys)
        assert told(app, capsys)[1]["hub"] is None
