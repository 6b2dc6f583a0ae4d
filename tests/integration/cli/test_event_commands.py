"""Events from a file, dead letters and their replay: typed as a person types them, against a local Dataverse."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from emulator.testing import running
from shared.app import App
from shared.cli.boundary import run
from shared.events import Message
from shared.jobs.real_time.events import Listeners, run_events
from shared.settings import Settings
from shared.state.sqlite import SqliteStateStore
from shared.views.dead_letters import short_id
from tests.unit.jobs.real_time.files.captures import content as captured
from tests.unit.jobs.real_time.files.captures import event, write

DEFINITION: dict[str, Any] = {
    "name": "accounts",
    "source": {
        "type": "events",
        "columns": [{"name": "number", "mandatory": True, "validate": True}, {"name": "name"}],
    },
    "destination": {
        "type": "dynamics",
        "entity": "account",
        "service_url": "@service_url",
        "client_id": {"env": "DYNAMICS_CLIENT_ID"},
        "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
        "id_column": "accountid",
        "mappings": [{"source": "number", "target": "accountnumber"}, {"source": "name", "target": "name"}],
    },
    "parameters": {"service_url": {"formula": "ENV('DYNAMICS_URL')"}},
    "sync_behaviour": {"sync_key": ["accountnumber"], "dropped": "delete"},
    "listener": {
        "name": "account events",
        "connector": "event_hub",
        "topic": {"format": "json", "action": "$.op", "records": "$.data"},
    },
}
GOOD = [{"op": "insert", "data": {"number": f"E-{number}", "name": f"Name {number}"}} for number in range(1, 4)]
TOO_LONG = {"op": "insert", "data": {"number": "E-9", "name": "x" * 161}}


class Typed(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


Type = Callable[..., Typed]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], App]]:
    """Opens an app with one listening definition and a local Dataverse for it, anew for each command."""
    (tmp_path / "syncs").mkdir()
    (tmp_path / "syncs" / "accounts.yaml").write_text(yaml.safe_dump(DEFINITION), "utf-8")
    values = {"SYNC_DEFINITIONS": str(tmp_path / "syncs")}
    with running() as emulator:
        environment = {
            "DYNAMICS_URL": emulator.service_url,
            "DYNAMICS_CLIENT_ID": emulator.client_id,
            "DYNAMICS_CLIENT_SECRET": emulator.client_secret,
        }
        state = SqliteStateStore(tmp_path / "state.db")
        yield lambda: App(Settings.load(values), read_environment=lambda: environment, state=state)
        state.close()


@pytest.fixture
def typed(opened: Callable[[], App], capsys: pytest.CaptureFixture[str]) -> Type:
    """Types a command."""

    def type_it(*arguments: str) -> Typed:
        code = run(arguments, open_app=opened)
        captured = capsys.readouterr()
        return Typed(code, captured.out, captured.err)

    return type_it


def ndjson(path: Path, *events: object) -> str:
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events), "utf-8")
    return str(path)


def test_events_of_a_file_take_effect(typed: Type, tmp_path: Path) -> None:
    """Each line is an event; the same events again find nothing to change."""
    file = ndjson(tmp_path / "events.ndjson", *GOOD)
    done = typed("events", "accounts", file, "--json")
    assert (done.code, done.json["received"], done.json["dead_letters"]) == (0, 3, 0)
    assert done.json["syncs"]["accounts"]["insert"] == 3
    again = typed("events", "accounts", file)
    assert again.code == 0
    assert "3 events received, 0 became dead letters." in again.out
    assert "Unchanged" in again.out


def test_a_file_without_an_event_that_can_be_read_tells_of_none(typed: Type, tmp_path: Path) -> None:
    """The message says how many events were processed only where some were; those of files before it count."""
    broken, good = tmp_path / "broken.json", ndjson(tmp_path / "good.json", *GOOD)
    broken.write_text("[\nx]", "utf-8")
    done = typed("events", "accounts", str(broken))
    assert (done.code, "broken.json:2:1: " in done.err, "processed" in done.err) == (1, True, False)
    assert "; events processed before that place: 3" in typed("events", "accounts", good, str(broken)).err


def test_a_truncated_file_is_reported_with_its_line(typed: Type, tmp_path: Path) -> None:
    """The events before it took effect; the lines after it are no dead letters."""
    file = tmp_path / "events.json"
    text = json.dumps(GOOD, indent=2).replace('"E-3"', "E-3")
    file.write_text(text, "utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "E-3" in each)
    done = typed("events", "accounts", str(file))
    assert (done.code, f"events.json:{line}:" in done.err) == (1, True)
    assert "; events processed before that place: 2" in done.err
    assert typed("dead-letters", "--json").json["count"] == 0
    file.write_text(json.dumps(GOOD, indent=2), "utf-8")
    counts = typed("events", "accounts", str(file), "--json").json["syncs"]["accounts"]
    assert (counts["unchanged"], counts["insert"]) == (2, 1)


def test_events_come_from_standard_input_too(typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash names it."""
    text = io.TextIOWrapper(io.BytesIO(f"{json.dumps(GOOD[0])}\n\n".encode()))
    monkeypatch.setattr("sys.stdin", text)
    assert typed("events", "accounts", "-", "--json").json["received"] == 1


