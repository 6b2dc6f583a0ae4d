"""A batch of events changes the target by its rules, and every event is counted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.dataverse import Change, Dataverse, Outcome, RetryPolicy, Skipped
from shared.entities import EntityMetadata
from shared.errors import RetryLater
from shared.events import Message, decode
from shared.jobs.real_time.boundary import Failure
from shared.jobs.real_time.events import EventSync, Listeners, replay, replay_edited, run_events
from shared.jobs.real_time.letters import FailedEvent, letter_of
from shared.jobs.real_time.record import MOST_PARTITIONS
from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import COLUMNS, MAPPINGS, SkippingClock, World
from tests.state_requests import requests_to


class TestFull:
    def test_new_changed_and_dropped_records(self, make: Make) -> None:
        """Events insert, update only what differs, and delete."""
        world = make()
        assert (
            world.run({"op": "c", "number": "A", "name": "one"}, {"op": "c", "number": "B", "name": "two"})["insert"]
            == 2
        )
        assert world.run({"op": "u", "number": "A", "name": "uno"})["update"] == 1
        assert world.run({"op": "u", "number": "A", "name": "uno"})["unchanged"] == 1
        assert world.run({"op": "d", "number": "B"})["delete"] == 1
        assert world.accounts() == {"A": {"name": "uno"}}

    @pytest.mark.parametrize("strategy", ["full", "upsert", "delta"])
    def test_a_new_record_may_be_inactive(self, make: Make, strategy: str) -> None:
        """It is created and then made inactive: one event, one outcome."""
        mapping = {"source": "state", "target": "statecode"}
        behaviour = {"strategy": strategy} | ({"dropped": "ignore"} if strategy == "delta" else {})
        world = make(columns=(*COLUMNS, {"name": "state"}), mappings=(*MAPPINGS, mapping), behaviour=behaviour)
        done = world.run({"op": "c", "number": "A", "state": "Inactive"}, {"op": "c", "number": "B", "state": "Active"})
        assert sum(done[name] for name in ("insert", "upsert") if name in done) == 2
        assert {row["accountnumber"]: row["statecode"] for row in world.rows("accountnumber,statecode")} == {
            "A": 1,
            "B": 0,
        }

    def test_an_absent_field_changes_nothing_and_null_clears(self, make: Make) -> None:
        """Partial events change only the fields that they contain."""
        world = make()
        world.run({"op": "c", "number": "A", "name": "one", "revenue": 5, "city": "Bern"})
        world.run({"op": "u", "number": "A", "city": None})
        assert world.accounts() == {"A": {"name": "one", "revenue": 5}}

    def test_a_field_that_is_left_out_is_reported(self, make: Make) -> None:
        """The event is applied without it; the log has the errors of all batches of an hour, as a batch has them."""
        columns = (*COLUMNS[:2], {"name": "revenue", "type": "number"}, {"name": "city", "mandatory": True})
        world = make(columns=columns)
        done = world.run(
            {"op": "c", "number": "A", "name": "one", "revenue": "much", "city": ""},
            {"op": "c", "number": "B", "name": "two", "revenue": 2, "city": "Bern"},
        )
        assert (done["insert"], done["left_out"], done.get("lost")) == (2, 1, None)
        assert world.run({"op": "u", "number": "B", "revenue": "more"})["left_out"] == 1
        assert world.accounts() == {"A": {"name": "one"}, "B": {"name": "two", "revenue": 2, "city": "Bern"}}
        (row,) = world.state.runs()
        assert (row.state, row.message) == ("Completed with errors", "2 events have fields in error")
        errors = {
            (error.error_type, error.column): (error.error_class, error.count)
            for error in world.state.errors(row.run_id)
        }
        assert errors == {
            ("Invalid Format Exception", "revenue"): ("Invalid Column", 2),
            ("Mandatory Rule Violation", "city"): ("Invalid Column", 1),
        }

    def test_an_event_that_is_filtered_reports_no_field(self, make: Make) -> None:
        """It is not applied, so nothing is left out."""
        columns = (*COLUMNS[:2], {"name": "revenue", "type": "number"}, COLUMNS[3])
        world = make(columns=columns, source={"filter": "number <> 'A'"})
        done = world.run({"op": "c", "number": "A", "revenue": "much"})
        assert (done["filtered"], done.get("left_out", 0), world.state.errors(world.state.runs()[0].run_id)) == (
            1,
            0,
            (),
        )

    def test_events_of_one_record_become_one_write(self, make: Make) -> None:
        """The fields of all events of the batch are merged, also if the spelling of the key differs."""
        world = make()
        world.run({"op": "c", "number": "A", "name": "one"})
        before = world.writes
        world.run({"op": "u", "number": "a", "city": "Bern"}, {"op": "u", "number": "A ", "name": "uno", "revenue": 1})
        assert world.writes == before + 1
        assert world.accounts() == {"A": {"name": "uno", "city": "Bern", "revenue": 1}}

    def test_a_record_that_is_deleted_and_created_again_is_new(self, make: Make) -> None:
        """An insert after a delete keeps no value of the old record."""
        world = make()
        old = world.put(accountnumber="A", name="one", description="left over")
        world.run({"op": "d", "number": "A"}, {"op": "c", "number": "A", "name": "new"})
        ((row,)) = [world.rows("accountid,name,description")]
        assert (row[0]["name"], row[0]["description"], row[0]["accountid"] == old) == ("new", None, False)

    def test_a_delete_after_an_insert_writes_nothing(self, make: Make) -> None:
        """Nothing is written for a record that is created and deleted in one batch."""
        world = make()
        before = world.writes
        world.run({"op": "c", "number": "A", "name": "one"}, {"op": "d", "number": "A"})
        assert (world.accounts(), world.writes) == ({}, before)

    def test_one_request_reads_the_records_of_a_batch(self, make: Make) -> None:
        """One request has several keys."""
        world = make()
        world.run({"op": "c", "number": "warm"})
        reads = len([entry for entry in world.emulator.log() if "/accounts?" in entry["path"]])
        world.run(*({"op": "c", "number": f"N{n}", "name": f"Name {n}"} for n in range(300)))
        assert len([entry for entry in world.emulator.log() if "/accounts?" in entry["path"]]) == reads + 1
        assert len(world.accounts()) == 301

    @pytest.mark.parametrize(
        ("behaviour", "expected"),
        [
            ({"dropped": "ignore"}, {"A": {"name": "one"}}),
            ({"new": "ignore"}, {}),
            ({"changed": "ignore"}, {"A": {"name": "one"}}),
        ],
    )
    def test_rules_that_ignore(self, make: Make, behaviour: dict[str, Any], expected: dict[str, Any]) -> None:
        """New, changed and dropped records are not written if the rules ignore them, in one batch or in several."""
        world = make(behaviour={"dropped": "ignore", **behaviour})
        events = [{"op": "c", "number": "A", "name": "one"}]
        events += [{"op": "u", "number": "A", "name": "two"}] if "changed" in behaviour else []
        world.run(*events, {"op": "d", "number": "A"})
        assert world.accounts() == expected

    def test_a_condition_is_evaluated_for_each_event(self, make: Make) -> None:
        """An update with a condition is compared with the record as the event before it left it."""
        world = make(behaviour={"changed": {"when": "source.revenue > target.revenue"}})
        world.run({"op": "c", "number": "A", "revenue": 7})
        world.run(*({"op": "u", "number": "A", "revenue": value} for value in (10, 5, 12, 11)))
        assert world.accounts() == {"A": {"revenue": 12}}

    def test_an_event_on_which_the_condition_fails_is_a_dead_letter(self, make: Make) -> None:
        """It says why, and its record stays as it is; the other events of the batch are applied."""
        world = make(behaviour={"changed": {"when": "CAST(source.name AS INTEGER) > 5"}})
        world.run(*({"op": "c", "number": number, "name": "1"} for number in "AB"))
        world.run({"op": "u", "number": "A", "name": "many"}, {"op": "u", "number": "B", "name": "7"})
        assert world.accounts() == {"A": {"name": "1"}, "B": {"name": "7"}}
        (letter,) = world.letters
        assert letter.message == "changed.when: the condition fails on this row, so its record stays as it is"

    def test_a_dropped_record_may_expire(self, make: Make) -> None:
        """The date is set once, and the events before the delete still take effect."""
        world = make(behaviour={"dropped": {"expire": "lastusedincampaign"}})
        world.run({"op": "c", "number": "A", "name": "one"}, {"op": "d", "number": "A"})
        ((row,)) = world.rows("name,lastusedincampaign")
        assert (row["name"], bool(row["lastusedincampaign"])) == ("one", True)
        assert world.run({"op": "d", "number": "A"})["ignored"] == 1

    def test_each_batch_has_its_own_time(self, make: Make) -> None:
        """The date of a record that expires is that of its batch, not that of the first batch of the process."""
        world, clock = make(behaviour={"dropped": {"expire": "lastusedincampaign"}}), SkippingClock()
        world.tools = replace(world.tools, clock=clock)
        world.run({"op": "c", "number": "A"}, {"op": "c", "number": "B"}, {"op": "c", "number": "C"})
        for number in "ABC":
            world.run({"op": "d", "number": number})
            clock.skipped += 3600
        dates = [datetime.fromisoformat(row["lastusedincampaign"]) for row in world.rows("lastusedincampaign")]
        apart = [after - before for before, after in pairwise(sorted(dates))]
        assert all(timedelta(minutes=59) < each < timedelta(minutes=70) for each in apart)

    def test_on_null_keep_leaves_the_column(self, make: Make) -> None:
        """A null with `keep` does not undo an earlier event of the batch."""
        world = make(mappings=[*MAPPINGS[:3], {**MAPPINGS[3], "on_null": "keep"}])
        world.run({"op": "c", "number": "A", "city": "Bern"}, {"op": "u", "number": "A", "city": None, "name": "one"})
        assert world.accounts() == {"A": {"city": "Bern", "name": "one"}}

    def test_a_calculated_column_needs_all_of_its_fields(self, make: Make) -> None:
        """A column that is calculated from an absent field does not change."""
        columns = [*COLUMNS, {"name": "street"}, {"name": "address", "formula": "concat_ws(', ', street, city)"}]
        world = make(columns=columns, mappings=[*MAPPINGS[:3], {"source": "address", "target": "address1_city"}])
        world.run({"op": "c", "number": "A", "street": "Main St 1", "city": "Bern"})
        world.run({"op": "u", "number": "A", "city": "Rome", "name": "one"})
        assert world.accounts() == {"A": {"city": "Main St 1, Bern", "name": "one"}}

    def test_columns_may_be_paths(self, make: Make) -> None:
        """A column reads a nested field where its name is a JSONPath."""
        columns = [COLUMNS[0], COLUMNS[1], {"name": "$.address.city", "alias": "city"}]
        world = make(columns=columns, mappings=[MAPPINGS[0], MAPPINGS[1], MAPPINGS[3]])
        world.run({"op": "c", "number": "A", "address": {"city": "Bern"}}, {"op": "u", "number": "A", "address": {}})
        assert world.accounts() == {"A": {"city": "Bern"}}

    def test_the_target_filter_limits_the_matched_records(self, make: Make) -> None:
        """A record that does not pass the filter does not change."""
        world = make(destination={"filter": "name ne 'secret'"}, behaviour={"new": "ignore"})
        world.put(accountnumber="A", name="secret")
        world.run({"op": "d", "number": "A"})
        assert world.accounts() == {"A": {"name": "secret"}}

    def test_a_record_that_the_target_filter_would_hide_is_not_created(self, make: Make) -> None:
        """An event that comes again would not find it: it would be created as often as the event comes."""
        mappings = [{"source": "number", "target": "sic"}, MAPPINGS[1]]
        world = make(
            columns=COLUMNS[:2],
            mappings=mappings,
            behaviour={"sync_key": ["sic"]},
            destination={"filter": "name ne 'secret' and name ne null"},
        )
        for _ in range(2):
            counts = world.run(
                {"op": "c", "number": "A", "name": "secret"}, {"op": "u", "number": "B"}, {"op": "c", "number": "C", "name": "c"}
            )  # fmt: skip
            assert (counts["failed"], counts.get("ignored", 0)) == (2, 0)
        assert world.reasons == dict.fromkeys((0, 1, 3, 4), "Outside Filter")
        assert [row["name"] for row in world.rows("name")] == ["c"]

    def test_a_key_that_is_not_unique_is_matched_once(self, make: Make) -> None:
        """Of several records with one key only the oldest is updated, and none is dropped."""
        mappings = [{"source": "number", "target": "sic"}, MAPPINGS[1]]
        world = make(columns=COLUMNS[:2], mappings=mappings, behaviour={"sync_key": ["sic"]})
        oldest, _ = world.put(sic="A", name="first"), world.put(sic="A", name="second")
        world.run({"op": "u", "number": "A", "name": "changed"})
        world.run({"op": "d", "number": "A"})
        rows = {row["accountid"]: row["name"] for row in world.rows("accountid,name")}
        assert (rows.pop(oldest), list(rows.values())) == ("changed", ["second"])


def failing_at_the_checkpoint(world: World, batch: Sequence[Message]) -> None:
    """Deliver a batch that takes effect and then fails at its checkpoint."""

    def fail(sync: str, _: object) -> None:
        if sync == "customers":  # these are positions, and not the note that inserts are begun
            raise RetryLater("the state store is away", retry_after=5)

    with world.state.acting(mark_seen=fail), pytest.raises(RetryLater):
        world.deliver(batch)


class TestDeltaAndUpsert:
    def test_delta_follows_the_action(self, make: Make) -> None:
        """Insert, update and delete events are sent with this action; no record is read."""
        world = make(behaviour={"strategy": "delta", "dropped": "ignore"})
        world.put(accountnumber="B", name="old")
        world.put(accountnumber="C", name="gone")
        counts = world.run({"op": "c", "number": "A", "name": "one"}, {"op": "u", "number": "B", "city": "Bern"}, {"op": "d", "number": "C"})  # fmt: skip
        assert (counts["insert"], counts["update"], counts["delete"]) == (1, 1, 1)
        assert world.accounts() == {"A": {"name": "one"}, "B": {"name": "old", "city": "Bern"}}

    def test_an_update_of_a_missing_record_is_refused(self, make: Make) -> None:
        """Strategy delta never changes the action: the event becomes a dead letter."""
        world = make(behaviour={"strategy": "delta"})
        world.run({"op": "u", "number": "A", "name": "one"}, {"op": "d", "number": "B"})
        assert (world.accounts(), world.reasons) == ({}, {0: "Failed Operation"})

    def test_merged_events_that_are_refused_are_sent_one_by_one(self, make: Make) -> None:
        """Only the event with the error becomes a dead letter."""
        world = make(behaviour={"strategy": "delta"})
        world.put(accountnumber="A", name="old")
        world.run({"op": "w"}, {"op": "c", "number": "W"})  # this process has settled what came before
        world.run({"op": "c", "number": "A", "name": "new"}, {"op": "u", "number": "A", "city": "Bern"})
        assert world.accounts()["A"] == {"name": "old", "city": "Bern"}
        assert world.reasons[2] == "Failed Operation"
        assert 3 not in world.reasons

    def test_an_insert_that_may_be_a_redelivery_is_looked_up(self, make: Make) -> None:
        """After a crash between the write and the checkpoint, the same batch inserts nothing twice."""
        world = make(behaviour={"strategy": "delta"})
        batch = world.messages({"op": "c", "number": "A", "name": "one"})
        world.deliver(batch)
        other = World(emulator=world.emulator, folder=world.folder / "another", behaviour={"strategy": "delta"})
        other.deliver(batch)  # a process that knows nothing, with a store that never heard of the batch
        assert (world.accounts(), other.letters) == ({"A": {"name": "one"}}, [])
        other.state.close()

    def test_an_insert_after_a_write_of_its_own_batch_is_refused_after_a_start_too(self, make: Make) -> None:
        """The batch itself created the record, so a lookup is not necessary: the insert does not become an update."""
        world = make(behaviour={"strategy": "delta"})
        world.run({"op": "upsert", "number": "É", "name": "one"}, {"op": "c", "number": "e", "name": "two"})
        assert (world.accounts(), world.reasons) == ({"É": {"name": "one"}}, {1: "Failed Operation"})

    @pytest.mark.parametrize("started", [True, False])
    def test_a_redelivered_insert_that_was_refused_changes_nothing(self, make: Make, *, started: bool) -> None:
        """It is a dead letter; a lookup would find the other record, and the event would overwrite it."""
        world = make(behaviour={"strategy": "delta"})
        world.run({"op": "c", "number": "A", "name": "one"})
        batch = world.messages({"op": "c", "number": "A", "name": "two"})
        world.deliver(batch)
        world.tools = world.fresh_tools() if started else world.tools
        assert world.deliver(batch).syncs["customers"] == {"events": 1, "stale": 1}
        assert (world.accounts(), world.reasons) == ({"A": {"name": "one"}}, {1: "Failed Operation"})

    @pytest.mark.parametrize("action", [{"action": "status", "status": 503}, {"action": "drop_before"}])
    def test_after_a_fault_a_refused_insert_is_still_refused(self, make: Make, action: dict[str, Any]) -> None:
        """A lookup after the fault finds a record with the key, but this event did not create it."""
        world = make(behaviour={"strategy": "delta"})
        world.run({"op": "c", "number": "É", "name": "one"})
        world.emulator.faults({"times": 1, "match": {"path": "CreateMultiple"}, **action})
        world.run({"op": "c", "number": "É", "name": "two"})
        assert (world.accounts(), world.reasons) == ({"É": {"name": "one"}}, {1: "Failed Operation"})

    @pytest.mark.parametrize("action", ["drop_after", "drop_before"])
    def test_an_insert_whose_response_is_lost_is_found_by_its_id(self, make: Make, action: str) -> None:
        """The lookup uses the id that the insert had: one record, and no dead letter."""
        world = make(behaviour={"strategy": "delta"})
        world.run({"op": "c", "number": "W"})
        world.emulator.faults({"times": 1, "match": {"path": "CreateMultiple"}, "action": action})
        world.run({"op": "c", "number": "A", "name": "one"})
        assert (world.accounts(), world.letters) == ({"W": {}, "A": {"name": "one"}}, [])

    def test_inserts_of_a_redelivered_batch_are_looked_up(self, make: Make) -> None:
        """The same process gets the batch again; records that it has created already are not duplicates."""
        world = make(behaviour={"strategy": "delta"})
        world.run({"op": "c", "number": "W"})
        batch = world.messages({"op": "c", "number": "A", "name": "one"})
        failing_at_the_checkpoint(world, batch)
        world.deliver(batch)
        assert (world.accounts(), world.letters) == ({"W": {}, "A": {"name": "one"}}, [])

    def test_upsert_lets_the_service_decide(self, make: Make) -> None:
        """Whatever the action is, the record exists afterwards; no record is read."""
        world = make(behaviour={"strategy": "upsert"})
        world.put(accountnumber="B", name="old")
        counts = world.run({"op": "u", "number": "A", "name": "one"}, {"op": "c", "number": "B", "city": "Bern"})
        assert counts["upsert"] == 2
        assert world.accounts() == {"A": {"name": "one"}, "B": {"name": "old", "city": "Bern"}}

    @pytest.mark.parametrize(("dropped", "left"), [("delete", set()), ("ignore", {"A"})])
    def test_upsert_follows_the_rule_for_dropped_records(self, make: Make, dropped: str, left: set[str]) -> None:
        """A delete event is a dropped record, also if no records are read."""
        world = make(behaviour={"strategy": "upsert", "dropped": dropped})
        world.run({"op": "c", "number": "A", "name": "one"}, {"op": "d", "number": "A"})
        assert set(world.accounts()) == left

    def test_upsert_may_expire(self, make: Make) -> None:
        """Only the date is written, and a missing record is not created for it."""
        world = make(behaviour={"strategy": "upsert", "dropped": {"expire": "lastusedincampaign"}})
        world.put(accountnumber="A", name="one")
        world.run({"op": "d", "number": "A"})
        ((row,)) = world.rows("name,lastusedincampaign")
        assert (row["name"], bool(row["lastusedincampaign"])) == ("one", True)

    @pytest.mark.parametrize(("value", "employees", "reasons"), [("7", 7, {}), ("many", 5, {0: "User Error"})])
    def test_upsert_does_not_clear_a_column_for_a_mark_that_does_not_fit(
        self, make: Make, value: str, employees: int, reasons: dict[int, str]
    ) -> None:
        """The event is a dead letter that says why; other events of the batch are applied."""
        behaviour = {"strategy": "upsert", "dropped": {"set": {"numberofemployees": "@mark"}}}
        world = make(behaviour=behaviour, parameters={"mark": {"default": value}})
        world.put(accountnumber="A", numberofemployees=5)
        world.run({"op": "d", "number": "A"}, {"op": "c", "number": "B", "name": "two"})
        found = {
            row["accountnumber"]: row["numberofemployees"] for row in world.rows("accountnumber,numberofemployees")
        }
        assert found == {"A": employees, "B": None}
        assert world.reasons.keys() == reasons.keys()
        if reasons:
            (letter,) = world.letters
            assert letter.message == (
                "the value for numberofemployees does not fit the column, or its expression fails; "
                "the record is not marked"
            )


class TestOrder:
    def test_a_batch_that_is_delivered_twice_changes_nothing(self, make: Make) -> None:
        """The second time every event is stale, also in a process that has just started."""
        world = make()
        batch = world.messages({"op": "c", "number": "A", "name": "one"}, {"op": "u", "number": "A", "city": "Bern"})
        world.deliver(batch)
        writes = world.writes
        world.tools = world.fresh_tools()
        assert world.deliver(batch).syncs["customers"] == {"events": 2, "stale": 2}
        assert world.writes == writes

    def test_an_old_event_after_a_newer_one_changes_nothing(self, make: Make) -> None:
        """Lower sequence numbers of the same key are stale."""
        world = make()
        world.run({"op": "c", "number": "A", "name": "new"}, first=10)
        assert world.run({"op": "u", "number": "A", "name": "old"}, {"op": "c", "number": "B"}, first=5)["stale"] == 1
        assert set(world.accounts()) == {"A", "B"}
        assert world.accounts()["A"] == {"name": "new"}

    def test_an_older_event_changes_nothing_in_any_partition(self, make: Make) -> None:
        """Events with a time are ordered by it across partitions."""
        world = make(topic={"format": "cloudevents"})

        def event(second: int, name: str) -> dict[str, Any]:
            return {"specversion": "1.0", "type": "x.updated", "time": f"2026-01-01T00:00:{second:02}Z", "data": {"number": "A", "name": name}}  # fmt: skip

        world.run(event(5, "new"), partition="0")
        assert world.run(event(3, "old"), partition="1", first=0)["stale"] == 1
        world.run(event(6, "newer"), partition="1", first=1)
        assert world.accounts() == {"A": {"name": "newer"}}

    def test_events_are_ordered_for_each_message_key(self, make: Make) -> None:
        """Here the message key is the id of the record, and its number changes."""
        world = make(topic={"action": "$.op", "message_key": "new.id"})
        world.run({"op": "c", "number": "A", "id": 1}, first=10)
        assert (
            world.run({"op": "c", "number": "B", "id": 1}, {"op": "c", "number": "C", "id": 2}, first=5)["stale"] == 1
        )
        assert set(world.accounts()) == {"A", "C"}


POISON: dict[str, Any] = {
    "empty": b"",
    "not UTF-8": b"\xff\xfe",
    "not JSON": b"{",
    "nested": b"[" * 100_000,
    "a megabyte": b'{"number": "' + b"x" * 1_048_576,
    "text": "hello",
    "null": None,
    "no action": {"number": "P"},
    "no key": {"op": "c", "name": "nobody"},
    "empty key": {"op": "c", "number": "  "},
    "too long for the key": {"op": "c", "number": "x" * 1_000_000},
    "bad number": {"op": "c", "number": "P", "revenue": "much"},
    "too long": {"op": "c", "number": "P", "name": "x" * 161},
    "too large": {"op": "c", "number": "P", "revenue": 1e15},
    "half a character": b'{"op": "c", "number": "P", "name": "\\ud83d"}',
}


class TestPoison:
    def test_each_poison_message_is_a_dead_letter_and_other_events_take_effect(self, make: Make) -> None:
        """No event blocks another, and each dead letter has the original body and a reason."""
        world = make()
        bodies: list[Any] = [{"op": "c", "number": "first", "name": "1"}]
        for body in POISON.values():
            bodies += [body, {"op": "u", "number": "first", "name": str(len(bodies))}]
        batch = world.messages(*bodies)
        counts = world.deliver(batch).syncs["customers"]
        assert counts["lost"] == len(POISON)
        assert world.accounts() == {"first": {"name": str(len(bodies) - 2)}}
        kept = {letter.sequence: letter for letter in world.letters}
        assert set(kept) == set(range(1, len(bodies), 2))
        assert all(letter.body == batch[sequence].body for sequence, letter in kept.items())
        assert all(letter.error and 10 < len(letter.message) < 300 for letter in kept.values())

    def test_a_dead_letter_has_the_place_of_its_event(self, make: Make) -> None:
        """Partition, offset, sequence number, listener, properties and reason."""
        world = make()
        world.run(b"", first=7, partition="3", offset="-1", key="k", properties={"a": 1}, hub="h", content_type="c")
        (letter,) = world.letters
        assert (letter.partition, letter.sequence, letter.offset, letter.tries) == ("3", 7, "-1", 1)
        assert (letter.sync, letter.error, letter.message) == ("customers", "Undecodable", "the body is empty")
        assert letter.properties == {"a": 1}
        assert letter.system == {
            "hub": "h",
            "key": "k",
            "content_type": "c",
            "content_encoding": "",
            "item": None,
            "listener": "customers events",
        }

    def test_one_bad_record_of_a_message_does_not_affect_the_others(self, make: Make) -> None:
        """The dead letter names the item, and a replay applies only this item."""
        world = make(topic={"records": "$.rows"})
        world.run({"rows": [{"number": "A"}, {"number": "B", "revenue": "much"}, {"number": "C"}]})
        (letter,) = world.letters
        assert (letter.system["item"], set(world.accounts())) == (1, {"A", "C"})
        assert replay([letter], world.listeners, world.tools).kept == 1

    def test_a_definition_that_does_not_fit_rejects_only_its_own_events(self, make: Make) -> None:
        """Another sync of the same hub continues."""
        world = make()
        broken = World(
            emulator=world.emulator, folder=world.folder, mappings=[*MAPPINGS, {"value": "1", "target": "nope"}]
        )
        world.syncs.append(EventSync(definition=broken.define("broken")))
        world.run({"op": "c", "number": "A"})
        assert (set(world.accounts()), [letter.sync for letter in world.letters]) == ({"A"}, ["broken"])
        assert "nope" in world.letters[0].message
        broken.state.close()

    def test_an_unexpected_exception_rejects_only_its_own_event(self, make: Make) -> None:
        """A fault of the program stops neither the partition nor the rest of the batch."""
        world = make()

        def failing(message: Message, *rest: Any) -> Any:
            if message.sequence == 2:
                raise ZeroDivisionError
            return decode(message, *rest)

        world.tools = replace(world.tools, decode=failing)
        world.run(*({"op": "u", "number": "A", "name": str(n)} for n in range(5)))
        assert (world.reasons, world.accounts()) == ({2: "Unforeseen"}, {"A": {"name": "4"}})


class TestRouting:
    def test_each_listener_takes_the_events_that_it_matches(self, make: Make) -> None:
        """An event that no listener takes is counted, not stored: the hub also has events for other consumers."""
        world = make(topic={"match": {"type": "customer"}})
        other = world.define("others", match={"type": "other"})
        world.syncs.append(EventSync(definition=other))
        summary = world.deliver(world.messages({"type": "customer", "number": "A"}, {"type": "third", "number": "B"}))
        assert (summary.unclaimed, list(summary.syncs), world.letters) == (1, ["customers"], [])

    def test_of_a_batch_of_many_senders_each_listener_takes_its_events(self, make: Make) -> None:
        """A delete of another table with the same number deletes nothing, whichever event is the first."""
        customer = {"specversion": "1.0", "id": "1", "source": "s", "type": "crm.customer.saved"}
        order = {"specversion": "1.0", "id": "2", "source": "s", "type": "crm.order.deleted", "data": {"number": "A"}}
        world = make(topic={"format": "cloudevents", "match": {"type": "crm.customer.saved"}})
        for number in ("A", "B"):
            batch = [{**customer, "data": {"number": number}}, order]
            for sent in (batch, batch[::-1]):
                assert world.deliver(world.messages(sent)).unclaimed == 0
        assert (set(world.accounts()), world.letters) == ({"A", "B"}, [])
        assert world.deliver(world.messages([order])).unclaimed == 1

    def test_without_listeners_every_event_is_a_dead_letter(self, make: Make) -> None:
        """An event without a listener is stored while no listener says that the hub has events for other consumers."""
        world = make()
        world.syncs.clear()
        summary = world.deliver(world.messages({"number": "A"}))
        assert (summary.dead_letters, world.letters[0].error, world.letters[0].sync) == (1, "Unclaimed", "")

    def test_while_a_definition_cannot_be_read_every_event_is_stored(self, make: Make) -> None:
        """The event may be for this definition."""
        world = make(topic={"match": {"type": "customer"}})
        listeners = Listeners(syncs=tuple(world.syncs), complete=False)
        assert run_events(world.messages({"type": "x"}), listeners, world.tools).dead_letters == 1

    def test_an_undecodable_body_is_stored_unless_it_is_for_other_consumers(self, make: Make) -> None:
        """It is stored if the properties do not show for whom it is."""
        world = make(topic={"match": {"type": "customer"}})
        assert world.deliver(world.messages(b"\xff")).dead_letters == 1
        assert world.deliver(world.messages(b"\xff", properties={"type": "other"})).unclaimed == 1

    def test_filtered_events_are_only_counted(self, make: Make) -> None:
        """They have no other effect."""
        world = make(topic={"action": "$.op", "filter": "new.country = 'CA'"})
        counts = world.run({"op": "c", "number": "A", "country": "CA"}, {"op": "c", "number": "B", "country": "US"})
        assert (counts["filtered"], set(world.accounts())) == (1, {"A"})

    def test_records_whose_long_keys_differ_in_the_last_digit_are_two(self, make: Make) -> None:
        """Neither event is older than the other: the numbers have more digits than a binary fraction."""
        world = make(topic={"format": "cloudevents", "message_key": "new.id"})
        for partition, (number, ending) in enumerate((("A", 3), ("B", 2))):
            text = f"""{{"specversion": "1.0", "id": "1", "source": "s", "type": "x.created",
                "time": "2026-01-02T00:00:0{ending}Z", "data": {{"id": 900719925474099{ending}.0, "number": "{number}",
                "city": {{"p": 12345678901234567.89}}}}}}"""
            counts = world.run(text.encode(), partition=str(partition))
            assert (counts.get("stale"), world.letters) == (None, [])
        city = '{"p":12345678901234567.89}'
        assert world.accounts() == {"A": {"city": city}, "B": {"city": city}}

    def test_the_record_of_a_message_without_values_is_read(self, make: Make) -> None:
        """The message still has the id, by which the record is read; an event of a deleted record is a dead letter."""
        columns = [{"name": "accountnumber"}, {"name": "name"}, {"name": "sic", "formula": "'seen'"}]
        mappings = [{"source": name, "target": name} for name in ("accountnumber", "name", "sic")]
        world = make(columns=columns, mappings=mappings, topic={"format": "dataverse"})
        body = {
            "MessageName": "Update",
            "PrimaryEntityName": "account",
            "PrimaryEntityId": world.put(accountnumber="A", name="x"),
        }
        world.run(
            body, {**body, "PrimaryEntityId": "11111111-1111-4111-8111-111111111111"}, {**body, "PrimaryEntityId": "?"}
        )
        assert [row["sic"] for row in world.rows("sic")] == ["seen"]
        assert sorted(world.reasons) == [1, 2]

    def test_the_record_of_a_message_without_values_is_read_before_the_filter(self, make: Make) -> None:
        """The filter and the message key see the record."""
        columns = [{"name": "accountnumber"}, {"name": "sic", "formula": "'seen'"}]
        mappings = [{"source": name, "target": name} for name in ("accountnumber", "sic")]
        topic = {"format": "dataverse", "filter": "new.name = 'x'", "message_key": "new.accountnumber"}
        world = make(columns=columns, mappings=mappings, topic=topic)
        body = {"MessageName": "Update", "PrimaryEntityName": "account"}
        records = [world.put(accountnumber=number, name=name) for number, name in (("A", "x"), ("B", "y"))]
        counts = world.run(*({**body, "PrimaryEntityId": record} for record in records))
        assert ([row["sic"] for row in world.rows("sic")], counts["filtered"], world.letters) == (["seen", None], 1, [])


class TestAway:
    def test_without_dataverse_a_batch_raises_and_takes_effect_once(self, make: Make) -> None:
        """A redelivered batch has the same result as one delivery."""
        world = make()
        world.run({"op": "c", "number": "W"})
        batch = world.messages({"op": "c", "number": "A", "name": "one"}, b"")
        world.emulator.faults({"action": "status", "status": 503, "times": 1000, "match": {"path": "/accounts"}})
        with pytest.raises(RetryLater):
            world.deliver(batch)
        assert world.letters == []
        world.emulator.clear_faults()
        world.deliver(batch)
        assert (world.accounts()["A"], world.reasons) == ({"name": "one"}, {2: "Undecodable"})

    def test_changes_that_were_skipped_never_count_as_applied(self, make: Make) -> None:
        """If the writer sent nothing, for any reason, the host redelivers the batch."""
        skips = [True]

        class Skipping(Dataverse):
            def write(self, entity: EntityMetadata, changes: Iterable[Change], *given: Any) -> Iterator[Outcome]:
                if skips:
                    yield from (Skipped(number=change.number, reason="deadline") for change in changes)
                else:
                    yield from super().write(entity, changes, *given)

        world = make(open_dataverse=Skipping)
        batch = world.messages({"op": "c", "number": "A", "name": "one"})
        with pytest.raises(RetryLater):
            world.deliver(batch)
        assert world.letters == []
        skips.clear()
        world.deliver(batch)
        assert world.accounts() == {"A": {"name": "one"}}

    def test_a_long_throttle_raises_and_the_host_retries(self, make: Make) -> None:
        """A wait beyond the connection's retry policy raises at once, and the redelivered batch takes effect."""
        world = make(retry_policy=RetryPolicy(seconds=60))
        batch = world.messages({"op": "c", "number": "A", "name": "one"})
        world.emulator.faults({"action": "status", "status": 429, "retry_after": 61, "match": {"path": "Multiple"}})
        with pytest.raises(RetryLater) as away:
            world.deliver(batch)
        assert away.value.retry_after == 61
        assert (world.letters, world.accounts()) == ([], {})
        world.tools = world.fresh_tools()
        world.deliver(batch)
        assert world.accounts() == {"A": {"name": "one"}}

    def test_a_lost_response_causes_no_duplicate(self, make: Make) -> None:
        """The connection breaks after the service has written: the insert is looked up, not sent again."""
        world = make()
        world.emulator.faults({"action": "drop_after", "times": 1, "match": {"path": "CreateMultiple"}})
        world.run({"op": "c", "number": "A", "name": "one"})
        assert world.accounts() == {"A": {"name": "one"}}

    def test_without_the_state_store_a_batch_raises(self, make: Make) -> None:
        """No event counts as applied without a checkpoint; the redelivered batch takes effect once."""
        world = make()
        batch = world.messages({"op": "c", "number": "A", "name": "one"})
        failing_at_the_checkpoint(world, batch)
        world.deliver(batch)
        assert world.accounts() == {"A": {"name": "one"}}

    def test_events_without_the_privilege_are_dead_letters(self, make: Make) -> None:
        """An error that only a person can correct does not block the partition: the events wait in the dead letters."""
        world = make()
        world.emulator.faults(
            {"action": "status", "status": 403, "code": "0x80040220", "times": 1000, "match": {"path": "Multiple"}}
        )
        world.run({"op": "c", "number": "A"}, {"op": "c", "number": "B"})
        world.emulator.clear_faults()
        assert (world.accounts(), len(world.letters)) == ({}, 2)
        assert replay(world.letters, world.listeners, world.tools).settled == 2
        assert set(world.accounts()) == {"A", "B"}


