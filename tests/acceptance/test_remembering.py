"""The ledger of a sync: values that users edited, marks, records of its own, and a lost ledger."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pytest

from shared.cli.real_time import feed
from shared.errors import UnsafePlanError
from shared.jobs import RunState
from shared.jobs.progress import Phase
from tests.acceptance.world import World, accounts, world

_LIMITLESS: Final = {"max_delete": "100%", "max_update": "100%", "allow_empty_source": True}
_MISSING: Final = "the ledger of this sync is missing"


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("remembering")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    for file in (shared_world.folder / "syncs").iterdir():
        file.unlink()
    forget(shared_world)
    return shared_world


def forget(here: World, name: str = "accounts") -> None:
    """Delete the ledger."""
    here.app.state._db.execute("DELETE FROM ledgers WHERE sync = ?", (name,))  # type: ignore[attr-defined]
    here.app.state._db.execute("DELETE FROM ledger_parts WHERE sync = ?", (name,))  # type: ignore[attr-defined]
    here.app.state._db.execute("DELETE FROM ledger_entries WHERE sync = ?", (name,))  # type: ignore[attr-defined]


def edit(here: World, number: str, **values: Any) -> None:
    """Change a record as a user of the application does."""
    (record,) = here.records(f"accounts?$select=accountid&$filter=accountnumber eq '{number}'")
    request = urllib.request.Request(
        f"{here.emulator.service_url}accounts({record['accountid']})",
        data=json.dumps(values).encode(),
        method="PATCH",
        headers={"Authorization": f"Bearer {here.emulator.token()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30):
        pass


def row(number: str, name: str = "", city: str = "", revenue: object = "") -> dict[str, object]:
    return {"number": number, "name": name, "city": city, "revenue": revenue}


def held(here: World) -> dict[str, dict[str, Any]]:
    columns = "accountnumber,name,address1_city,revenue,new_expiredon,statecode,statuscode,description"
    names = [*columns.split(","), "accountid"]
    records = here.records(f"accounts?$select={columns}")
    return {record["accountnumber"]: {name: record[name] for name in names} for record in records}


def source(here: World, *rows: Mapping[str, object]) -> None:
    """Write the source; without rows it has its header alone."""
    file = here.csv(rows or [row("")])
    if not rows:
        file.write_text("number,name,city,revenue\n", "utf-8")


def define(here: World, *, policies: Mapping[str, str] | None = None, **behaviour: Any) -> None:
    """A sync of accounts with write policies by target column, and rules."""
    definition = accounts(sync_behaviour={"safety": _LIMITLESS, **behaviour})
    for mapping in definition["destination"]["mappings"]:
        if policy := (policies or {}).get(mapping["target"]):
            mapping["write"] = policy
    here.define(definition)


def listen(here: World) -> None:
    """Let the sync take events too."""
    file = here.folder / "syncs" / "accounts.yaml"
    file.write_text(file.read_text("utf-8") + "listener: {name: live, topic: {action: $.op}}\n", "utf-8")


def sent(here: World, op: str, number: str, **fields: str) -> Mapping[str, int]:
    """The counts of one event."""
    path = here.folder / "events.ndjson"
    path.write_text(json.dumps({"op": op, "number": number, **fields}) + "\n", "utf-8")
    done = feed(here.app, "accounts", str(path))
    assert done.dead_letters == 0
    return done.syncs["accounts"]


def idle(here: World) -> None:
    """A second run plans nothing and writes nothing."""
    assert here.plan().plan.counts.changes == 0
    assert here.run().writes == 0


# -- unless_edited: three ways ---------------------------------------------------------------------------------------

_EDITED: Final = {"policies": {"address1_city": "unless_edited"}}


@pytest.mark.parametrize(
    ("source_says", "target_says", "stays", "reported"),
    [
        ("Rome", "Paris", "Rome", []),
        ("Paris", "Oslo", "Oslo", ["address1_city"]),
        ("Rome", "Oslo", "Oslo", ["address1_city"]),
        ("Paris", "Paris", "Paris", []),
        ("Rome", "Rome", "Rome", []),
        ("", "Paris", None, []),
        ("Rome", None, None, ["address1_city"]),
    ],
    ids=["source changed", "target edited", "both", "neither", "edited to the same", "source empty", "target cleared"],
)
def test_unless_edited_keeps_edited_values(
    here: World, source_says: str, target_says: str | None, stays: str | None, reported: list[str]
) -> None:
    """The sync wrote Paris; afterwards source and target changed in different ways."""
    define(here, **_EDITED)
    source(here, row("1", "One", "Paris"))
    here.run()
    if target_says != "Paris":
        edit(here, "1", address1_city=target_says)
    source(here, row("1", "Uno", source_says))
    done = here.run()
    assert held(here)["1"]["address1_city"] == stays
    assert held(here)["1"]["name"] == "Uno"
    edited = [error for error in done.errors if error.error_type == "Edited in target"]
    assert [error.column for error in edited] == reported
    idle(here)


def test_unless_edited_writes_again_when_the_target_is_back_at_the_old_value(here: World) -> None:
    """A value that was changed back is no edit; an edit that equals the source counts as the value of the sync."""
    define(here, **_EDITED)
    source(here, row("1", "One", "Paris"))
    here.run()
    edit(here, "1", address1_city="Oslo")
    here.run()
    edit(here, "1", address1_city="Paris")
    source(here, row("1", "One", "Rome"))
    here.run()
    assert held(here)["1"]["address1_city"] == "Rome"
    edit(here, "1", address1_city="Bern")
    source(here, row("1", "One", "Bern"))
    here.run()
    source(here, row("1", "One", "Wien"))
    here.run()
    assert held(here)["1"]["address1_city"] == "Wien"
    source(here, row("1", "One", "Paris"))
    edit(here, "1", address1_city="Oslo")
    here.run()
    assert held(here)["1"]["address1_city"] == "Oslo"
    idle(here)


class _Editing:
    """Edits a record when a phase of the run begins, as a person may do at any moment."""

    def __init__(self, here: World, at: Phase, **values: Any) -> None:
        self._here = here
        self._at = at
        self._values = values

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """A phase begins."""
        if phase is self._at:
            edit(self._here, "1", **self._values)

    def advance(self, rows: int) -> None:
        """Rows are done."""

    def throttled(self, requests: int, until: datetime) -> None:
        """Nothing is throttled."""


def test_unless_edited_does_not_overwrite_an_edit_that_comes_between_reading_and_writing(here: World) -> None:
    """The write has the version that was compared: a refusal is reported, and the run succeeds."""
    define(here, **_EDITED)
    source(here, row("1", "One", "Paris"), row("2", "Two", "Paris"))
    here.run()
    source(here, row("1", "Uno", "Rome"), row("2", "Due", "Rome"))
    done = here.run(progress=_Editing(here, Phase.WRITE, address1_city="Oslo"))
    assert (done.state, done.edited, done.updated.done, done.failed) == (RunState.SUCCEEDED, 1, 1, 0)
    assert [error.error_type for error in done.errors] == ["Edited in target"]
    assert {number: record["address1_city"] for number, record in held(here).items()} == {"1": "Oslo", "2": "Rome"}
    here.run()
    assert held(here)["1"] | {"name": "Uno", "address1_city": "Oslo"} == held(here)["1"]
    idle(here)


def test_columns_that_are_always_written_need_no_version(here: World) -> None:
    """An edit of another column between read and write does not stop a change of unprotected columns."""
    define(here, **_EDITED)
    source(here, row("1", "One", "Paris"))
    here.run()
    source(here, row("1", "Uno", "Paris"))
    done = here.run(progress=_Editing(here, Phase.WRITE, description="a note"))
    assert (done.edited, done.updated.done, held(here)["1"]["name"]) == (0, 1, "Uno")


# -- if_empty and on_insert ------------------------------------------------------------------------------------------


def test_if_empty_fills_only_empty_columns(here: World) -> None:
    """An existing value stays, whoever wrote it; an empty source clears nothing."""
    define(here, policies={"address1_city": "if_empty"})
    source(here, row("1", "One", "Paris"), row("2", "Two"))
    here.run()
    source(here, row("1", "One", "Rome"), row("2", "Two", "Bern"))
    done = here.run()
    assert (done.updated.done, done.unchanged) == (1, 1)
    assert {number: record["address1_city"] for number, record in held(here).items()} == {"1": "Paris", "2": "Bern"}
    edit(here, "2", address1_city=None)
    source(here, row("1", "One"), row("2", "Two", "Oslo"))
    here.run()
    assert {number: record["address1_city"] for number, record in held(here).items()} == {"1": "Paris", "2": "Oslo"}
    idle(here)


@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_on_insert_sets_a_value_once(here: World, strategy: str) -> None:
    """The record is created with it; later runs write only the other columns."""
    define(here, policies={"address1_city": "on_insert"}, strategy=strategy)
    source(here, row("1", "One", "Paris"))
    here.run()
    source(here, row("1", "Uno", "Rome"), row("2", "Two", "Bern"), row("3/x", "Three", "Kiel"))
    here.run()
    found = {number: (record["name"], record["address1_city"]) for number, record in held(here).items()}
    assert found == {"1": ("Uno", "Paris"), "2": ("Two", "Bern"), "3/x": ("Three", "Kiel")}
    if strategy == "full":
        idle(here)


def test_on_insert_with_actions_of_rows(here: World) -> None:
    """Strategy delta: an insert has the column, an update does not, and an upsert has it where the record is new."""
    definition = accounts(
        sync_behaviour={"strategy": "delta", "sync_key": ["accountnumber"], "action_column": "action"}
    )
    definition["source"]["columns"].append({"name": "action"})
    definition["destination"]["mappings"][2]["write"] = "on_insert"
    here.define(definition)
    here.csv([{**row("1", "One", "Paris"), "action": "insert"}])
    here.run()
    here.csv(
        [
            {**row("1", "Uno", "Rome"), "action": "update"},
            {**row("2", "Two", "Bern"), "action": "upsert"},
        ]
    )
    here.run()
    here.csv([{**row("1", "Eins", "Wien"), "action": "upsert"}])
    here.run()
    found = {number: (record["name"], record["address1_city"]) for number, record in held(here).items()}
    assert found == {"1": ("Eins", "Paris"), "2": ("Two", "Bern")}


# -- dropped and returned --------------------------------------------------------------------------------------------

_SET: Final = {"set": {"description": "'closed: ' || target.name", "statecode": "'Inactive'"}}
_REASON: Final = {"set": {"description": "'closed: ' || target.name", "statuscode": "'Inactive'"}}
_BACK: Final = {"set": {"description": "null", "statecode": "0"}}


@pytest.mark.parametrize(
    ("dropped", "returned", "figure"),
    [
        ("deactivate", "ignore", "deactivated"),
        ("deactivate", "reactivate", "deactivated"),
        ({"expire": "new_expiredon"}, "ignore", "expired"),
        ({"expire": "new_expiredon"}, "reactivate", "expired"),
        (_SET, "ignore", "marked"),
        (_SET, _BACK, "marked"),
        (_REASON, {"set": {"description": "null", "statuscode": "1"}}, "marked"),
    ],
    ids=str,
)
def test_a_dropped_record_is_marked_and_a_returning_one_is_opened(
    here: World, dropped: Any, returned: Any, figure: str
) -> None:
    """Each step once: the second run plans nothing, and the counts have each step."""
    define(here, dropped=dropped, returned=returned)
    source(here, row("1", "One", "Paris"), row("2", "Two", "Paris"))
    here.run()
    before = held(here)["2"]
    source(here, row("1", "One", "Paris"))
    planned = here.plan().to_json()["planned"]
    assert (planned[figure], planned["deleted"]) == (1, 0)
    done = here.run()
    assert getattr(done, figure).done == 1
    marked = held(here)["2"]
    assert marked != before
    if figure != "expired":
        assert (marked["statecode"], marked["statuscode"]) == (1, 2)
    if figure == "marked":
        assert marked["description"] == "closed: Two"
    idle(here)
    source(here, row("1", "One", "Paris"), row("2", "Due", "Paris"))
    done = here.run()
    opened = returned != "ignore"
    assert (done.reactivated.done, done.updated.done) == ((1, 0) if opened else (0, 1))
    assert held(here)["2"] == (before if opened else marked) | {"name": "Due"}
    idle(here)


def test_a_record_that_a_user_closed_is_not_opened(here: World) -> None:
    """Closed while its row existed, while it was missing, or after this sync had opened it again."""
    define(here, dropped="deactivate", returned="reactivate")
    source(here, row("1", "One"), row("2", "Two"))
    here.run()
    edit(here, "1", statecode=1)
    source(here, row("1", "Uno"))
    here.run()
    assert held(here)["1"]["statecode"] == 1  # closed by a person; its name is written all the same
    assert held(here)["1"]["name"] == "Uno"
    source(here)
    here.run()
    source(here, row("1", "Uno"), row("2", "Two"))
    done = here.run()
    assert done.reactivated.done == 1
    assert {number: record["statecode"] for number, record in held(here).items()} == {"1": 1, "2": 0}
    edit(here, "2", statecode=1)
    here.run()
    assert held(here)["2"]["statecode"] == 1
    idle(here)


def test_a_record_that_a_user_opened_while_its_row_is_missing_is_marked_again(here: World) -> None:
    """The target follows the source; the mark then belongs to this sync."""
    define(here, dropped="deactivate", returned="reactivate")
    source(here, row("1", "One"))
    here.run()
    source(here)
    here.run()
    edit(here, "1", statecode=0)
    done = here.run()
    assert (done.deactivated.done, held(here)["1"]["statecode"]) == (1, 1)
    source(here, row("1", "One"))
    here.run()
    assert held(here)["1"]["statecode"] == 0
    idle(here)


def test_a_sync_that_marks_nothing_for_a_time_keeps_its_marks(here: World) -> None:
    """Without the rule nothing tells whether a record still has its mark."""
    rules: dict[str, Any] = {"dropped": "deactivate", "returned": "reactivate"}
    define(here, **_EDITED, **rules)
    source(here, row("1", "One"), row("2", "Two"))
    here.run()
    source(here, row("1", "One"))
    here.run()
    define(here, **_EDITED, dropped="ignore")
    here.run()
    define(here, **_EDITED, **rules)
    source(here, row("1", "One"), row("2", "Two"))
    assert (here.run().reactivated.done, held(here)["2"]["statecode"]) == (1, 0)


_EXPIRES: Final[dict[str, Any]] = {"dropped": {"expire": "new_expiredon"}, "returned": "reactivate"}
_CLOSES: Final[dict[str, Any]] = {"dropped": "deactivate", "returned": "reactivate"}
_MOMENT: Final = "2020-01-01T00:00:00Z"


@pytest.mark.parametrize("again", [False, True], ids=["row returns at once", "a run in between"])
@pytest.mark.parametrize(
    ("first", "then", "entered"),
    [(_EXPIRES, _CLOSES, {"statecode": 1}), (_CLOSES, _EXPIRES, {"new_expiredon": _MOMENT})],
    ids=["expire, then deactivate", "deactivate, then expire"],
)
def test_a_mark_of_others_stays_where_the_sync_marked_in_another_way(
    here: World, first: dict[str, Any], then: dict[str, Any], entered: dict[str, Any], *, again: bool
) -> None:
    """The sync has marked the record, and then the definition was changed: what a person enters is not its mark."""
    define(here, **first)
    source(here, row("1", "One"), row("2", "Two"))
    here.run()
    source(here, row("1", "One"))
    here.run()
    define(here, **then)
    edit(here, "2", **entered)
    if again:
        idle(here)
    marked = held(here)["2"]
    source(here, row("1", "One"), row("2", "Two"))
    assert here.plan().plan.counts.changes == 0
    here.run()
    assert held(here)["2"] == marked
    define(here, **first)
    assert here.run().reactivated.done == 1  # its own mark is known all the time
    assert held(here)["2"].items() >= entered.items()


def test_a_record_that_is_marked_in_the_way_of_the_new_rule_is_reactivated(here: World) -> None:
    """The new mark is the sync's own, as every mark that it gives; the old one stays."""
    define(here, **_EXPIRES)
    source(here, row("1", "One"))
    here.run()
    source(here)
    here.run()
    define(here, **_CLOSES)
    assert here.run().deactivated.done == 1
    source(here, row("1", "One"))
    assert here.run().reactivated.done == 1
    assert held(here)["1"]["statecode"] == 0
    idle(here)