def test_what_cannot_be_applied_is_shown_and_tried_again(typed: Type, tmp_path: Path) -> None:
    """The reason stands with the event; a replay that helps nothing keeps it and counts the try."""
    file = tmp_path / "events.ndjson"
    file.write_text(f"{json.dumps(GOOD[0])}\nno json\n{json.dumps(TOO_LONG)}\n", "utf-8")
    done = typed("events", "accounts", str(file))
    assert done.code == 2
    assert "2 became dead letters" in done.out
    assert "Lost" not in done.out
    figures = [line.partition(" became ")[0] for line in done.out.splitlines() if line.startswith("   ")]
    assert {len(line) for line in figures} == {41}
    assert "Next: dynamics-sync dead-letters accounts" in done.out
    letters = typed("dead-letters", "--json").json
    assert letters["count"] == 2
    assert {letter["body"] for letter in letters["dead_letters"]} == {"no json", json.dumps(TOO_LONG)}
    shown = typed("dead-letters").out
    assert "Next: dynamics-sync replay" in shown
    one = next(letter["id"] for letter in letters["dead_letters"] if letter["body"] != "no json")
    assert typed("replay", "--id", one, "--json").json == {"settled": 0, "kept": 1}
    assert typed("replay").code == 2
    tries = {letter["body"]: letter["tries"] for letter in typed("dead-letters", "--json").json["dead_letters"]}
    assert tries[json.dumps(TOO_LONG)] == 3


def test_an_unclaimed_event_that_its_listener_refuses_has_failed_again(typed: Type, opened: Callable[[], App]) -> None:
    """The counts and the exit code say so, as for an event of a sync."""
    bodies = [json.dumps(each).encode() for each in (GOOD[0], TOO_LONG)]
    messages = [Message(body=body, partition="0", sequence=number) for number, body in enumerate(bodies)]
    run_events(messages, Listeners(syncs=()), opened().event_tools)
    done = typed("replay", "--json")
    assert (done.code, done.json) == (2, {"settled": 1, "kept": 1})
    (letter,) = typed("dead-letters", "accounts", "--json").json["dead_letters"]
    assert letter["body"] == json.dumps(TOO_LONG)


