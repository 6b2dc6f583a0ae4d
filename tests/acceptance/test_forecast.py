"""The forecast of a plan against what its run then sends, and plans that are refused because of their cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.dataverse import MetadataCache
from shared.errors import RetryLater, UnsafePlanError
from shared.jobs import PlanReport, RunSummary
from tests.acceptance.test_behaviours import command
from tests.acceptance.world import World, accounts, world
from tests.store_in_front import failing

RULES = {"sync_key": ["accountnumber"], "dropped": "delete", "safety": {"max_delete": "100%"}}
DELTA = {"strategy": "delta", "sync_key": ["accountnumber"]}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("forecast")) as made:
        yield made


@pytest.fixture
def here(shared_world: World) -> World:
    shared_world.emulator.reset()
    shared_world.forget()
    return shared_world


def row(number: int, name: str = "") -> dict[str, object]:
    return {"number": f"A{number}", "name": name or f"Name {number}", "city": "Ulm", "revenue": number}


def both(here: World) -> tuple[PlanReport, RunSummary]:
    """The plan and then its run, each as a command of its own would make them."""
    here.metadata = MetadataCache()
    here.reopen()
    plan = here.plan()
    here.metadata = MetadataCache()
    here.reopen()
    return plan, here.run()


def is_near(plan: PlanReport, done: RunSummary) -> None:
    cost = plan.plan.forecast
    assert cost is not None
    assert cost.reads <= done.requests
    # A run asks once which bulk messages the table has; the last records are shared out as answers come in.
    assert 0.5 * done.writes - 1 <= cost.writes <= 2 * done.writes + 1, (cost, done.writes)
    assert 0.6 * done.requests - 2 <= cost.requests <= 1.5 * done.requests + 2, (cost, done.requests)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.integers(0, 300), changed=st.integers(0, 300), gone=st.integers(0, 150), new=st.integers(0, 300))
def test_the_forecast_is_near_what_the_run_sends(here: World, kept: int, changed: int, gone: int, new: int) -> None:
    """New, changed and dropped records in any number."""
    here.emulator.reset()
    here.define(accounts(sync_behaviour=RULES))
    here.csv([row(number) for number in range(1 + kept + changed + gone)])
    here.run()
    same = [row(number) for number in range(1 + kept)]
    edits = [row(number, "Other") for number in range(1 + kept, 1 + kept + changed)]
    here.csv([*same, *edits, *(row(number) for number in range(5000, 5000 + new))])
    plan, done = both(here)
    assert (done.created.done, done.updated.done, done.deleted.done) == (new, changed, gone)
    is_near(plan, done)
    cost = plan.plan.forecast
    assert cost is not None
    assert cost.counted == cost.reads + new + changed + gone


def test_levels_of_a_hierarchy_and_second_requests_are_in_it(here: World) -> None:
    """A level waits for the one above it; the states of new records are written afterwards."""
    definition = accounts()
    definition["source"]["columns"] += [{"name": "parent"}, {"name": "state", "type": "number"}]
    definition["destination"]["mappings"] += [
        {"source": "parent", "target": "parentaccountid", "lookup": {"match": "accountnumber"}},
        {"source": "state", "target": "statecode"},
    ]
    here.define(definition)
    parents = {number: f"A{number // 10}" if number else "" for number in range(120)}
    here.csv([{**row(number), "parent": parents[number], "state": 1} for number in range(120)])
    plan, done = both(here)
    assert (done.created.done, done.failed) == (120, 0)
    is_near(plan, done)
    cost = plan.plan.forecast
    assert cost is not None
    assert cost.counted >= cost.reads + 120 + 120


@pytest.mark.parametrize("action", ["UPDATE", "DELETE"])
def test_records_that_are_looked_up_by_their_key_are_in_it(here: World, action: str) -> None:
    """Without a comparison the run asks for the ids of the records first."""
    here.define(accounts())
    here.csv([row(number) for number in range(400)])
    here.run()
    definition = accounts(sync_behaviour={**DELTA, "action_column": "action"})
    definition["source"]["columns"].append({"name": "action"})
    here.define(definition)
    here.csv([{**row(number, "Other"), "action": action} for number in range(400)])
    here.forget()
    plan, done = both(here)
    assert (done.updated.done + done.deleted.done, done.failed) == (400, 0)
    is_near(plan, done)
    cost = plan.plan.forecast
    assert cost is not None
    assert cost.reads > plan.requests + 4  # of 400 records, 100 at most are asked for in a request


def test_records_that_lookups_create_are_in_it(here: World) -> None:
    """They are written before the records that refer to them."""
    definition = accounts()
    definition["source"]["columns"] = [{"name": "number"}, {"name": "city"}]
    lookup = {"entity": "account", "match": "accountnumber", "on_missing": "create"}
    customer = {"source": "city", "target": "customerid", "lookup": [lookup]}
    mappings = [{"source": "number", "target": "name"}, customer]
    definition["destination"] |= {"entity": "opportunity", "id_column": "opportunityid", "mappings": mappings}
    here.define({**definition, "sync_behaviour": {"sync_key": ["name"]}})
    here.csv([{"number": f"O{number}", "city": f"C{number % 40}"} for number in range(120)])
    plan, done = both(here)
    assert (done.created.done, done.created_references.done, done.failed) == (120, 40, 0)
    is_near(plan, done)
    cost = plan.plan.forecast
    assert cost is not None
    assert cost.counted == cost.reads + 120 + 40


def test_a_record_that_only_an_action_closes_is_counted_once(here: World) -> None:
    """By a mark as by an update: a closed record has nothing else to write."""
    definition = accounts(sync_behaviour={"sync_key": ["name"], "safety": {"max_delete": "100%"}})
    definition["source"]["columns"] = [{"name": "number"}]
    names = [{"source": "number", "target": "name"}]
    closed = [*names, {"value": "2", "target": "statecode"}]
    definition["destination"] |= {"entity": "opportunity", "id_column": "opportunityid", "mappings": closed}
    here.define(definition)
    for number in range(40):
        here.create("opportunities", {"name": f"O{number}"})
    here.csv([{"number": f"O{number}"} for number in range(1, 40)])
    updates = here.plan().plan
    definition["destination"]["mappings"] = names
    definition["sync_behaviour"] |= {"dropped": {"set": {"statecode": "2"}}}
    here.define(definition)
    here.csv([{"number": "O0"}])
    marks = here.plan().plan
    assert (updates.counts.update, marks.counts.mark) == (39, 39)
    assert updates.forecast is not None
    assert marks.forecast is not None
    assert (marks.forecast.records, marks.forecast.writes) == (updates.forecast.records, updates.forecast.writes)


def test_the_next_plan_learns_from_the_runs_of_the_environment(here: World) -> None:
    """Requests and seconds follow the run that wrote enough; a run of another environment would teach nothing."""
    here.define(accounts())
    here.csv([row(number) for number in range(1500)])
    first = here.plan().plan.forecast
    done = here.run()
    here.csv([row(number, "Other") for number in range(1500)])
    second = here.plan().plan.forecast
    assert first is not None
    assert second is not None
    assert (first.runs, second.runs) == (0, 1)
    assert second.writes == done.writes
    assert second.seconds != first.seconds
    assert done.write_seconds <= second.seconds
    assert done.environment == here.plan().about["environment"]


def test_a_plan_does_not_need_the_execution_log(here: World) -> None:
    """A store that is unavailable leaves the published limits."""
    here.define(accounts())
    here.csv([row(number) for number in range(1500)])
    here.run()

    with here.store_in_front(runs=failing(RetryLater("the state store is unavailable", retry_after=1.0))):
        cost = here.plan().plan.forecast
    assert cost is not None
    assert cost.runs == 0


@pytest.mark.parametrize(
    ("safety", "said"),
    [({"max_requests": 3}, "safety.max_requests is 3"), ({"max_minutes": 1}, "safety.max_minutes is 1")],
)
def test_a_plan_that_costs_too_much_is_refused_like_other_unsafe_plans(
    here: World, safety: dict[str, Any], said: str
) -> None:
    """Nothing is written; the plan says so before, with the distance to the limit; `force` overrides it."""
    here.define(accounts(sync_behaviour={**DELTA, "safety": safety}))
    here.csv([row(number) for number in range(6500)])
    plan = here.plan(sample=1)
    (violation,) = plan.plan.violations()
    assert said in violation
    (limit,) = (each for each in plan.about["limits"] if each["name"] in safety)
    assert limit["planned"] > limit["most"]
    with pytest.raises(UnsafePlanError, match=said):
        here.run()
    code, refused = command(here, "run", "accounts")
    assert (code, said in refused["error"]["message"]) == (3, True)
    assert here.records("accounts?$select=name&$top=1") == []
    assert here.app.state.runs("accounts", 1)[0].state == "Refused"
    assert here.run(force=True).created.done == 6500
