"""Large drops through jobs, against the emulator over HTTP."""

from __future__ import annotations

import json

from emulator.testing import RunningEmulator
from shared.dataverse import Applied, Change, ChangeAction, Dataverse, Failed
from tests.integration.dataverse.conftest import Connect
from tests.integration.dataverse.tables import read_accounts

ROWS = 1200


def loaded(client: Dataverse) -> dict[int, str]:
    account = client.entity("account")
    rows = [{"accountnumber": f"A{n}", "name": f"Company {n}"} for n in range(ROWS)]
    inserts = [
        Change(
            number=n,
            action=ChangeAction.INSERT,
            key=json.dumps({"accountnumber": row["accountnumber"]}),
            payload=json.dumps(row),
        )
        for n, row in enumerate(rows)
    ]
    return {
        outcome.number: str(outcome.id) for outcome in client.write(account, inserts) if isinstance(outcome, Applied)
    }


def deletes(ids: dict[int, str]) -> list[Change]:
    return [Change(number=n, action=ChangeAction.DELETE, id=ids[n]) for n in sorted(ids)]


def test_a_large_drop_is_a_job_of_the_service(emulator: RunningEmulator, connect: Connect) -> None:
    """One request starts it, a few ask for its state, and each row is known to be deleted."""
    client = connect(emulator, bulk_delete_from=1000)
    ids = loaded(client)
    kept = {n: ids.pop(n) for n in range(0, ROWS, 10)}
    before = emulator.stats()["requests"]["total"]
    outcomes = list(client.write(client.entity("account"), deletes(ids)))
    assert sorted(outcome.number for outcome in outcomes) == sorted(ids)
    assert all(isinstance(outcome, Applied) for outcome in outcomes)
    assert {row.id for row in read_accounts(client).values()} == set(kept.values())
    assert emulator.stats()["requests"]["total"] - before < 20
    assert "batch" not in emulator.stats()["requests"]["by_kind"]


def test_what_the_jobs_leave_is_deleted_row_by_row(emulator: RunningEmulator, connect: Connect) -> None:
    """A job that cannot be started, and rows that cannot be deleted: each row says for itself."""
    client = connect(emulator, bulk_delete_from=100)
    ids = loaded(client)
    emulator.faults({"action": "status", "status": 400, "match": {"path": "BulkDelete"}})
    locked = {"action": "status", "status": 400, "code": "0x80040265", "message": "Locked", "times": 100}
    emulator.faults({**locked, "match": {"method": "DELETE", "path": ids[7]}})
    outcomes = {outcome.number: outcome for outcome in client.write(client.entity("account"), deletes(ids))}
    failed = {number: outcome for number, outcome in outcomes.items() if isinstance(outcome, Failed)}
    assert (len(outcomes), set(failed)) == (ROWS, {7})
    assert failed[7].message == "Locked"
    assert set(read_accounts(client)) == {"A7"}