def test_all_dead_letters_are_tried_again_however_many_there_are(
    opened: Callable[[], App], typed: Type, tmp_path: Path
) -> None:
    """Those that fail do not keep the others from being reached, and each is found by its short id."""
    typed("events", "accounts", ndjson(tmp_path / "events.ndjson", TOO_LONG))
    app = opened()
    (first,) = app.state.dead_letters()
    stream = first.id.rpartition("/")[0]
    more = [replace(first, id=f"{stream}/{number}", sequence=number, body=b"no json") for number in range(1000, 2200)]
    good = replace(first, id="good", sequence=9000, body=json.dumps(GOOD[0]).encode())
    app.state.add_dead_letters([*more, good])
    assert typed("dead-letters", "--id", short_id("good"), "--json").json["dead_letters"][0]["id"] == "good"
    done = typed("replay", "accounts", "--json")
    assert (done.code, done.json) == (2, {"settled": 1, "kept": 1201})
    assert {letter.tries for letter in app.state.dead_letters(limit=5000)} == {2}
    assert typed("discard", "accounts", "--all", "--json").json == {"removed": 1201}


def test_captured_events_take_effect_once(typed: Type, tmp_path: Path) -> None:
    """A folder is applied in order, also what is older than the listener; given again, its events are stale."""
    changed = [{"op": "update", "data": {"number": "E-1", "name": name}} for name in ("two", "three")]
    first = write(tmp_path / "capture", [event(1, GOOD[0]), event(4, changed[0])])
    write(tmp_path / "capture", [event(7, changed[1]), event(8, b"no json")], second=30)
    done = typed("events", "accounts", str(tmp_path / "capture"), "--json")
    assert (done.code, done.json["received"], done.json["dead_letters"]) == (2, 4, 1)
    (letter,) = typed("dead-letters", "--json").json["dead_letters"]
    assert (letter["partition"], letter["sequence"], letter["offset"]) == ("0", 8, "896")
    again = typed("events", "accounts", str(first), "--json")
    assert again.json["syncs"]["accounts"] == {"events": 2, "stale": 2}


def test_captured_events_before_a_damaged_file_take_effect(typed: Type, tmp_path: Path) -> None:
    """The damaged file is named; when it is mended, its events and those behind it take effect."""
    write(tmp_path / "capture", [event(1, GOOD[0])])
    damaged = write(tmp_path / "capture", [event(2, GOOD[1])], second=30)
    write(tmp_path / "capture", [event(3, GOOD[2])], second=50)
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-20])
    done = typed("events", "accounts", str(tmp_path / "capture"))
    assert (done.code, f"{damaged}: its first event cannot be read: it ends too early" in done.err) == (1, True)
    damaged.write_bytes(whole)
    counts = typed("events", "accounts", str(tmp_path / "capture"), "--json").json["syncs"]["accounts"]
    assert (counts["stale"], counts["insert"]) == (1, 2)


def test_captured_events_get_their_partition(typed: Type, tmp_path: Path) -> None:
    """Where the path does not say it: without it, events of a file count as new ones."""
    file = tmp_path / "renamed.avro"
    file.write_bytes(captured([event(1, GOOD[0])]))
    placed = ("events", "accounts", str(file), "--json", "--partition", "hub/0")
    counts = [typed(*placed).json["syncs"]["accounts"] for _ in range(2)]
    assert (counts[0]["insert"], counts[1]) == (1, {"events": 1, "stale": 1})
    assert typed(*placed[:4]).json["syncs"]["accounts"]["unchanged"] == 1
    assert "write the event hub and the partition" in typed(*placed[:5], "hub").err


def test_several_files_are_one_feeding(typed: Type, tmp_path: Path) -> None:
    """In the order in which they are named."""
    one = ndjson(tmp_path / "one.ndjson", GOOD[0])
    two = ndjson(tmp_path / "two.ndjson", {"op": "update", "data": {"number": "E-1", "name": "last"}}, GOOD[1])
    assert typed("events", "accounts", one, two, "--json").json["received"] == 3
    assert "no file" in typed("events", "accounts", str(tmp_path / "*.avro")).err