BAD = {"revenue": "much"}


class TestReplay:
    def test_replayed_dead_letters_are_removed_or_count_their_attempts(self, make: Make) -> None:
        """A dead letter that the service accepts now is removed from the store."""
        world = make()
        world.emulator.faults(
            {"action": "refuse_rows", "times": 1000, "match": {"path": "accounts", "filter": "accountnumber eq 'A'"}}
        )
        world.run({"op": "c", "number": "A", "name": "one"}, b"poison", {"op": "c", "number": "B"})
        assert set(world.reasons) == {0, 1}
        world.emulator.clear_faults()
        outcome = replay(world.letters, world.listeners, world.tools)
        assert (outcome.settled, outcome.kept) == (1, 1)
        assert world.accounts()["A"] == {"name": "one"}
        assert [(letter.sequence, letter.tries) for letter in world.letters] == [(1, 2)]

    def test_a_stale_dead_letter_changes_nothing(self, make: Make) -> None:
        """A newer event of the key was applied since: the replay removes the old one without a write."""
        world = make()
        world.run({"op": "c", "number": "A", "revenue": "much"}, {"op": "c", "number": "A", "name": "newer"})
        (letter,) = world.letters
        assert world.reasons == {0: "Invalid Format Exception"}
        columns = [*COLUMNS[:2], {"name": "revenue", "type": "number"}, COLUMNS[3]]
        mended = World(emulator=world.emulator, folder=world.folder / "mended", columns=columns)
        world.syncs = [EventSync(definition=mended.definition)]
        assert replay([letter], world.listeners, world.tools).settled == 1
        assert (world.accounts(), world.letters) == ({"A": {"name": "newer"}}, [])
        mended.state.close()

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            # Another record of the message is in error: the newer value stays.
            ([{"number": "A", "name": "newer"}, {"number": "B", **BAD}], {"A": "newer", "B": None}),
            # The newer event of the record comes in the message of the one in error, after it or before it.
            ([{"number": "A", "name": "less new", **BAD}, {"number": "A", "name": "newer"}], {"A": "newer"}),
            ([{"number": "A", "name": "newer"}, {"number": "A", "name": "newest", **BAD}], {"A": "newest"}),
        ],
    )
    def test_each_event_of_a_message_has_a_place_in_the_order(
        self, make: Make, rows: list[dict[str, str]], expected: dict[str, str | None]
    ) -> None:
        """A replay writes no old value over one that came later, in whatever message that one was."""
        world = make(topic={"records": "$.rows"})
        world.run({"rows": [{"number": "A", "name": "old", **BAD}]}, {"rows": rows})
        assert len(world.letters) == 2
        columns = [*COLUMNS[:2], {"name": "revenue", "type": "number"}, COLUMNS[3]]
        mended = World(emulator=world.emulator, folder=world.folder / "m", columns=columns, topic={"records": "$.rows"})
        world.syncs = [EventSync(definition=mended.definition)]
        assert replay(world.letters, world.listeners, world.tools).kept == 0
        assert {number: values.get("name") for number, values in world.accounts().items()} == expected
        mended.state.close()

    @pytest.mark.parametrize("topic", [{"records": "$.moved"}, {"records": "$.first"}, {"format": "cloudevents"}])
    def test_a_dead_letter_stays_whose_event_the_definition_does_not_find_any_more(
        self, make: Make, topic: dict[str, str]
    ) -> None:
        """The definition was changed by mistake: the events are not applied, so they stay with the reason."""
        world = make(topic={"records": "$.all"})
        refused = {"number": "A", "revenue": "much"}
        world.run({"all": [{"number": "B"}, refused, refused], "first": [{"number": "B"}]})
        before = world.letters
        assert [letter.system["item"] for letter in before] == [1, 2]
        changed = World(emulator=world.emulator, folder=world.folder / "changed", topic=topic)
        world.syncs = [EventSync(definition=changed.definition)]
        outcome = replay(before, world.listeners, world.tools)
        assert (outcome.settled, outcome.kept) == (0, 2)
        assert [(each.id, each.error, each.tries) for each in world.letters] == [
            (each.id, "Undecodable", 2) for each in before
        ]
        changed.state.close()

    def test_unclaimed_dead_letters_get_a_listener_later(self, make: Make) -> None:
        """A new listener takes the dead letters that no listener took before; until then they stay."""
        world = make()
        sync = world.syncs.pop()
        world.deliver(world.messages({"op": "c", "number": "A"}))
        assert replay(world.letters, world.listeners, world.tools).kept == 1
        assert world.letters[0].tries == 2
        world.syncs.append(sync)
        assert replay(world.letters, world.listeners, world.tools).settled == 1
        assert (set(world.accounts()), world.letters) == ({"A"}, [])

    def test_an_unclaimed_dead_letter_that_its_new_listener_refuses_is_not_applied(self, make: Make) -> None:
        """It becomes a dead letter of the sync that refused it, and counts as refused; the other one is applied."""
        world = make()
        sync = world.syncs.pop()
        world.deliver(world.messages({"op": "c", "name": "no key"}, {"op": "c", "number": "A"}))
        world.syncs.append(sync)
        outcome = replay(world.letters, world.listeners, world.tools)
        assert (outcome.settled, outcome.kept) == (1, 1)
        assert [(letter.sync, letter.sequence) for letter in world.letters] == [("customers", 0)]
        assert set(world.accounts()) == {"A"}


