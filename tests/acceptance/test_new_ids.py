"""The ids of new records: a record that was created for a key, and has another key now, is not in the way of a new one.

Whatever happens to the create: without a fault its id would be taken, and with one it would be found under this id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from shared.cli.real_time import feed
from shared.jobs import ApprovedPlan
from tests.acceptance.world import World, accounts, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


FAULTS: Final = pytest.mark.parametrize(
    "fault", [None, {"action": "drop_before"}, {"action": "status", "status": 503, "retry_after": 0}]
)


def deals(here: World, **behaviour: Any) -> None:
    """A sync of opportunities whose customer is an account that the lookup creates."""
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    definition = accounts(name="deals", listener={"name": "deals", "topic": {"action": "$.op"}})
    definition["source"]["columns"] = [{"name": "number"}, {"name": "customer"}]
    definition["destination"] |= {
        "entity": "opportunity",
        "id_column": "opportunityid",
        "mappings": [
            {"source": "number", "target": "name"},
            {"source": "customer", "target": "customerid", "lookup": lookup},
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["name"], **behaviour}
    here.define(definition, "deals")


def apply(here: World, *rows: Mapping[str, str], events: bool) -> None:
    if events:
        path = here.folder / "events.ndjson"
        path.write_text("".join(json.dumps({"op": "u", **each}) + "\n" for each in rows), "utf-8")
        assert "failed" not in feed(here.app, "deals", str(path)).syncs["deals"]
        return
    here.csv(rows)
    assert here.run("deals").failed == 0


def customers(here: World) -> dict[str, str]:
    found = here.records("opportunities?$select=name&$expand=customerid_account($select=accountnumber)")
    return {each["name"]: each["customerid_account"]["accountnumber"] for each in found}


def renumber(here: World, number: str) -> None:
    """Give an account another number, as a person does."""
    (record,) = here.records(f"accounts?$select=accountid&$filter=accountnumber eq '{number}'")
    here.update(f"accounts({record['accountid']})", {"accountnumber": f"old {number}"})


@FAULTS
@pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])
def test_a_record_that_a_lookup_created_is_not_taken_for_another(
    here: World, fault: dict[str, Any] | None, *, events: bool
) -> None:
    deals(here)
    apply(here, {"number": "one", "customer": "A"}, events=events)
    renumber(here, "A")
    if fault:
        here.emulator.faults({**fault, "match": {"method": "POST", "path": "accounts"}})
    rows = ({"number": "one", "customer": "old A"}, {"number": "two", "customer": "A"})
    apply(here, *rows, events=events)
    assert customers(here) == {"one": "old A", "two": "A"}
    assert len(here.records("accounts?$select=name")) == 2


@FAULTS
def test_a_parent_that_the_sync_created_is_not_taken_for_another(here: World, fault: dict[str, Any] | None) -> None:
    """New rows that refer to a new row, which once had the id that a plan makes of its key."""
    definition = accounts()
    definition["source"]["columns"] = [{"name": "number"}, {"name": "parent"}]
    definition["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"source": "parent", "target": "parentaccountid", "lookup": {"match": "accountnumber"}},
    ]
    here.define(definition)
    here.csv([{"number": "A", "parent": ""}, {"number": "B", "parent": "A"}])
    assert here.run().failed == 0
    renumber(here, "A")
    if fault:
        here.emulator.faults({**fault, "match": {"method": "POST", "path": "accounts"}})
    here.csv([{"number": "A", "parent": ""}, {"number": "C", "parent": "A"}])
    done = here.run()
    assert (done.failed, done.created.done) == (0, 2)
    found = here.records("accounts?$select=accountnumber&$expand=parentaccountid($select=accountnumber)")
    assert {each["accountnumber"]: (each["parentaccountid"] or {}).get("accountnumber") for each in found} == {
        "old A": None,
        "A": None,
        "B": "old A",
        "C": "A",
    }


PARTNERS: Final = {
    "new_Partner": {
        "keys": {"by_number": ["new_number"], "by_external": ["new_external"]},
        "columns": {
            "new_Number": {"type": "String", "length": 20},
            "new_External": {"type": "String", "length": 20},
        },
    },
    "new_Deal": {
        "keys": {"deal_key": ["new_code"]},
        "columns": {
            "new_Code": {"type": "String", "length": 20},
            "new_SellerId": {"type": "Lookup", "targets": ["new_partner"]},
            "new_BuyerId": {"type": "Lookup", "targets": ["new_partner"]},
        },
    },
}


@pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])
def test_records_that_lookups_create_by_different_keys_are_not_taken_for_one_another(
    tmp_path: Path, *, events: bool
) -> None:
    """Our partner 1001 sells to the partner whose own number is 1001: two companies, in the first run and the second."""
    definition = accounts(name="deals", listener={"name": "deals", "topic": {"action": "$.op"}})
    definition["source"]["columns"] = [{"name": "code"}, {"name": "seller"}, {"name": "buyer"}]
    seller, buyer = ({"match": match, "on_missing": "create"} for match in ("new_number", "new_external"))
    definition["destination"] |= {
        "entity": "new_deal",
        "id_column": "new_dealid",
        "mappings": [
            {"source": "code", "target": "new_code"},
            {"source": "seller", "target": "new_sellerid", "lookup": seller},
            {"source": "buyer", "target": "new_buyerid", "lookup": buyer},
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["new_code"]}
    with world(tmp_path, tables=PARTNERS) as here:
        here.define(definition, "deals")
        for _ in range(2):
            apply(here, {"code": "D1", "seller": "1001", "buyer": "1001"}, events=events)
            partners = {each["new_partnerid"]: each for each in here.records("new_partners")}
            (deal,) = here.records("new_deals")
            assert len(partners) == 2
            assert partners[deal["_new_sellerid_value"]]["new_number"] == "1001"
            assert partners[deal["_new_buyerid_value"]]["new_external"] == "1001"


def test_a_plan_that_creates_records_for_lookups_is_the_same_when_it_is_made_again(here: World) -> None:
    """So it can be approved; the run gives them other ids than the plan."""
    deals(here)
    here.csv([{"number": "one", "customer": "A"}])
    plan = here.plan("deals").plan
    assert here.plan("deals").plan.checksum == plan.checksum
    done = here.run("deals", approved=ApprovedPlan(checksum=plan.checksum))
    assert (done.created.done, done.created_references.done) == (1, 1)
    assert customers(here) == {"one": "A"}


@pytest.mark.parametrize("events", [False, True], ids=["batch", "events"])
def test_a_created_record_that_only_new_records_refer_to_is_found(here: World, *, events: bool) -> None:
    """Strategy `upsert` with `write: on_insert`: what a new record gets is apart from the rest of the change."""
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    definition = accounts(name="deals", listener={"name": "deals", "topic": {"action": "$.op"}})
    definition["source"]["columns"] = [{"name": "number"}, {"name": "customer"}]
    definition["destination"] |= {
        "entity": "contact",
        "id_column": "contactid",
        "mappings": [
            {"source": "number", "target": "externaluseridentifier"},
            {"value": "'x'", "target": "lastname"},
            {
                "source": "customer",
                "target": "parentcustomerid",
                "lookup": lookup,
                "write": "on_insert",
                "on_null": "keep",
            },
        ],
    }
    definition["sync_behaviour"] = {"sync_key": ["externaluseridentifier"], "strategy": "upsert"}
    here.define(definition, "deals")
    apply(here, {"number": "one", "customer": "A"}, {"number": "two", "customer": "B"}, events=events)
    query = "contacts?$select=externaluseridentifier&$expand=parentcustomerid_account($select=accountnumber)"
    found = here.records(query)
    assert {each["externaluseridentifier"]: each["parentcustomerid_account"]["accountnumber"] for each in found} == {
        "one": "A",
        "two": "B",
    }