def test_a_dead_letter_is_shown_whole_and_discarded_by_its_short_id(typed: Type, tmp_path: Path) -> None:
    """With its body; the rest stays, and what is removed has to be named."""
    typed("events", "accounts", ndjson(tmp_path / "events.ndjson", TOO_LONG))
    (letter,) = typed("dead-letters", "--json").json["dead_letters"]
    assert letter["short_id"] in typed("dead-letters").out
    shown = typed("dead-letters", "--id", letter["short_id"]).out
    assert letter["message"] in " ".join(shown.split())
    assert json.dumps(TOO_LONG, indent=2, ensure_ascii=False) in shown
    assert "write which dead letters are removed" in typed("discard").err
    assert typed("discard", "--unclaimed", "--all", "--json").json == {"removed": 0}
    assert "1 dead letter removed." in typed("discard", "--id", letter["short_id"]).out
    assert typed("dead-letters", "--json").json["count"] == 0


def test_without_dead_letters_nothing_is_asked_for(typed: Type) -> None:
    """An empty store is said, and is no failure."""
    assert "No dead letters." in typed("dead-letters").out
    assert typed("replay", "--json").json == {"settled": 0, "kept": 0}


@pytest.mark.parametrize("command", ["runs", "dead-letters", "replay"])
def test_an_unknown_name_is_an_error(typed: Type, command: str) -> None:
    """Of a sync that has a definition there may be nothing yet; of one that has none there never will be."""
    done = typed(command, "acounts")
    assert (done.code, "there is no sync acounts" in done.err, "did you mean accounts?" in done.err) == (1, True, True)
    assert typed(command, "accounts").code == 0


def test_what_is_left_of_a_sync_without_a_definition_is_shown(typed: Type, tmp_path: Path) -> None:
    """Its dead letters outlive it."""
    typed("events", "accounts", ndjson(tmp_path / "events.ndjson", TOO_LONG))
    (tmp_path / "syncs" / "accounts.yaml").unlink()
    assert typed("dead-letters", "accounts", "--json").json["count"] == 1


def test_an_unknown_dead_letter_is_an_error(typed: Type, tmp_path: Path) -> None:
    """Nothing is replayed when one of the ids is wrong."""
    typed("events", "accounts", ndjson(tmp_path / "events.ndjson", TOO_LONG))
    (letter,) = typed("dead-letters", "--json").json["dead_letters"]
    done = typed("replay", "accounts", "--id", letter["id"], "--id", "nosuch")
    assert (done.code, "There is no dead letter nosuch of accounts" in done.err) == (1, True)
    assert typed("dead-letters", "--json").json["dead_letters"][0]["tries"] == letter["tries"]


def test_a_disabled_listener_takes_no_events_of_files(typed: Type, tmp_path: Path) -> None:
    """As it takes none of the hub: nothing is read, and the message says what to change."""
    disabled = {**DEFINITION, "name": "off", "listener": {**DEFINITION["listener"], "status": "disabled"}}
    (tmp_path / "syncs" / "off.yaml").write_text(yaml.safe_dump(disabled), "utf-8")
    done = typed("events", "off", ndjson(tmp_path / "events.ndjson", TOO_LONG))
    assert (done.code, "the listener of off is disabled" in done.err, "`status: disabled`" in done.err) == (
        1,
        True,
        True,
    )
    assert typed("dead-letters", "--json").json["count"] == 0


def test_a_sync_without_a_listener_takes_no_events(typed: Type, tmp_path: Path) -> None:
    """So does a sync that is not there, and a file that is not there."""
    batch = {
        **{key: value for key, value in DEFINITION.items() if key != "listener"},
        "name": "batch",
        "source": {"type": "delimited", "path": "a.csv", "columns": [{"name": "number"}, {"name": "name"}]},
    }
    (tmp_path / "syncs" / "batch.yaml").write_text(yaml.safe_dump(batch), "utf-8")
    file = ndjson(tmp_path / "events.ndjson", *GOOD)
    assert "batch has no listener" in typed("events", "batch", file).err
    assert "nope" in typed("events", "nope", file).err
    missing = typed("events", "accounts", str(tmp_path / "missing.ndjson"))
    assert missing.code == 1
    assert "missing.ndjson does not exist" in missing.err