def in_a_new_hour(world: World) -> World:
    """A world in which an hour has just begun: the execution log has a row for each."""
    now = world.clock.now()
    world.clock.sleep(3600 - now.minute * 60 - now.second)
    world.tools = replace(world.tools, clock=world.clock)
    return world


def test_the_execution_log_adds_the_counts_of_batches(make: Make) -> None:
    """One row for a sync and hour, with the counts of all batches and a text about the dead letters."""
    world = in_a_new_hour(make())
    world.run({"op": "c", "number": "A"})
    world.run({"op": "c", "number": "B"}, b"")
    (row,) = world.state.runs("customers")
    assert (row.trigger, row.state, row.counts["insert"], row.counts["events"]) == (
        "events",
        "Completed with errors",
        2,
        3,
    )
    assert "1 event" in row.message


def in_hub(world: World, number: str, *, partition: str, sequence: int, waited: float = 0) -> list[Message]:
    """An event that a hub took some time ago."""
    enqueued = world.clock.now() - timedelta(seconds=waited)
    body = {"op": "c", "number": number}
    return world.messages(body, first=sequence, partition=partition, hub="hub", enqueued=enqueued)


def partitions(world: World) -> dict[str, Any]:
    """Those of the latest row of the execution log."""
    return dict(world.state.runs("customers")[0].counts.get("partitions", {}))


