"""A definition that uses the service's own jobs for large drops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.errors import AbortRun
from tests.acceptance.world import accounts, world

ROWS = [{"number": f"A{n}", "name": f"Company {n}", "city": "Bern", "revenue": n} for n in range(400)]
BEHAVIOUR = {"sync_key": ["accountnumber"], "dropped": "delete", "safety": {"max_delete": "100%"}}


def dropping() -> dict[str, Any]:
    """Accounts, of which drops of 300 and more are left to jobs."""
    destination = {**accounts()["destination"], "options": {"bulk_delete_from": 300}}
    return accounts(destination=destination, sync_behaviour=BEHAVIOUR)


def test_a_run_uses_jobs_only_for_large_drops(tmp_path: Path) -> None:
    """The deletes are planned, executed, checked and counted; the next run finds nothing to do."""
    with world(tmp_path) as here:
        here.define(dropping())
        here.csv(ROWS)
        assert here.run().created.done == 400
        here.csv(ROWS[:350])
        assert here.run().deleted.done == 50
        assert here.records("asyncoperations?$select=name") == []
        here.csv(ROWS[:20])
        done = here.run()
        assert (done.deleted.done, done.failed, done.state.value) == (330, 0, "Succeeded")
        (job,) = here.records("asyncoperations?$select=name,statuscode")
        assert (job["name"], job["statuscode"]) == ("Delete 330 account records", 30)
        assert len(here.records("accounts?$select=name")) == 20
        again = here.run()
        assert (again.writes, again.unchanged) == (0, 20)


def test_a_run_that_ends_by_an_error_leaves_no_job_at_work(tmp_path: Path) -> None:
    """The user may start jobs, and not see what becomes of them."""
    with world(tmp_path, row_ms="delete=100") as here:
        here.define(dropping())
        here.csv(ROWS)
        here.run()
        here.csv(ROWS[:20])
        missing = {"code": "0x80040220", "message": "Principal user is missing prvReadAsyncOperation privilege"}
        match = {"method": "GET", "path": "asyncoperations?"}
        here.emulator.faults({"action": "status", "status": 403, **missing, "match": match})
        with pytest.raises(AbortRun, match="asyncoperation"):
            here.run()
        (job,) = here.records("asyncoperations?$select=statuscode")
        assert job["statuscode"] == 32
        assert len(here.records("accounts?$select=name")) == 400
