"""Keys as the service compares them: written with any characters, and adopted if only the service finds them equal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest

from shared.dataverse import Dataverse
from shared.errors import RetryLater
from shared.jobs import RunState, RunSummary
from tests.acceptance.test_undo_relations import undone
from tests.acceptance.world import World, accounts, world
from tests.quick_clock import QuickClock

# What does not work in the URL of a keyed request, and a key that does.
RESERVED: Final = (*(f"A{character}{number}" for number, character in enumerate("/<>*%&:\\?+#")), "A12", "O'B")
# Keys of a record and of a row that the service's collation holds equal, and so do we.
EQUAL: Final = {
    "ABC-1": "ＡＢＣ－１", "A B": "A\u00a0B", "C D": "C\u3000D", "E F": "E\u202fF", "office": "oﬃce", "m2": "m²", "H2O": "H₂O",
    "ガラス": "ｶﾞﾗｽ", "ひらがな": "ヒラガナ", "ﾊﾟﾝ": "ぱん", "Tail": "tail\u00a0 ", "Straße": "STRASSE",
}  # fmt: skip
# The emulator's collation holds these equal too, ours does not.
MISSED: Final = {"A1": "A①", "IV": "Ⅳ", "kg": "㎏", "x": "𝐱"}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("keys")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    return shared_world


def rows(*keys: str, name: str = "x", **more: object) -> list[dict[str, object]]:
    return [{"number": key, "name": name, "city": "", "revenue": "", **more} for key in keys]


def ids(here: World) -> dict[str, str]:
    return {record["accountid"]: record["accountnumber"] for record in here.records("accounts?$select=accountnumber")}


def field(here: World, column: str = "name") -> dict[str, Any]:
    return {r["accountnumber"]: r[column] for r in here.records(f"accounts?$select=accountnumber,{column}")}


def seeded(here: World, *keys: str, name: str = "x") -> dict[str, str]:
    """Records with these keys; returns their ids."""
    here.define(accounts(sync_behaviour={"strategy": "delta"}), "seed")
    here.csv(rows(*keys, name=name))
    assert here.run("seed").created.done == len(keys)
    return ids(here)


def mirrored(
    here: World, *keys: str, name: str = "x", filter_: str | None = None, waiting: int = 1000, **behaviour: Any
) -> RunSummary:
    """Run a sync over these keys that drops what it does not see."""
    safety = {"max_delete": "100%", **behaviour.pop("safety", {})}
    definition = accounts(sync_behaviour={"dropped": "delete", "safety": safety, **behaviour})
    if filter_:
        definition["destination"]["filter"] = filter_
    here.define(definition)
    here.csv(rows(*keys, name=name))
    return here.run(waiting=waiting)


# -- Reserved characters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["upsert", "delta"])
def test_a_key_with_reserved_characters_is_written_and_found_again(here: World, strategy: str) -> None:
    """The first run makes each record with its key, the second updates it and makes none."""
    definition = accounts(sync_behaviour={"strategy": strategy})
    if strategy == "delta":
        definition["source"]["columns"].append({"name": "what"})
        definition["sync_behaviour"]["action_column"] = "what"
    here.define(definition)
    for name in ("one", "two"):
        here.csv(rows(*RESERVED, name=name, what="UPSERT"))
        done = here.run()
        assert (done.upserted.done, done.failed) == (len(RESERVED), 0)
        assert field(here) == dict.fromkeys(RESERVED, name)
    here.csv(rows(*RESERVED, what="DELETE"))
    if strategy == "delta":
        assert (here.run().deleted.done, field(here)) == (len(RESERVED), {})


@pytest.mark.parametrize("what", ["UPDATE", "UPSERT", "DELETE"])
def test_a_record_is_found_by_a_key_that_only_the_service_compares_as_equal(here: World, what: str) -> None:
    """The service does not say which key matched: each remaining key is searched in its own request."""
    seeded(here, *MISSED, "other/1", name="old")
    definition = accounts(sync_behaviour={"strategy": "delta", "action_column": "what"})
    definition["source"]["columns"].append({"name": "what"})
    here.define(definition)
    keys = [*(f"{key}" for key in MISSED.values()), "other/1"]
    here.csv(rows(*keys, name="new", what=what))
    done = here.run()
    assert done.failed == 0
    assert field(here) == ({} if what == "DELETE" else dict.fromkeys([*MISSED, "other/1"], "new"))


@pytest.mark.parametrize("match", ["exact", "accent_sensitive"])
def test_keys_that_differ_for_the_sync_are_not_searched_by_the_services_comparison(here: World, match: str) -> None:
    """A sync with a stricter comparison does not delete the record of another key."""
    seeded(here, "abc")
    definition = accounts(sync_behaviour={"strategy": "delta", "action_column": "what", "key_match": match})
    definition["source"]["columns"].append({"name": "what"})
    here.define(definition)
    here.csv(rows("ábc", what="DELETE"))
    here.run()
    assert field(here) == {"abc": "x"}


# -- Keys that both hold equal ----------------------------------------------------------------------------------------


def test_keys_that_differ_in_width_or_kana_are_equal(here: World) -> None:
    """Nothing is created or dropped; the records get the spelling of the source, and the next run plans nothing."""
    before = seeded(here, *EQUAL)
    done = mirrored(here, *EQUAL.values())
    assert (done.updated.done, done.created.planned, done.deleted.planned, done.adopted) == (len(EQUAL), 0, 0, 0)
    assert ids(here).keys() == before.keys()
    assert here.plan().plan.counts.changes == 0


# -- Adopting ---------------------------------------------------------------------------------------------------------


def test_a_record_whose_key_only_the_service_compares_as_equal_is_adopted(here: World) -> None:
    """It is updated and not dropped, counts as adopted, and the next run finds it by its key."""
    before = seeded(here, *MISSED, "gone", name="old")
    done = mirrored(here, *MISSED.values(), "fresh", name="new")
    assert (done.state, done.adopted, done.failed) == (RunState.SUCCEEDED, len(MISSED), 0)
    assert (done.created.done, done.created.planned, done.deleted.done, done.deleted.planned) == (1, 5, 1, 1)
    after = ids(here)
    assert {before[record] for record in before.keys() & after.keys()} == set(MISSED)
    assert field(here) == dict.fromkeys([*MISSED.values(), "fresh"], "new")
    assert done.to_json()["adopted"] == len(MISSED)
    assert here.plan().plan.counts.changes == 0


@pytest.mark.parametrize("changed", ["ignore", {"when": "source.name = 'old'"}])
def test_the_rules_for_changed_records_apply_to_adopted_ones(here: World, changed: Any) -> None:
    """A column that the rules protect keeps its value; each run adopts the record again and drops nothing."""
    before = seeded(here, *MISSED, name="old")
    for _ in range(2):
        done = mirrored(here, *MISSED.values(), name="new", changed=changed)
        assert (done.state, done.adopted, done.deleted.done) == (RunState.SUCCEEDED, len(MISSED), 0)
        assert ids(here) == before
        assert set(field(here).values()) == {"old"}


def test_a_condition_on_changes_applies_to_an_adopted_record(here: World) -> None:
    """It is evaluated for the row and the adopted record."""
    seeded(here, *MISSED, name="old")
    done = mirrored(here, *MISSED.values(), name="new", changed={"when": "target.name = 'old' AND source.name = 'new'"})
    assert (done.adopted, set(field(here).values())) == (len(MISSED), {"new"})


def test_an_adopted_record_is_not_expired(here: World) -> None:
    """A drop that only marks the record is removed from the plan as well."""
    seeded(here, *MISSED)
    done = mirrored(here, *MISSED.values(), dropped={"expire": "new_expiredon"})
    assert (done.adopted, done.expired.planned) == (len(MISSED), 0)
    assert set(field(here, "new_expiredon").values()) == {None}


def test_adoption_works_in_rounds(here: World) -> None:
    """Each insert has one outcome, for any number of existing keys."""
    seeded(here, *MISSED)
    done = mirrored(here, *MISSED.values(), "n1", "n2", safety={"max_errors": 1}, waiting=1)
    assert (done.adopted, done.created.done, done.deleted.done, done.failed) == (len(MISSED), 2, 0, 0)


def test_a_record_that_another_row_has_is_not_adopted(here: World) -> None:
    """Two rows have one key for the service: the second is refused, and neither record nor row is lost."""
    seeded(here, "A1", name="old")
    for _ in range(2):
        done = mirrored(here, "A1", "A①", name="new")
        assert (done.adopted, done.failed, done.deleted.done) == (0, 1, 0)
        assert field(here) == {"A1": "new"}
    done = mirrored(here, "A1", "B2", "B②", name="new")
    assert (done.created.done, done.adopted, done.failed, field(here)) == (1, 0, 1, {"A1": "new", "B2": "new"})


def test_of_two_rows_with_one_records_key_the_first_adopts_it(here: World) -> None:
    """The other is refused, in this run and in the next one."""
    seeded(here, "A1", name="old")
    done = mirrored(here, "A①", "A𝟏", name="new")
    assert (done.adopted, done.failed, done.deleted.done, field(here)) == (1, 1, 0, {"A①": "new"})


@pytest.mark.parametrize("waiting", [1, 1000])
@pytest.mark.parametrize("parent", ["", "P"])
def test_a_later_round_adopts_no_record_that_a_row_has_already(here: World, waiting: int, parent: str) -> None:
    """Its row waits for a new parent, or for the keys before it; it is refused, and an undo sets the record back."""
    seeded(here, "A1", name="old")
    definition = accounts(sync_behaviour={"dropped": "delete", "safety": {"max_delete": "100%"}})
    definition["source"]["columns"].append({"name": "parent"})
    lookup = {"entity": "account", "match": "accountnumber"}
    definition["destination"]["mappings"].append({"source": "parent", "target": "parentaccountid", "lookup": lookup})
    here.define(definition)
    first, second, above = rows("A①", "A𝟏", "P", name="first", parent="")
    here.csv([first, {**second, "name": "second", "parent": parent}, above])
    done = here.run(waiting=waiting)
    assert (done.adopted, done.failed, done.deleted.done) == (1, 1, 0)
    assert field(here) == {"A①": "first", "P": "first"}
    assert undone(here, done.run_id).state == RunState.SUCCEEDED
    assert field(here) == {"A1": "old"}


def test_a_record_outside_of_the_target_filter_is_not_adopted(here: World) -> None:
    """It does not belong to this sync: the refusal is reported, and the record does not change."""
    seeded(here, "A1", name="theirs")
    done = mirrored(here, "A①", name="ours", filter_="name eq 'ours'")
    assert (done.adopted, done.failed, field(here)) == (0, 1, {"A1": "theirs"})
    assert [error.error_type for error in done.errors] == ["INSERT 0x80060892"]


def test_an_adopted_record_that_cannot_be_updated_fails_and_stays(here: World) -> None:
    """The insert has the outcome of the refused update; the record has a row in the source, so it is not dropped."""
    seeded(here, "A1", name="old")
    refusal = {"status": 400, "code": "0x80040265", "message": "A plug-in says no."}
    here.emulator.faults({"action": "status", "match": {"path": "accounts/Microsoft.Dynamics.CRM.Update"}, **refusal})
    done = mirrored(here, "A①", name="new")
    assert (done.adopted, done.failed, done.deleted.planned, field(here)) == (0, 1, 0, {"A1": "old"})


def test_a_conflict_on_another_alternate_key_is_reported(here: World) -> None:
    """The sync key is free: the service refuses because of another key, and no record is adopted."""
    here.define(
        accounts(
            sync_behaviour={"sync_key": ["name"], "dropped": "delete", "safety": {"max_delete": "100%"}},
        ),
    )
    seeded(here, "A1", name="first")
    here.csv([*rows("A1", name="first"), *rows("A1", name="second")])
    done = here.run("accounts")
    assert (done.adopted, done.failed, field(here)) == (0, 1, {"A1": "first"})


def test_if_the_records_with_the_keys_cannot_be_read_nothing_is_dropped(here: World) -> None:
    """Whatever ends the run between inserts and drops: every change has its outcome, and no record is lost."""
    before = seeded(here, *MISSED)
    here.emulator.faults({"action": "status", "status": 503, "match": {"path": "$top=2&$filter"}, "times": 1000})
    impatient = replace(here, parts={"open_dataverse": partial(Dataverse, clock=QuickClock())})
    with pytest.raises(RetryLater, match="did not return the record that has a key"):
        mirrored(impatient, *MISSED.values(), "fresh")
    counts = next(iter(here.app.state.runs(sync="accounts", limit=1))).counts
    assert (counts["created"]["done"], counts["adopted"], counts["deleted"]["done"]) == (1, 0, 0)
    assert counts["skipped"] == 2 * len(MISSED)
    assert before.items() <= ids(here).items()


def test_an_insert_of_a_delta_adopts_nothing(here: World) -> None:
    """`delta` compares nothing: the insert is refused because the record exists."""
    before = seeded(here, "A1", name="old")
    here.csv(rows("A①", name="new"))
    done = here.run("seed")
    assert (done.adopted, done.failed, ids(here)) == (0, 1, before)