def test_the_execution_log_has_the_last_event_of_each_partition(make: Make) -> None:
    """With its number and how long it has waited; a partition without new events keeps its own."""
    world = in_a_new_hour(make())
    world.run({"op": "c", "number": "first"})  # the listener begins
    world.clock.sleep(100)
    world.deliver(in_hub(world, "A", partition="0", sequence=7, waited=90))
    world.deliver(in_hub(world, "B", partition="1", sequence=3) + in_hub(world, "C", partition="1", sequence=4))
    found = partitions(world)
    assert {name: each["sequence"] for name, each in found.items()} == {"hub/0": 7, "hub/1": 4}
    assert 90 <= found["hub/0"]["lag"] < 100
    handled, enqueued = (datetime.fromisoformat(found["hub/0"][name]) for name in ("handled", "enqueued"))
    assert (handled - enqueued).total_seconds() == pytest.approx(found["hub/0"]["lag"], abs=0.001)
    world.clock.sleep(3600)
    world.deliver(in_hub(world, "D", partition="1", sequence=5))
    assert len(world.state.runs("customers")) == 2  # one row for each hour
    assert partitions(world)["hub/0"] == found["hub/0"]
    assert partitions(world)["hub/1"]["sequence"] == 5


def test_what_does_not_come_from_a_hub_now_says_nothing_of_its_partition(make: Make) -> None:
    """Events of a file, over HTTP, of a listener that starts later, and dead letters that are sent again."""
    world = make()
    world.run({"op": "c", "number": "A"})
    run_events(in_hub(world, "B", partition="0", sequence=1, waited=9000), world.listeners, world.tools, history=True)
    sync = world.syncs.pop()
    world.syncs.append(EventSync(definition=world.define("customers", match={"$.op": "x"})))
    world.deliver(in_hub(world, "C", partition="0", sequence=2))
    world.syncs[:] = [sync]
    assert replay(world.letters, world.listeners, world.tools).settled == len(world.letters)
    assert partitions(world) == {}


