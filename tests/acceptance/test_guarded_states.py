"""State and status with a write policy: they are one column, so what protects one of them protects both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from shared.cli.real_time import feed
from tests.acceptance.world import World, accounts, world

ACTIVE: Final = (0, 1)
INACTIVE: Final = (1, 2)
OTHERS: Final = (10, 11)  # a second status reason of each state
SCHEMA: Final = {
    "Thing": {
        "columns": {"new_Number": {"type": "String"}, "new_Title": {"type": "String"}},
        "keys": {"new_number_key": ["new_number"]},
        "states": {
            0: {"label": "Active", "statuses": {1: "Active", OTHERS[0]: "Paused"}},
            1: {"label": "Inactive", "statuses": {2: "Inactive", OTHERS[1]: "Gone"}},
        },
    }
}
KEYS: Final = {"accounts": "accountnumber", "incidents": "ticketnumber", "things": "new_number"}
TITLES: Final = {"accounts": "name", "incidents": "title", "things": "new_title"}
CUSTOMER: Final = "11111111-1111-1111-1111-111111111111"


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("guarded")
    with world(folder, tables=SCHEMA) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    for file in (shared_world.folder / "syncs").iterdir():
        file.unlink()
    return shared_world


def define(here: World, targets: Mapping[str, str], name: str, *, write: str, **behaviour: Any) -> None:
    """A sync of accounts or cases; `targets`: source column -> state or status."""
    definition = accounts(sync_behaviour=behaviour)
    definition |= {"name": name, "listener": {"name": name, "topic": {"action": "$.op"}}}
    definition["source"]["columns"] = [{"name": each} for each in ("number", "name", "customer", "state", "status")]
    mappings: list[dict[str, Any]] = [
        {"source": "number", "target": KEYS[name]},
        {"source": "name", "target": TITLES[name]},
        *({"source": each, "target": target, "write": write, "on_null": "keep"} for each, target in targets.items()),
    ]
    if name == "incidents":
        definition["destination"] |= {"entity": "incident", "id_column": "incidentid"}
        mappings.append(
            {"source": "customer", "target": "customerid", "lookup": {"entity": "account", "match": "name"}}
        )
    if name == "things":
        definition["destination"] |= {"entity": "thing", "id_column": "thingid"}
    definition["destination"]["mappings"] = mappings
    definition["sync_behaviour"] = {"sync_key": [KEYS[name]], **behaviour}
    here.define(definition, name)


def apply(here: World, name: str, *rows: Mapping[str, Any], events: bool = False) -> int:
    """Write rows in a run or as events; returns how many records keep an edited value."""
    if events:
        path = here.folder / "events.ndjson"
        path.write_text("".join(json.dumps({"op": "u", **each}) + "\n" for each in rows), "utf-8")
        return feed(here.app, name, str(path)).syncs[name].get("edited", 0)
    here.csv(rows)
    done = here.run(name)
    assert done.failed == 0
    return sum(len(each.rows) for each in done.errors if each.error_type == "Edited in target")


def held(here: World, name: str) -> dict[str, tuple[int, int]]:
    key = KEYS[name]
    records = here.records(f"{name}?$select={key},statecode,statuscode&$filter={key} ne null")
    return {record[key]: (record["statecode"], record["statuscode"]) for record in records}


def edit(here: World, name: str, number: str, **values: Any) -> None:
    """Change a record as a person does."""
    key, record_id = KEYS[name], f"{name.removesuffix('s')}id"
    (record,) = here.records(f"{name}?$select={record_id}&$filter={key} eq '{number}'")
    here.update(f"{name}({record[record_id]})", values)


BOTH_WAYS: Final = pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])
HALVES: Final = pytest.mark.parametrize(
    "targets",
    [{"status": "statuscode"}, {"state": "statecode"}, {"state": "statecode", "status": "statuscode"}],
    ids=["status", "state", "both"],
)


def row(number: str, word: str, **more: str) -> dict[str, str]:
    return {"number": number, "name": "a", "customer": "customer", "state": word, "status": word, **more}


@BOTH_WAYS
@HALVES
def test_a_record_that_a_person_closed_or_opened_stays_so(
    here: World, targets: dict[str, str], *, events: bool
) -> None:
    """Whatever the source says, and whichever of the two is mapped; what nobody edited follows the source."""
    define(here, targets, "accounts", write="unless_edited")
    apply(here, "accounts", row("1", "Active"), row("2", "Inactive"), row("3", "Active"), events=events)
    assert held(here, "accounts") == {"1": ACTIVE, "2": INACTIVE, "3": ACTIVE}
    edit(here, "accounts", "1", statecode=1, statuscode=2)
    edit(here, "accounts", "2", statecode=0, statuscode=1)
    rows = (row("1", "Active", name="b"), row("2", "Inactive", name="b"), row("3", "Inactive"))
    assert apply(here, "accounts", *rows, events=events) > 0
    assert held(here, "accounts") == {"1": INACTIVE, "2": ACTIVE, "3": INACTIVE}


@BOTH_WAYS
@pytest.mark.parametrize("targets", [{"status": "statuscode"}, {"state": "statecode", "status": "statuscode"}])
def test_a_case_whose_status_a_person_changed_is_not_closed(
    here: World, targets: dict[str, str], *, events: bool
) -> None:
    """The state is the one that the sync wrote, and still its change would overwrite the edit."""
    here.create("accounts", {"accountid": CUSTOMER, "name": "customer"})
    define(here, targets, "incidents", write="unless_edited")
    opened = {"state": "Active", "status": "In Progress"}
    apply(here, "incidents", row("1", "", **opened), row("2", "", **opened), events=events)
    edit(here, "incidents", "1", statuscode=2)
    closed = {"state": "Resolved", "status": "Problem Solved"}
    assert apply(here, "incidents", row("1", "", **closed), row("2", "", **closed), events=events) > 0
    assert held(here, "incidents") == {"1": (0, 2), "2": (1, 5)}


@BOTH_WAYS
@pytest.mark.parametrize("first", ["Active", "Inactive"])
def test_a_status_that_a_person_changed_keeps_its_state_where_only_that_is_mapped(
    here: World, first: str, *, events: bool
) -> None:
    """Both are one column; what nobody edited, or what was set back, follows the source."""
    own, changed, second = (ACTIVE, INACTIVE, "Inactive") if first == "Active" else (INACTIVE, ACTIVE, "Active")
    other = (own[0], OTHERS[own[0]])
    define(here, {"state": "statecode"}, "things", write="unless_edited")
    for _ in range(2):
        apply(here, "things", *(row(number, first) for number in "123"), events=events)
    assert held(here, "things") == dict.fromkeys("123", own)
    for number in "12":
        edit(here, "things", number, statuscode=other[1])
    edit(here, "things", "2", statuscode=own[1])
    assert apply(here, "things", *(row(number, second) for number in "123"), events=events) == 1
    assert held(here, "things") == {"1": other, "2": changed, "3": changed}


@BOTH_WAYS
def test_a_person_who_gives_a_record_the_state_of_its_row_keeps_no_later_one_away(here: World, *, events: bool) -> None:
    """The status that the record got with it counts as written too."""
    define(here, {"state": "statecode"}, "accounts", write="unless_edited")
    apply(here, "accounts", row("1", "Inactive"), events=events)
    edit(here, "accounts", "1", statecode=0, statuscode=1)
    assert apply(here, "accounts", row("1", "Active"), events=events) == 0
    assert apply(here, "accounts", row("1", "Inactive"), events=events) == 0
    assert held(here, "accounts") == {"1": INACTIVE}


def test_a_state_is_written_where_the_rows_never_gave_the_status(here: World) -> None:
    """Dataverse filled the status in, so what it holds says nothing of edits."""
    define(here, {"state": "statecode", "status": "statuscode"}, "accounts", write="unless_edited")
    apply(here, "accounts", row("1", "Active", status=""))
    assert apply(here, "accounts", row("1", "Inactive", status="")) == 0
    assert held(here, "accounts") == {"1": INACTIVE}
    edit(here, "accounts", "1", statecode=0, statuscode=1)
    assert apply(here, "accounts", row("1", "Inactive", status="")) == 1
    assert held(here, "accounts") == {"1": ACTIVE}


@BOTH_WAYS
@pytest.mark.parametrize("targets", [{"status": "statuscode"}, {"state": "statecode", "status": "statuscode"}])
def test_a_status_that_this_sync_never_wrote_keeps_its_state(
    here: World, targets: dict[str, str], *, events: bool
) -> None:
    """The state of the row is equal at first: that alone does not make it one that the sync wrote."""
    here.create("things", {"new_number": "1", "new_title": "a"})
    define(here, targets, "things", write="unless_edited")
    edit(here, "things", "1", statecode=1, statuscode=OTHERS[1])
    for word in ("Inactive", "Inactive", "Active", "Active"):
        assert apply(here, "things", row("1", word), events=events) > 0
        assert held(here, "things") == {"1": (1, OTHERS[1])}


@BOTH_WAYS
def test_a_status_that_dataverse_gave_a_new_record_is_written_with_the_next_state(here: World, *, events: bool) -> None:
    """Nobody edited it, as far as is known."""
    define(here, {"state": "statecode", "status": "statuscode"}, "things", write="unless_edited")
    apply(here, "things", row("1", "Active", status=""), events=events)
    assert apply(here, "things", row("1", "Inactive", status="Gone"), events=events) == 0
    assert held(here, "things") == {"1": (1, OTHERS[1])}
    assert apply(here, "things", row("1", "Active"), events=events) == 0
    assert held(here, "things") == {"1": ACTIVE}


@HALVES
@pytest.mark.parametrize("write", ["on_insert", "if_empty"])
def test_a_record_that_is_there_keeps_its_state(here: World, targets: dict[str, str], write: str) -> None:
    """A new one gets it."""
    here.create("accounts", {"accountnumber": "1", "name": "a"})
    here.create("accounts", {"accountnumber": "2", "name": "a"})
    edit(here, "accounts", "2", statecode=1, statuscode=2)
    define(here, targets, "accounts", write=write)
    for _ in range(2):
        apply(here, "accounts", row("1", "Inactive"), row("2", "Active"), row("3", "Inactive"))
        assert held(here, "accounts") == {"1": ACTIVE, "2": INACTIVE, "3": INACTIVE}


def test_a_status_of_new_records_alone_reopens_nothing_that_is_not_read(here: World) -> None:
    """Strategy `upsert`: the record is not compared."""
    define(here, {"status": "statuscode"}, "accounts", write="on_insert", strategy="upsert")
    apply(here, "accounts", row("1", "Active"))
    edit(here, "accounts", "1", statecode=1, statuscode=2)
    apply(here, "accounts", row("1", "Active", name="b"), row("2", "Active"))
    assert held(here, "accounts") == {"1": INACTIVE, "2": ACTIVE}


def test_a_status_that_nobody_gave_at_first_is_not_told_to_be_edited(here: World) -> None:
    """Dataverse filled it in: no person has changed it, and this sync has not written it."""
    define(here, {"status": "statuscode"}, "accounts", write="unless_edited")
    apply(here, "accounts", row("1", ""))
    here.csv([row("1", "Inactive")])
    (kept,) = here.run("accounts").errors
    assert kept.column == "statuscode"
    assert "the ledger has no value that this sync wrote here" in kept.message
    assert held(here, "accounts") == {"1": ACTIVE}
