"""The client against the emulator over real HTTP, with every fault that the emulator knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from emulator.testing import RunningEmulator
from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Failed, Outcome
from shared.errors import AbortRun
from shared.workspace import Workspace
from tests.integration.dataverse.conftest import Connect
from tests.integration.dataverse.tables import ACCOUNT_LAYOUT, read_accounts
from tests.quick_clock import QuickClock
from tests.waiting import until_true

ROWS = 230
FAULTS: dict[str, dict[str, Any]] = {
    "dropped before it acted": {"action": "drop_before"},
    "dropped after it acted": {"action": "drop_after"},
    "throttled by requests": {"action": "status", "status": 429, "code": "0x80072322", "retry_after": 0.2},
    "throttled by concurrency": {"action": "status", "status": 429, "code": "0x80072326", "retry_after": 0.2},
    "away": {"action": "status", "status": 503, "retry_after": 0.2},
    "gateway": {"action": "status", "status": 502},
    "page of a gateway": {"action": "status", "status": 200},
    "accepted by a gateway": {"action": "status", "status": 202},
    "deadlock": {"action": "status", "status": 500, "code": "0x80044150", "message": "Sql Number: 1205"},
    "database timeout": {"action": "status", "status": 500, "code": "0x80044151", "message": "SQL timeout"},
    "token expired": {"action": "status", "status": 401},
    "too large": {"action": "status", "status": 413},
    "unexpected": {"action": "status", "status": 500, "code": "0x80040216", "message": "An unexpected error occurred."},
}


def times(fault: dict[str, Any]) -> int:
    """Twice in a row; but a token that is refused again right after its renewal ends the run, as it should."""
    return 1 if fault.get("status") == 401 else 2


def accounts(action: ChangeAction, ids: dict[int, str] | None = None, *, name: str = "Company") -> list[Change]:
    return [
        Change(
            number=n,
            action=action,
            id=None if ids is None else ids[n],
            key=json.dumps({"accountnumber": f"A{n}"}),
            payload=json.dumps({"accountnumber": f"A{n}", "name": f"{name} {n}"}),
        )
        for n in range(ROWS)
    ]


def settled(outcomes: Iterable[Outcome]) -> dict[int, Outcome]:
    """Outcomes by number, after proving that each change has exactly one."""
    listed = list(outcomes)
    assert sorted(outcome.number for outcome in listed) == list(range(ROWS))
    return {outcome.number: outcome for outcome in listed}


def ids_of(outcomes: dict[int, Outcome]) -> dict[int, str]:
    ids = {number: outcome.id for number, outcome in outcomes.items() if isinstance(outcome, Applied) and outcome.id}
    assert not [outcome for number, outcome in outcomes.items() if number not in ids][:3]
    return ids


@pytest.fixture
def client(emulator: RunningEmulator, connect: Connect) -> Dataverse:
    return connect(emulator, clock=QuickClock())  # that it waits long enough is tested elsewhere


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_creates_survive(fault: dict[str, Any], emulator: RunningEmulator, client: Dataverse) -> None:
    """Whatever happens to a request, each insert ends as exactly one record and one outcome with its id."""
    account = client.entity("account")
    emulator.faults({**fault, "match": {"path": "CRM.CreateMultiple"}, "times": times(fault)})
    ids = ids_of(settled(client.write(account, accounts(ChangeAction.INSERT))))
    found = read_accounts(client)
    assert {number: row.id for number, row in found.items()} == {f"A{n}": record for n, record in ids.items()}
    assert emulator.stats()["rows"]["create"] == ROWS


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_updates_survive(fault: dict[str, Any], emulator: RunningEmulator, client: Dataverse) -> None:
    """Whatever happens to a request, each update takes effect."""
    account = client.entity("account")
    ids = ids_of(settled(client.write(account, accounts(ChangeAction.INSERT))))
    emulator.faults({**fault, "match": {"path": "CRM.UpdateMultiple"}, "times": times(fault)})
    assert all(
        isinstance(outcome, Applied)
        for outcome in settled(client.write(account, accounts(ChangeAction.UPDATE, ids, name="New"))).values()
    )
    assert {row.name for row in read_accounts(client).values()} == {f"New {n}" for n in range(ROWS)}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_upserts_survive(fault: dict[str, Any], emulator: RunningEmulator, client: Dataverse) -> None:
    """Whatever happens to a request, each upsert ends as one record."""
    account = client.entity("account")
    emulator.faults({**fault, "match": {"path": "CRM.UpsertMultiple"}, "times": times(fault)})
    outcomes = settled(client.write(account, accounts(ChangeAction.UPSERT)))
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values())
    assert Counter(row.name for row in read_accounts(client).values()) == {f"Company {n}": 1 for n in range(ROWS)}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_deletes_survive(fault: dict[str, Any], emulator: RunningEmulator, client: Dataverse) -> None:
    """Whatever happens to a batch of deletes, the records are deleted and each delete counts as applied."""
    account = client.entity("account")
    ids = ids_of(settled(client.write(account, accounts(ChangeAction.INSERT))))
    emulator.faults({**fault, "match": {"path": "$batch"}, "times": times(fault)})
    outcomes = settled(client.write(account, accounts(ChangeAction.DELETE, ids)))
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values())
    assert not read_accounts(client)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_reads_survive(fault: dict[str, Any], emulator: RunningEmulator, client: Dataverse) -> None:
    """A page that fails is asked for again; every record is read once."""
    if fault.get("status") == 413:
        pytest.skip("no read has a body that could be too large")
    account = client.entity("account")
    settled(client.write(account, accounts(ChangeAction.INSERT)))
    emulator.faults({**fault, "match": {"path": "accounts?", "method": "GET"}, "times": times(fault)})
    assert len(read_accounts(client)) == ROWS


def test_a_request_that_takes_too_long_is_not_sent_twice(emulator: RunningEmulator, connect: Connect) -> None:
    """After the client's own timeout, creates are looked up before they are sent again, in smaller chunks.

    The service is at work on the first request longer than on all others, and then creates nothing twice.
    """
    client = connect(emulator, timeout=2)
    account = client.entity("account")
    emulator.faults({"action": "delay", "seconds": 600, "match": {"path": "CRM.CreateMultiple"}, "times": 1})
    settled(client.write(account, accounts(ChangeAction.INSERT)))
    emulator.clear_faults()
    until_true(lambda: not emulator.stats()["in_flight"]["now"])
    assert len(read_accounts(client)) == ROWS


def test_a_delete_that_is_refused_because_of_another_record_has_failed(
    emulator: RunningEmulator, client: Dataverse
) -> None:
    """The code is that of a record that is deleted already, and the message has the id of another record."""
    account = client.entity("account")
    ids = ids_of(settled(client.write(account, accounts(ChangeAction.INSERT))))
    message = "contact With Id = 11111111-2222-3333-4444-555555555555 Does Not Exist"
    match = {"method": "DELETE", "path": f"accounts({ids[3]})"}
    emulator.faults({"action": "status", "status": 404, "code": "0x80040217", "message": message, "match": match})
    outcomes = settled(client.write(account, accounts(ChangeAction.DELETE, ids)))
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, Failed)]
    assert [(outcome.number, outcome.code, outcome.message) for outcome in failed] == [(3, "0x80040217", message)]
    assert [*read_accounts(client)] == ["A3"]


def test_a_row_that_is_refused_as_not_supported_leaves_the_others_their_bulk_message(
    emulator: RunningEmulator, client: Dataverse
) -> None:
    """The words are about the row: the rows after it are sent together, as those before it."""
    account = client.entity("account")
    match = {"filter": "accountnumber eq 'A30'"}
    message = "The country XX is not supported."
    emulator.faults({"action": "refuse_rows", "code": "0x80040203", "message": message, "match": match})
    outcomes = settled(client.write(account, accounts(ChangeAction.INSERT)))
    assert [number for number, outcome in outcomes.items() if isinstance(outcome, Failed)] == [30]
    assert sum(emulator.stats()["requests"]["in_batches"].values()) <= 16  # the last rows that may be the bad one


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 429, 503])
def test_rows_that_a_plugin_refuses_fail_with_its_words(
    status: int, emulator: RunningEmulator, client: Dataverse
) -> None:
    """Each bad row fails with the message and code, whatever status the plug-in chooses; all others are written."""
    account = client.entity("account")
    condition = "name eq 'Company 7' or name eq 'Company 123'"
    words = {"message": "Credit hold: not supported", "code": "0x80040265", "status": status}
    emulator.faults({"action": "refuse_rows", "match": {"filter": condition}, **words, "times": 1000})
    outcomes = settled(client.write(account, accounts(ChangeAction.INSERT)))
    failed = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Failed)}
    assert failed.keys() == {7, 123}
    assert {outcome.code for outcome in failed.values()} == {"0x80040265"}
    assert {outcome.message for outcome in failed.values()} == {"Credit hold: not supported"}
    assert {outcome.status for outcome in failed.values()} == {status}
    assert len(read_accounts(client)) == ROWS - 2
    assert emulator.stats()["requests"]["total"] < 50


def test_a_missing_privilege_ends_the_run(emulator: RunningEmulator, client: Dataverse) -> None:
    """The message names privilege and table; every change has an outcome before."""
    account = client.entity("account")
    message = "Principal user is missing prvCreateAccount privilege."
    emulator.faults(
        {"action": "status", "status": 403, "message": message, "match": {"path": "CRM.CreateMultiple"}, "times": 9}
    )
    outcomes: list[Outcome] = []
    writing = client.write(account, accounts(ChangeAction.INSERT))
    with pytest.raises(AbortRun, match="prvCreateAccount"):
        outcomes.extend(writing)
    assert not read_accounts(client)


def test_a_filter_that_the_service_cannot_read_is_refused_with_its_words(client: Dataverse) -> None:
    """The error has the service's own message."""
    account = client.entity("account")
    with Workspace.open() as workspace, pytest.raises(Exception, match="Nome"):
        client.read(workspace, account, ACCOUNT_LAYOUT, condition="Nome eq 'x'")