def test_the_last_events_of_many_partitions_have_a_bound(make: Make) -> None:
    """Those whose events came last are kept."""
    world = in_a_new_hour(make())
    for number in range(MOST_PARTITIONS + 20):
        world.deliver(in_hub(world, "A", partition=f"{number}", sequence=1))
        world.clock.sleep(1)
    assert set(partitions(world)) == {f"hub/{number}" for number in range(20, MOST_PARTITIONS + 20)}


def test_the_last_events_of_partitions_cost_no_question_of_the_state_store(make: Make) -> None:
    """They are written with the counts."""
    world = make()

    def asked(**fields: Any) -> int:
        with requests_to(world.state) as found:
            world.run({"op": "u", "number": "A", "name": str(world.next)}, **fields)
        return len(found)

    world.run({"op": "c", "number": "A"})
    world.run({"op": "c", "number": "A"}, hub="hub", enqueued=world.clock.now())
    assert asked(hub="hub", enqueued=world.clock.now()) == asked()


def test_partitions_that_write_one_record_at_once_lose_nothing(make: Make) -> None:
    """Events of one key in several partitions are a mistake of the sender; also then the record is created once."""
    world = make()

    def deliver(batch: Sequence[Message]) -> None:
        """As the host does: a batch comes again until the function does not throw."""
        for _ in batches:
            with suppress(RetryLater):
                world.deliver(batch)
                return
        world.deliver(batch)

    batches = [
        world.messages(*({"op": "c", "number": f"{n}", "city": str(n)} for n in range(60)), partition=str(partition))
        for partition in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, batches))
    assert (world.letters, world.accounts()) == ([], {str(n): {"city": str(n)} for n in range(60)})


