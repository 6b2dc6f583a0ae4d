"""A definition for each rule of dropped and returned records and each write policy: three states, two runs in each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from shared.cli.real_time import feed
from tests.acceptance.test_remembering import edit, forget, held
from tests.acceptance.world import World, accounts, world

_DEFINITIONS: Final = Path(__file__).parent / "definitions"
_BOTH: Final = "number,name,city\n1,One,Paris\n2,Two,\n"
_CHANGED: Final = "number,name,city\n1,Uno,Rome\n"
_BACK: Final = "number,name,city\n1,Uno,Rome\n2,Due,Bern\n"
_OPEN, _CLOSED = {"statecode": 0, "statuscode": 1}, {"statecode": 1, "statuscode": 2}

# What record 1 holds after its change, record 2 without its row, and record 2 when the row is back.
_EXPECTED: Final[dict[str, tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any]]]] = {
    "write-always": ({"address1_city": "Rome"}, {"address1_city": None}, {"address1_city": "Bern"}),
    "write-if-empty": ({"address1_city": "Paris"}, {"address1_city": None}, {"address1_city": "Bern"}),
    "write-on-insert": ({"address1_city": "Paris"}, {"address1_city": None}, {"address1_city": None}),
    "write-unless-edited": ({"address1_city": "Rome"}, {"address1_city": None}, {"address1_city": "Bern"}),
    "dropped-deactivate": ({"address1_city": "Rome"}, _CLOSED, _CLOSED | {"name": "Due"}),
    "dropped-set": (
        _OPEN,
        _CLOSED | {"description": "no longer in the ERP: Two"},
        _CLOSED | {"description": "no longer in the ERP: Two", "name": "Due"},
    ),
    "returned-reactivate": (_OPEN, _CLOSED, _OPEN | {"name": "Due"}),
    "returned-reactivate-expire": ({"new_expiredon": None}, {}, {"new_expiredon": None, "name": "Due"}),
    "returned-set": ({"description": None}, {"description": "gone"}, {"description": "back", "name": "Due"}),
    "dropped-scope-own": ({"name": "Uno"}, None, {"name": "Due"}),
}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("definitions")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    for file in (shared_world.folder / "syncs").iterdir():
        file.unlink()
    return shared_world


def twice(here: World, name: str, source: str) -> dict[str, dict[str, Any]]:
    """Run, and run again: the second run plans and writes nothing."""
    (here.folder / "source.csv").write_text(source, "utf-8")
    here.run(name)
    assert here.plan(name).plan.counts.changes == 0
    assert here.run(name).writes == 0
    return held(here)


@pytest.mark.parametrize("name", sorted(_EXPECTED))
def test_a_definition_runs_twice_in_each_state(here: World, name: str) -> None:
    """The records follow the rules, and every second run writes nothing."""
    here.define((_DEFINITIONS / f"{name}.yaml").read_text("utf-8"), name)
    changed, dropped, back = _EXPECTED[name]
    assert {number: record["name"] for number, record in twice(here, name, _BOTH).items()} == {"1": "One", "2": "Two"}
    found = twice(here, name, _CHANGED)
    assert found["1"] | changed == found["1"]
    if dropped is None:
        assert "2" not in found
    else:
        assert found["2"] | dropped == found["2"]
    if name == "returned-reactivate-expire":
        assert found["2"]["new_expiredon"] is not None
    found = twice(here, name, _BACK)
    assert found["2"] | back == found["2"]
    assert list(found) == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "city"), [("always", "Rome"), ("if-empty", "Paris"), ("on-insert", "Paris"), ("unless-edited", "Rome")]
)
def test_write_policies_apply_to_events(here: World, name: str, city: str) -> None:
    """The same definitions accept events; redelivered events change nothing."""
    name = f"write-{name}"
    forget(here, name)
    here.define((_DEFINITIONS / f"{name}.yaml").read_text("utf-8"), name)
    for first, last in (("One", "Paris"), ("Uno", "Rome")):
        event = {"op": "u", "number": "1", "name": first, "city": last}
        (here.folder / "events.ndjson").write_text(json.dumps(event), "utf-8")
        for _ in range(2):
            counts = dict(feed(here.app, name, str(here.folder / "events.ndjson")).syncs[name])
        assert counts == {"events": 1, "unchanged": 1}
    assert held(here)["1"] | {"name": "Uno", "address1_city": city} == held(here)["1"]


def test_every_definition_is_run() -> None:
    """A definition that no test names would never be run."""
    named = {f"{name}.yaml" for name in _EXPECTED}
    assert named <= {file.name for file in _DEFINITIONS.iterdir()}


def test_edits_and_records_of_others_are_not_changed(here: World) -> None:
    """The two definitions with rules about changes by others."""
    for name in ("write-unless-edited", "dropped-scope-own"):
        here.define((_DEFINITIONS / f"{name}.yaml").read_text("utf-8"), name)
        forget(here, name)
    twice(here, "write-unless-edited", _BOTH)
    edit(here, "1", address1_city="Oslo")
    assert twice(here, "write-unless-edited", _CHANGED)["1"]["address1_city"] == "Oslo"
    here.define(accounts(sync_behaviour={"strategy": "delta", "sync_key": ["accountnumber"]}), "seed")
    here.csv([{"number": "foreign", "name": "F", "city": "", "revenue": ""}])
    here.run("seed")
    assert "foreign" in twice(here, "dropped-scope-own", _CHANGED)
