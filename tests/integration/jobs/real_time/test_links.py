"""Real time and links, the pairs of many-to-many relationships: an event adds or removes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import requests

from shared.errors import RetryLater
from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import World

LINKS: dict[str, Any] = {
    "columns": [{"name": "number"}, {"name": "mail"}],
    "mappings": [
        {"source": "number", "target": "accountid", "lookup": {"match": "accountnumber"}},
        {"source": "mail", "target": "leadid", "lookup": {"match": "emailaddress1"}},
    ],
    "destination": {"entity": "accountleads", "id_column": "accountleadid"},
}


def linking(
    make: Make, topic: Mapping[str, str] | None = None, mappings: Sequence[Mapping[str, Any]] = (), **behaviour: Any
) -> World:
    """A listener for links between two accounts and two leads."""
    behaviour = {"sync_key": ["accountid", "leadid"], **behaviour}
    world = make(
        **{**LINKS, "mappings": mappings or LINKS["mappings"]}, behaviour=behaviour, topic=topic or {"action": "$.op"}
    )
    for name in ("1", "2"):
        world.put(accountnumber=name)
        lead = {"lastname": name, "emailaddress1": f"{name}@contoso.com"}
        requests.post(
            f"{world.emulator.service_url}leads", json=lead, headers=headers(world), timeout=10
        ).raise_for_status()
    return world


def headers(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.emulator.token()}"}


def linked(world: World) -> set[tuple[str, str]]:
    url = f"{world.emulator.service_url}accounts?$expand=accountleads_association($select=lastname)"
    accounts = requests.get(url, headers=headers(world), timeout=10).json()["value"]
    return {(each["accountnumber"], lead["lastname"]) for each in accounts for lead in each["accountleads_association"]}


def event(action: str, number: str, lead: str) -> dict[str, str]:
    return {"op": action, "number": number, "mail": f"{lead}@contoso.com"}


@pytest.mark.parametrize("strategy", ["full", "upsert", "delta"])
def test_events_add_and_remove_links(make: Make, strategy: str) -> None:
    world = linking(make, strategy=strategy)

    world.run(event("c", "1", "1"), event("c", "1", "2"), event("u", "2", "2"))
    assert linked(world) == {("1", "1"), ("1", "2"), ("2", "2")}

    world.run(event("d", "1", "2"), event("c", "2", "1"), event("c", "1", "1"))
    assert (linked(world), world.letters) == ({("1", "1"), ("2", "1"), ("2", "2")}, [])


def test_the_last_event_of_a_link_counts(make: Make) -> None:
    world = linking(make)

    world.run(event("c", "1", "1"), event("d", "1", "1"), event("d", "2", "2"), event("c", "2", "2"))

    assert (linked(world), world.letters) == ({("2", "2")}, [])


def test_an_event_of_a_record_that_does_not_exist_is_a_dead_letter(make: Make) -> None:
    world = linking(make)

    world.run(event("c", "1", "1"), event("c", "nobody", "1"))

    assert (linked(world), world.reasons) == ({("1", "1")}, {1: "Unresolved Link"})


@pytest.mark.parametrize("strategy", ["full", "upsert", "delta"])
@pytest.mark.parametrize("policy", ["reject", "create"])
def test_the_removal_of_a_link_whose_record_is_gone_has_nothing_to_do(make: Make, strategy: str, policy: str) -> None:
    """Dataverse has removed the link with the record; nothing is created for it."""
    account, lead = LINKS["mappings"]
    mappings = [{**account, "lookup": {**account["lookup"], "on_missing": policy}}, lead]
    world = linking(make, mappings=mappings, strategy=strategy)
    world.run(event("c", "1", "1"))

    counts = world.run(event("d", "gone", "1"), event("d", "gone", "gone"), event("d", "1", "1"))

    assert (counts["ignored"], linked(world), world.letters) == (2, set(), [])
    leads = requests.get(f"{world.emulator.service_url}leads", headers=headers(world), timeout=10).json()["value"]
    assert {row["accountnumber"] for row in world.rows()} == {lead["lastname"] for lead in leads} == {"1", "2"}


def test_a_link_that_an_event_made_is_the_syncs_own(make: Make) -> None:
    """`dropped_scope: own`: the next event removes it."""
    world = linking(make, dropped="delete", dropped_scope="own")
    world.run(event("c", "1", "1"), event("c", "1", "2"))

    world.run(event("d", "1", "1"))

    assert (linked(world), world.letters) == ({("1", "2")}, [])


def test_a_link_that_exists_already_needs_no_write(make: Make) -> None:
    world = linking(make)
    world.run(event("c", "1", "1"))

    counts = world.run(event("u", "1", "1"))

    assert (counts["unchanged"], linked(world)) == (1, {("1", "1")})


def test_a_link_that_gets_another_record_is_replaced(make: Make) -> None:
    """The old link is removed and the new one created, because a link cannot be changed."""
    world = linking(make, topic={"format": "debezium"})
    old, new = ({"number": "1", "mail": f"{lead}@contoso.com"} for lead in ("1", "2"))
    world.run({"op": "c", "before": None, "after": old, "source": {}})

    world.run({"op": "u", "before": old, "after": new, "source": {}})

    assert (linked(world), world.letters) == ({("1", "2")}, [])


def test_events_come_again_while_the_records_of_their_lookups_cannot_be_read(make: Make) -> None:
    """Dataverse is away: no event is the cause, so none becomes a dead letter."""
    world = linking(make)
    world.run(event("c", "1", "2"))  # the process knows the tables from now on
    world.emulator.faults([{"action": "status", "status": 503, "times": 1000, "match": {"path": "leads"}}])
    with pytest.raises(RetryLater):
        world.run(event("c", "1", "1"), event("c", "2", "2"))
    assert world.letters == []
    world.emulator.clear_faults()
    world.run(event("c", "1", "1"), event("c", "2", "2"))
    assert linked(world) == {("1", "1"), ("1", "2"), ("2", "2")}