@pytest.mark.parametrize("changed", ["ignore", {"when": "source.name <> 'skip'"}], ids=str)
def test_a_returning_record_follows_the_rules_for_changed_records(here: World, changed: Any) -> None:
    """It is opened in any case; the rules decide about its other columns."""
    define(here, dropped="deactivate", returned="reactivate", changed=changed)
    source(here, row("1", "One"), row("2", "Two"))
    here.run()
    source(here)
    here.run()
    source(here, row("1", "Uno"), row("2", "skip"))
    assert here.run().reactivated.done == 2
    found = {number: (record["name"], record["statecode"]) for number, record in held(here).items()}
    assert found == {"1": ("One" if changed == "ignore" else "Uno", 0), "2": ("Two", 0)}
    idle(here)


def test_marks_count_as_drops_in_the_safety_limits(here: World) -> None:
    """Twelve of twelve records are too many to deactivate without --force."""
    define(here, dropped="deactivate", safety={"max_delete": "30%", "allow_empty_source": True})
    source(here, *(row(str(n), "N") for n in range(12)))
    here.run()
    source(here)
    with pytest.raises(UnsafePlanError, match="deactivate or mark 12 of the target's 12 records"):
        here.run()
    assert here.run(force=True).deactivated.done == 12


@pytest.mark.parametrize(
    ("column", "expression", "left", "marked"),
    [("revenue", "target.name", 1, 22), ("address1_city", "repeat(target.name, 30)", None, "22" * 30)],
)
def test_a_value_that_does_not_fit_its_column_leaves_the_record_unmarked(
    here: World, column: str, expression: str, left: object, marked: object
) -> None:
    """The record is reported, and nothing of it is sent; the others are marked."""
    define(here, dropped={"set": {column: expression}})
    source(here, row("1", "One", "", 1), row("2", "22", "", 1))
    here.run()
    source(here)
    done = here.run()
    assert (done.marked.done, done.marked.planned) == (1, 1)
    assert [(e.error_type, e.column, e.count) for e in done.errors] == [("Invalid Format Exception", column, 1)]
    assert {number: record[column] for number, record in held(here).items()} == {"1": left, "2": marked}
    idle(here)


