"""A definition that uses the service's own jobs for large drops."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.world import accounts, world


def test_a_run_uses_jobs_only_for_large_drops(tmp_path: Path) -> None:
    """The deletes are planned, executed, checked and counted; the next run finds nothing to do."""
    with world(tmp_path) as here:
        rows = [{"number": f"A{n}", "name": f"Company {n}", "city": "Bern", "revenue": n} for n in range(400)]
        here.define(
            accounts(
                destination={**accounts()["destination"], "options": {"bulk_delete_from": 300}},
                sync_behaviour={"sync_key": ["accountnumber"], "dropped": "delete", "safety": {"max_delete": "100%"}},
            )
        )
        here.csv(rows)
        assert here.run().created.done == 400
        here.csv(rows[:350])
        assert here.run().deleted.done == 50
        assert here.records("asyncoperations?$select=name") == []
        here.csv(rows[:20])
        done = here.run()
        assert (done.deleted.done, done.failed, done.state.value) == (330, 0, "Succeeded")
        (job,) = here.records("asyncoperations?$select=name,statuscode")
        assert (job["name"], job["statuscode"]) == ("Delete 330 account records", 30)
        assert len(here.records("accounts?$select=name")) == 20
        again = here.run()
        assert (again.writes, again.unchanged) == (0, 20)
