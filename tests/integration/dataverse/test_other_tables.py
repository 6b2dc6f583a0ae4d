"""Tables that are not like account: elastic, without bulk messages, without an alternate key."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import RunningEmulator, running
from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Failed
from shared.dataverse.http.connection import PAGE_ROWS
from shared.dataverse.http.service import Call
from shared.definitions.models import KeyMatch
from tests.integration.dataverse.conftest import Connect

ROWS = 250
TABLES = ("demo_reading", "demo_price", "demo_note")


@pytest.fixture(scope="module")
def odd() -> Iterator[RunningEmulator]:
    with running(schema=[Path(__file__).parent / "tables.yml"]) as emulator:
        yield emulator


@pytest.fixture
def client(odd: RunningEmulator, connect: Connect) -> Dataverse:
    odd.reset()
    return connect(odd)


def changes(action: ChangeAction, ids: dict[int, str] | None = None, *, bad: int = -1) -> list[Change]:
    return [
        Change(
            number=n,
            action=action,
            id=None if ids is None else ids[n],
            key=json.dumps({"demo_number": f"N{n}"}),
            payload=json.dumps({"demo_number": f"N{n}", "demo_name": "far too long a name" if n == bad else f"{n}"}),
        )
        for n in range(ROWS)
    ]


def numbers(client: Dataverse, entity_set: str) -> Counter[str]:
    answer: dict[str, Any] = client.service.fetch_json(Call(path=f"{entity_set}?$select=demo_number")).value
    return Counter(row["demo_number"] for row in answer["value"])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fault", ["drop_before", "drop_after", None])
def test_a_life_of_records(table: str, fault: str | None, odd: RunningEmulator, client: Dataverse) -> None:
    """Create, update and delete work whatever the table offers, with and without a lost answer; one bad row fails."""
    entity = client.entity(table)
    list(client.write(entity, []))
    if fault:
        odd.faults({"action": fault, "match": {"method": "POST"}, "times": 1})
    outcomes = {outcome.number: outcome for outcome in client.write(entity, changes(ChangeAction.INSERT, bad=77))}
    failed = outcomes.pop(77)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.column) == ("0x80044331", "demo_name")
    assert numbers(client, entity.entity_set) == {f"N{n}": 1 for n in range(ROWS) if n != 77}
    ids = {n: str(outcome.id) for n, outcome in outcomes.items() if isinstance(outcome, Applied)} | {
        77: "0" * 8 + "-0000-0000-0000-" + "0" * 12
    }
    updated = {outcome.number: outcome for outcome in client.write(entity, changes(ChangeAction.UPDATE, ids))}
    if not entity.elastic:  # an update of an elastic table creates what is not there
        assert isinstance(updated.pop(77), Failed)
        assert all(isinstance(outcome, Applied) for outcome in updated.values())
    if fault:
        odd.faults({"action": fault, "match": {"method": "POST"}, "times": 1})
    gone = list(client.write(entity, changes(ChangeAction.DELETE, ids)))
    assert all(isinstance(outcome, Applied) for outcome in gone)
    assert not numbers(client, entity.entity_set)


def test_new_records_of_an_elastic_table_that_are_refused_together_are_sent_one_by_one(
    odd: RunningEmulator, client: Dataverse
) -> None:
    """A request that cannot be read is refused without the errors of its rows; then each row has its own outcome."""
    entity = client.entity("demo_reading")
    refused = {"action": "status", "status": 400, "code": "0x80048d19", "message": "Error identified in Payload"}
    odd.faults({**refused, "match": {"path": "CRM.CreateMultiple"}, "times": 1000})
    outcomes = {outcome.number: outcome for outcome in client.write(entity, changes(ChangeAction.INSERT, bad=77))}
    assert [n for n, outcome in outcomes.items() if not isinstance(outcome, Applied)] == [77]
    assert isinstance(outcomes[77], Failed)
    assert numbers(client, "demo_readings") == {f"N{n}": 1 for n in range(ROWS) if n != 77}


def test_elastic_tables_delete_through_delete_multiple(odd: RunningEmulator, client: Dataverse) -> None:
    """The message exists there, and only there."""
    entity = client.entity("demo_reading")
    ids = {o.number: str(o.id) for o in client.write(entity, changes(ChangeAction.INSERT)) if isinstance(o, Applied)}
    before = odd.stats()["requests"]["by_kind"]
    list(client.write(entity, changes(ChangeAction.DELETE, ids)))
    after = odd.stats()["requests"]["by_kind"]
    assert after["DeleteMultiple"] > before.get("DeleteMultiple", 0)
    assert after.get("batch", 0) == before.get("batch", 0)


def test_a_table_without_bulk_messages_reports_created_and_updated(client: Dataverse) -> None:
    """Upserts one by one tell which of both happened."""
    entity = client.entity("demo_price")
    list(client.write(entity, changes(ChangeAction.INSERT)[:100]))
    outcomes = {outcome.number: outcome for outcome in client.write(entity, changes(ChangeAction.UPSERT))}
    assert [getattr(outcomes[n], "created", None) for n in (0, 99, 100, 249)] == [False, False, True, True]
    assert numbers(client, "demo_prices") == {f"N{n}": 1 for n in range(ROWS)}


@pytest.mark.parametrize(("frequent", "key_match"), [("unknown", KeyMatch.SERVICE), ("b", KeyMatch.EXACT)])
def test_a_record_behind_the_first_page_of_a_look_up_is_found(
    odd: RunningEmulator, connect: Connect, frequent: str, key_match: KeyMatch
) -> None:
    """More records than a page holds may have a key, as the service compares it, and they are older."""
    odd.reset()
    client = connect(odd, key_match=key_match)
    entity = client.entity("demo_note")
    old = {"demo_number": frequent, "overriddencreatedon": "2020-01-01T00:00:00Z"}
    crowd = [Change(number=n, action=ChangeAction.INSERT, payload=json.dumps(old)) for n in range(PAGE_ROWS + 1)]
    assert all(isinstance(outcome, Applied) for outcome in client.write(entity, crowd))
    list(client.write(entity, [one_of_two(ChangeAction.INSERT, 1, "B")]))
    for action in (ChangeAction.UPSERT, ChangeAction.UPDATE, ChangeAction.DELETE):
        wanted = [one_of_two(action, 0, frequent), one_of_two(action, 1, "B")]
        outcomes = sorted(client.write(entity, wanted), key=lambda outcome: outcome.number)
        assert [(type(outcome), getattr(outcome, "created", None)) for outcome in outcomes] == [(Applied, False)] * 2
    left: dict[str, Any] = client.service.fetch_json(Call(path="demo_notes?$select=demo_number&$count=true")).value
    assert (left["@odata.count"], {row["demo_number"] for row in left["value"]}) == (PAGE_ROWS, {frequent})


def one_of_two(action: ChangeAction, number: int, text: str) -> Change:
    key = json.dumps({"demo_number": text})
    return Change(number=number, action=action, key=key, payload=json.dumps({"demo_number": text, "demo_name": "n"}))