# -- dropped_scope: own ----------------------------------------------------------------------------------------------


def test_own_drops_only_what_this_sync_created_or_matched(here: World) -> None:
    """Records of other users stay; a record that this sync matched in an earlier run belongs to it."""
    here.define(accounts(sync_behaviour={"strategy": "delta", "sync_key": ["accountnumber"]}), "seed")
    source(here, row("foreign", "F"), row("matched", "M"))
    here.run("seed")
    define(here, dropped="delete", dropped_scope="own")
    source(here, row("matched", "M"), row("created", "C"))
    here.run()
    source(here)
    done = here.run()
    assert (done.deleted.done, list(held(here))) == (2, ["foreign"])
    idle(here)


def test_a_record_of_other_users_stays_and_can_be_a_parent(here: World) -> None:
    """It is in no row of the source, and it is not dropped: a lookup in the same table finds it in every run."""
    here.create("accounts", {"accountnumber": "foreign", "name": "F"})
    definition = accounts(sync_behaviour={"sync_key": ["accountnumber"], "dropped": "delete", "dropped_scope": "own"})
    lookup = {"source": "city", "target": "parentaccountid", "lookup": {"match": "accountnumber"}}
    definition["destination"]["mappings"] = [*definition["destination"]["mappings"][:2], lookup]
    here.define(definition)
    source(here, row("1", "One", "foreign"))
    for _ in range(2):
        done = here.run()
        assert (done.source.rejected, done.deleted.done, done.failed) == (0, 0, 0)
    (child,) = here.records("accounts?$select=accountnumber&$filter=parentaccountid/accountnumber eq 'foreign'")
    assert child["accountnumber"] == "1"
    assert done.unchanged == 1