@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_an_instance_whose_partition_has_moved_while_it_waited_writes_nothing_old(make: Make, strategy: str) -> None:
    """Another one has taken the same events and later ones; the batch that comes again changes nothing."""
    begun, moved = threading.Event(), threading.Event()

    class Slow(Dataverse):
        """Has to wait a long time before it writes, as under throttling, where the first instance uses it."""

        def write(self, *given: Any, **limits: Any) -> Iterator[Outcome]:
            if threading.current_thread().name.startswith("first"):
                begun.set()
                moved.wait()
            return super().write(*given, **limits)

    world = make(behaviour={"strategy": strategy}, open_dataverse=Slow)
    world.tools = replace(world.tools, clock=world.clock)
    world.run({"op": "c", "number": "A", "name": "one"})
    batch = world.messages({"op": "u", "number": "A", "name": "two"})
    with ThreadPoolExecutor(1, thread_name_prefix="first") as pool:
        try:
            first = pool.submit(world.deliver, batch)
            assert begun.wait(100)
            later = world.messages({"op": "u", "number": "A", "name": "three"})
            run_events([*batch, *later], world.listeners, replace(world.fresh_tools(), clock=world.clock))
            world.clock.sleep(60)
        finally:
            moved.set()
    with pytest.raises(RetryLater, match="another instance"):
        first.result()
    assert world.accounts()["A"]["name"] == "three"
    assert world.deliver(batch).syncs["customers"] == {"events": 1, "stale": 1}
    assert (world.accounts()["A"]["name"], world.letters) == ("three", [])