# -- The ledger is lost, or the run dies -----------------------------------------------------------------------------


def test_a_lost_ledger_drops_reactivates_and_overwrites_nothing(here: World) -> None:
    """The message of the run reports it, and the next run uses the new ledger."""
    define(here, dropped="deactivate", dropped_scope="own", returned="reactivate", **_EDITED)
    source(here, row("1", "One", "Paris"), row("2", "Two", "Paris"), row("3", "Three", "Paris"))
    assert _MISSING in here.run().message
    source(here, row("1", "One", "Paris"), row("3", "Three", "Paris"))
    assert _MISSING not in here.run().message
    forget(here)
    source(here, row("1", "One", "Rome"), row("2", "Two", "Paris"))
    assert _MISSING in here.plan().notes[0]
    done = here.run()
    assert (done.state, done.writes) == (RunState.SUCCEEDED, 0)
    assert _MISSING in done.message
    found = {number: (record["address1_city"], record["statecode"]) for number, record in held(here).items()}
    assert found == {"1": ("Paris", 0), "2": ("Paris", 1), "3": ("Paris", 0)}
    idle(here)


def test_a_damaged_ledger_counts_as_lost(here: World) -> None:
    """A new one is started, and the run succeeds."""
    define(here, dropped="delete", dropped_scope="own")
    source(here, row("1", "One"), row("2", "Two"))
    here.run()
    here.app.state._db.execute("UPDATE ledger_parts SET data = x'00'")  # type: ignore[attr-defined]
    source(here, row("1", "One"))
    done = here.run()
    assert (done.state, done.deleted.planned) == (RunState.SUCCEEDED, 0)
    assert "missing or damaged" in done.message
    source(here)
    done = here.run()
    assert (done.message, done.deleted.done, list(held(here))) == ("", 1, ["2"])


class _Dying:
    """Ends the run as a killed process does, when a phase begins."""

    def __init__(self, at: Phase) -> None:
        self._at = at

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """A phase begins."""
        if phase is self._at:
            raise _KilledError

    def advance(self, rows: int) -> None:
        """Rows are done."""

    def throttled(self, requests: int, until: datetime) -> None:
        """Nothing is throttled."""


class _KilledError(BaseException):
    """Nothing that comes after it was done."""


@contextmanager
def without_last_note(here: World) -> Iterator[None]:
    """The process is killed after its last write and before the ledger has its results."""
    swaps = iter(["before the first write"])

    def killed(*_: object, **__: object) -> None:
        if next(swaps, None) is None:
            raise _KilledError

    with here.store_in_front(swap_ledger=killed), pytest.raises(_KilledError):
        yield


def test_the_next_run_completes_the_ledger_of_a_run_that_died(here: World) -> None:
    """Created records, marks and written values belong to the sync."""
    define(here, dropped="deactivate", dropped_scope="own", returned="reactivate", **_EDITED)
    source(here, row("1", "One", "Paris"), row("2", "Two", "Paris"))
    here.run()
    source(here, row("1", "One", "Rome"), row("3", "Three", "Kiel"))
    with without_last_note(here):
        here.run()
    found = {number: (record["address1_city"], record["statecode"]) for number, record in held(here).items()}
    assert found == {"1": ("Rome", 0), "2": ("Paris", 1), "3": ("Kiel", 0)}
    source(here, row("1", "One", "Bern"), row("2", "Two", "Wien"))
    done = here.run()
    assert (done.updated.done, done.reactivated.done, done.deactivated.done) == (1, 1, 1)
    assert not done.errors
    found = {number: (record["address1_city"], record["statecode"]) for number, record in held(here).items()}
    assert found == {"1": ("Bern", 0), "2": ("Wien", 0), "3": ("Kiel", 1)}
    idle(here)