def meanwhile(world: World, *bodies: Any, times: int = 1) -> dict[str, int]:
    """Let another instance apply events between the look at the positions and the first write that follows it.

    Returns:
        How often the positions were looked at since then, under `looks`.
    """
    found = {"looks": 0}

    def apply(sync: str, _: object) -> None:
        found["looks"] += sync == "customers"
        if sync == "customers" and found["looks"] <= times:
            before, world.state.after = world.state.after, {}
            try:
                run_events(world.messages(*bodies), world.listeners, world.fresh_tools())
            finally:
                world.state.after = before

    world.state.after = {"seen": apply}
    return found


class TestNewerEventsDuringLateOnes:
    """Newer events of a record are applied after late ones have asked for its position, and before they write."""

    OLD, NEW = {"op": "u", "number": "A", "name": "old", "revenue": "5"}, {"op": "u", "number": "A", "name": "new"}

    def refused(self, make: Make, strategy: str) -> World:
        """A world with a dead letter for a record that is there; what refused it is away."""
        world = make(behaviour={"strategy": strategy})
        world.run({"op": "c", "number": "A", "name": "first"})
        (message,) = world.messages(self.OLD)
        lost = FailedEvent(message=message, failure=Failure(error="Failed Operation", message="refused"), item=0)
        world.state.add_dead_letters([letter_of(lost, world.syncs[0], now=world.clock.now())])
        return world

    @pytest.mark.parametrize("strategy", ["full", "upsert", "delta"])
    def test_a_replay_writes_nothing_over_them(self, make: Make, strategy: str) -> None:
        """The replay looks again directly before its first write, begins anew, and finds its event old."""
        world = self.refused(make, strategy)
        meanwhile(world, self.NEW)
        outcome = replay(world.letters, world.listeners, world.tools)
        assert (outcome.settled, outcome.kept, world.letters) == (1, 0, [])
        assert world.accounts() == {"A": {"name": "new"}}

    def test_an_edited_dead_letter_is_not_written_over_them(self, make: Make) -> None:
        """Another body of an event is as old as the event."""
        world = self.refused(make, "full")
        meanwhile(world, self.NEW)
        body = json.dumps(self.OLD | {"name": "edited"}).encode()
        assert replay_edited(world.letters[0], body, world.listeners, world.tools) is None
        assert (world.accounts(), world.letters) == ({"A": {"name": "new"}}, [])

    def test_an_unclaimed_dead_letter_is_not_written_over_them(self, make: Make) -> None:
        """Its sync had no listener when it came."""
        world = make()
        world.run({"op": "c", "number": "A", "name": "first"})
        sync = world.syncs.pop()
        world.run(self.OLD)
        world.syncs.append(sync)
        meanwhile(world, self.NEW)
        assert replay(world.letters, world.listeners, world.tools).settled == 1
        assert (world.accounts(), world.letters) == ({"A": {"name": "new"}}, [])

    @pytest.mark.parametrize("parts", [1, 2])
    def test_events_of_files_are_not_written_over_them(self, make: Make, parts: int) -> None:
        """Files of Event Hubs Capture hold old events, also those of a batch that follows another one of the file."""
        world = make()
        batch = world.messages({"op": "c", "number": "A", "name": "first"}, self.OLD)
        if parts > 1:
            run_events(batch[:1], world.listeners, world.tools, history=True)
            batch = batch[1:]
        meanwhile(world, self.NEW)
        run_events(batch, world.listeners, world.tools, history=True)
        assert world.accounts()["A"]["name"] == "new"

    def test_a_batch_that_comes_again_throws(self, make: Make) -> None:
        """The host gives it once more, and then it changes nothing."""
        world = make()
        batch = world.messages({"op": "c", "number": "A", "name": "old"})
        meanwhile(world, self.NEW)
        with pytest.raises(RetryLater, match="1 change was not sent, because another instance"):
            world.deliver(batch)
        assert world.deliver(batch).syncs["customers"] == {"events": 1, "stale": 1}
        assert world.accounts() == {"A": {"name": "new"}}

    def test_a_replay_that_is_overtaken_each_time_ends(self, make: Make) -> None:
        """An error says so; the letter stays."""
        world = self.refused(make, "full")
        other = {"op": "u", "number": "A", "name": "new"}
        meanwhile(world, other, times=1000)
        letter = replace(world.letters[0], sequence=10**6)  # newer than all of them
        with pytest.raises(RetryLater, match="another instance"):
            replay([letter], world.listeners, world.tools)
        assert (world.accounts(), len(world.letters)) == ({"A": {"name": "new"}}, 1)

    def test_batches_that_follow_each_other_look_once(self, make: Make) -> None:
        """Only events that may be late need a second look."""
        world = make()
        world.run({"op": "c", "number": "A"})
        found = meanwhile(world, times=0)
        world.run({"op": "u", "number": "A", "name": "one"})
        assert found == {"looks": 1}


def test_partitions_run_in_parallel(make: Make) -> None:
    """The host delivers batches of several partitions at a time; they do not affect each other."""
    world = make()
    batches = [
        world.messages(
            *({"op": "c", "number": f"{partition}-{n}", "name": "x"} for n in range(40)), partition=str(partition)
        )
        for partition in range(4)
    ]
    with ThreadPoolExecutor(4) as pool:
        found = [summary.syncs["customers"]["insert"] for summary in pool.map(world.deliver, batches)]
    assert (found, len(world.accounts()), world.letters) == ([40] * 4, 160, [])


def test_a_process_remembers_the_latest_streams_alone(make: Make) -> None:
    """Each request over HTTP has one of its own; forgetting one makes events slower and changes nothing."""
    world = make(topic={"action": "$.op", "match": {"$..type": '["none"]'}})
    world.deliver([world.messages({"op": "u"}, first=0, partition=str(number))[0] for number in range(1_200)])
    assert [*world.tools.memory.settled] == [str(number) for number in range(200, 1_200)]