def test_a_run_that_died_before_its_first_write_has_changed_nothing(here: World) -> None:
    """The next run corrects the entries about planned writes."""
    define(here, dropped="deactivate", returned="reactivate", **_EDITED)
    source(here, row("1", "One", "Paris"), row("2", "Two", "Paris"))
    here.run()
    source(here, row("1", "One", "Rome"), row("3", "Three", "Kiel"))
    with pytest.raises(_KilledError):
        here.run(progress=_Dying(Phase.WRITE))
    edit(here, "1", address1_city="Oslo")
    edit(here, "2", statecode=1)
    source(here, row("1", "One", "Rome"), row("2", "Two", "Paris"))
    done = here.run()
    assert [error.error_type for error in done.errors] == ["Edited in target"]
    found = {number: (record["address1_city"], record["statecode"]) for number, record in held(here).items()}
    assert found["1"] == ("Oslo", 0)
    idle(here)


def test_the_ledger_of_many_runs_is_compacted(here: World) -> None:
    """It has only a few files, and no entry is lost."""
    define(here, dropped="deactivate", dropped_scope="own", returned="reactivate", **_EDITED)
    for n in range(12):
        source(here, *(row(str(number), "N", f"City {n}") for number in range(n % 3, 5)))
        here.run()
    head = here.app.state.ledger("accounts")
    assert head is not None
    assert len(head.parts) <= 8
    assert {record["address1_city"] for number, record in held(here).items() if int(number) >= 2} == {"City 11"}
    source(here)
    assert here.run().deactivated.done == 3


_LOST: Final = {"action": "drop_after", "match": {"method": "POST", "path": "$batch"}, "times": 1}


def test_a_lost_answer_to_a_guarded_write_is_no_edit(here: World) -> None:
    """The write was applied, so its retry finds another version: the record has the values, and so they are written."""
    define(here, **_EDITED)
    source(here, row("1", "One", "Paris"))
    here.run()
    here.emulator.faults(_LOST)
    source(here, row("1", "One", "Rome"))
    done = here.run()
    here.emulator.clear_faults()
    assert (done.updated.done, done.edited, done.failed, done.skipped) == (1, 0, 0, 0)
    assert held(here)["1"]["address1_city"] == "Rome"
    source(here, row("1", "One", "Bern"))
    assert here.run().updated.done == 1
    assert held(here)["1"]["address1_city"] == "Bern"
    idle(here)


def test_a_lost_answer_to_a_guarded_write_of_an_event_is_no_edit(here: World) -> None:
    """Otherwise the event would become a dead letter, although it has taken effect."""
    define(here, **_EDITED)
    listen(here)
    source(here, row("1", "One", "Paris"))
    here.run()
    for city in ("Rome", "Bern"):
        here.emulator.faults(_LOST)
        done = sent(here, "u", "1", city=city)
        here.emulator.clear_faults()
        assert done["update"] == 1
        assert held(here)["1"]["address1_city"] == city


# -- Beside real time ------------------------------------------------------------------------------------------------


def test_a_sync_with_a_ledger_works_together_with_a_listener(here: World) -> None:
    """One definition: events and runs keep edits, mark and reopen records, and leave those of others alone."""
    define(here, **_EDITED, dropped="deactivate", returned="reactivate", dropped_scope="own")
    listen(here)
    here.create("accounts", {"accountnumber": "other", "name": "made by a person"})

    def states() -> dict[str, int]:
        return {number: record["statecode"] for number, record in held(here).items()}

    sent(here, "u", "1", name="one", city="Bern")
    source(here, row("1", "one", "Bern"), row("2", "two", "Bern"))
    assert "only the ledger allows, but for 1 record that events have written," in here.run().message
    edit(here, "1", address1_city="Basel")
    sent(here, "u", "1", name="uno", city="Rome")
    sent(here, "u", "2", city="Rome")
    source(here, row("1", "uno", "Rome"), row("2", "two", "Rome"))
    assert [error.error_type for error in here.run().errors] == ["Edited in target"]
    assert [held(here)[number]["address1_city"] for number in ("1", "2")] == ["Basel", "Rome"]
    sent(here, "d", "1")
    sent(here, "d", "other")
    source(here, row("1", "uno", "Rome"))
    done = here.run()
    assert (done.reactivated.done, done.deactivated.done) == (1, 1)
    assert states() == {"1": 0, "2": 1, "other": 0}
    sent(here, "u", "2", name="due")
    assert states() == {"1": 0, "2": 0, "other": 0}
    source(here, row("1", "uno", "Rome"), row("2", "due", "Rome"))
    here.run()
    idle(here)


def test_records_of_a_copy_of_the_environment_are_not_its_own(here: World, tmp_path: Path) -> None:
    """They have the same ids; the sync has not run there yet, so it drops nothing there, and goes on in the first one."""
    here.define(accounts(sync_behaviour={"dropped": "delete", "dropped_scope": "own", "safety": _LIMITLESS}))
    here.csv([row("1", "One"), row("2", "Two")])
    assert here.run().created.done == 2
    with world(tmp_path) as other:
        copy = World(folder=here.folder, emulator=other.emulator, environment=other.environment)
        copy.environment |= {"SOURCE": here.environment["SOURCE"]}
        for record in here.records("accounts?$select=accountid,accountnumber,name"):
            copy.create("accounts", {name: record[name] for name in ("accountid", "accountnumber", "name")})
        copy.reopen()
        here.csv([row("1", "One")])
        done = copy.run()
        assert (done.created.done, done.deleted.done, done.target.processed) == (0, 0, 2)
        assert f"{_MISSING} (there is none yet for this table of this environment)" in done.message
        copy.app.state.close()
    here.reopen()
    assert here.run().deleted.done == 1


@pytest.mark.parametrize("runs", [1, 2])
def test_an_event_notices_each_run_that_writes_after_its_record_was_read(here: World, runs: int) -> None:
    """Also where another event of the process asks the ledger first: what a run has written is no edit."""
    define(here, **_EDITED)
    listen(here)
    source(here, row("1", "One", "Paris"), row("2", "Two", "Paris"))
    here.run()
    cities = iter(["Rome", "Bern"][:runs])
    with here.store_in_front() as store:
        sent(here, "u", "2", city="Paris")  # the process has read the files before

        def overtake(*_: object) -> None:
            with store.acting(ledger_entries=lambda *_: None):
                for city in islice(cities, 1):
                    source(here, row("1", "One", city), row("2", "Two", "Paris"))
                    assert here.run().updated.done == 1
                    sent(here, "u", "2", city="Paris")

        store.before["ledger_entries"] = overtake
        done = sent(here, "u", "1", city="Oslo")
    assert (done.get("update"), done.get("edited"), held(here)["1"]["address1_city"]) == (1, None, "Oslo")
