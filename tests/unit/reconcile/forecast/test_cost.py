"""What a run will cost: the arithmetic, written out."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import UnsafePlanError
from shared.reconcile import Plan, PlanCounts, SafetyLimits
from shared.reconcile.forecast.cost import BY_LIMITS, Forecast, Rates, Workload, WriterSizes, forecast
from shared.reconcile.forecast.learnt import learnt_rates

HERE = "org.crm.dynamics.com"


def by_limits(load: Workload, *, parallel: int = 1, users: int = 1, prepared: float = 0.0) -> Forecast:
    return forecast(load, WriterSizes(rows=100, parallel=parallel, users=users), BY_LIMITS, prepared=prepared)


def logged(rows: int, *, sync: str = "a", environment: str = HERE, writes: int = 10, seconds: float = 10.0) -> Any:
    created = {"done": rows, "planned": rows}
    return {
        "sync": sync, "environment": environment, "created": created, "writes": writes, "write_seconds": seconds,
    }  # fmt: skip


def test_by_the_published_limits_execution_time_is_what_a_large_load_waits_for() -> None:
    """100,000 records: 1,000 requests of 100; 0.04 s each = 4,000 s; 1,200 s of them in 5 minutes = 1,000 s."""
    cost = by_limits(Workload(reads=28, groups=(100_000,)), prepared=20.0)
    assert (cost.reads, cost.writes, cost.requests) == (28, 1000, 1028)
    assert cost.seconds == pytest.approx(1020.0)
    assert cost.minutes == 17
    assert cost.counted == 28 + 100_000
    assert cost.share == pytest.approx(0.200056)


def test_two_application_users_take_half_the_time_and_the_same_requests() -> None:
    """Each user has its own limits; what counts against the entitlement does not change."""
    one, two = by_limits(Workload(groups=(50_000,))), by_limits(Workload(groups=(50_000,)), users=2)
    assert (one.seconds, two.seconds) == (500.0, 250.0)
    assert (one.counted, one.writes) == (two.counted, two.writes)


def test_the_last_records_are_shared_out_among_parallel_requests() -> None:
    """With 4 at once, fewer than 400 go as 75, 57, 42, 32 and then 25 or less: 300 records are 8 requests, not 3."""
    assert by_limits(Workload(groups=(300,)), parallel=4).writes == 8
    assert by_limits(Workload(groups=(25,)), parallel=4).writes == 1
    assert by_limits(Workload(), parallel=4).requests == 0


@pytest.mark.parametrize(
    ("load", "reads", "writes", "counted"),
    [
        (Workload(groups=(1000,), second=200), 0, 10 + 2, 1200),
        (Workload(groups=(1000,), closing=300), 0, 10 + 3, 1300),
        (Workload(reads=7, groups=(1000,), looked_up=500), 7 + 5, 10, 7 + 5 + 1000),
        (Workload(groups=(1000,), created=250), 0, 10 + 3, 1250),
        (Workload(jobs=10_000), 0, 2 + 20, 10_000),
    ],
)
def test_what_takes_more_requests_is_counted(load: Workload, reads: int, writes: int, counted: int) -> None:
    """Second requests, closings, look-ups, records of lookups; a job has 5,000 records, a question about them 500."""
    cost = by_limits(load)
    assert (cost.reads, cost.writes, cost.counted) == (reads, writes, counted)


def test_the_requests_of_steps_are_added_and_take_no_time_from_the_writes() -> None:
    """They count one each against the entitlement; where their number is open, the figures are the fewest."""
    alone, cost = by_limits(Workload(groups=(1000,))), by_limits(Workload(groups=(1000,), steps=3, open=True))
    assert (cost.requests, cost.counted, cost.seconds) == (alone.requests + 3, alone.counted + 3, alone.seconds)
    assert (cost.to_json()["steps"], cost.to_json()["at_least"], alone.to_json()["at_least"]) == (3, True, False)


def test_records_are_looked_up_as_many_at_once_as_earlier_runs_wrote() -> None:
    """400 records by 200 a request: two requests that read, and two that write."""
    rates = Rates(runs=1, own=True, rows_a_request=200.0, rows_a_second=400.0)
    cost = forecast(Workload(reads=5, groups=(400,), looked_up=400), WriterSizes(), rates, prepared=0.0)
    assert (cost.reads, cost.writes) == (7, 2)


def test_rates_of_earlier_runs_replace_the_limits() -> None:
    """Two runs: 6,000 records in 30 requests and 15 s = 200 a request, 400 a second. 8,000 records: 40 and 20 s."""
    rates = learnt_rates([logged(2000), logged(4000, writes=20, seconds=5.0)], environment=HERE, sync="a")
    assert rates == Rates(runs=2, own=True, rows_a_request=200.0, rows_a_second=400.0)
    cost = forecast(Workload(groups=(8000,), second=8000), WriterSizes(), rates, prepared=5.0)
    assert (cost.writes, cost.seconds, cost.runs) == (40, 25.0, 2)
    assert cost.counted == 16_000


def test_rates_of_other_syncs_do_not_know_the_second_requests_of_this_one() -> None:
    """Then each second request is work like a record: 8,000 and 8,000 are 80 requests and 40 s."""
    other = learnt_rates([logged(2000), logged(4000, writes=20, seconds=5.0)], environment=HERE, sync="b")
    cost = forecast(Workload(groups=(8000,), second=8000), WriterSizes(), other, prepared=0.0)
    assert (cost.writes, cost.seconds) == (80, 40.0)


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [{}],
        [{"attempt": 2}],
        [logged(999)],
        [logged(5000, environment="other.crm.dynamics.com")],
        [logged(5000, writes=0)],
        [logged(5000, seconds=0.0)],
        [{"environment": HERE, "sync": "a", "inserted": 5000}],
    ],
)
def test_small_foreign_and_unfinished_runs_teach_nothing(counts: Any) -> None:
    """Also those of events and of earlier versions, which have other counts."""
    assert learnt_rates(counts, environment=HERE, sync="a") == BY_LIMITS


def test_only_the_latest_runs_are_learnt_from_and_the_syncs_own_first() -> None:
    """Ten of them; runs of other syncs only where there are none."""
    own, others = [logged(1000) for _ in range(12)], [logged(9000, sync="b")]
    rates = learnt_rates([*others, *own], environment=HERE, sync="a")
    assert (rates.runs, rates.rows_a_request, rates.own) == (10, 100.0, True)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (SafetyLimits(max_requests=1027), "about 1,028 requests to Dataverse; safety.max_requests is 1,027"),
        (SafetyLimits(max_minutes=16), "about 17 minutes; safety.max_minutes is 16"),
        (SafetyLimits(max_requests=1028, max_minutes=17), ""),
        (SafetyLimits(), ""),
    ],
)
def test_a_plan_that_is_too_costly_is_unsafe(limits: SafetyLimits, said: str) -> None:
    """The sentence has the forecast and the limit; at the limit a plan is safe."""
    cost = by_limits(Workload(reads=28, groups=(100_000,)), prepared=20.0)
    plan = Plan(counts=PlanCounts(insert=100_000), limits=limits, forecast=cost)
    if not said:
        plan.raise_if_unsafe()
        return
    with pytest.raises(UnsafePlanError, match=said):
        plan.raise_if_unsafe()


def test_a_refusal_says_at_least_where_more_requests_follow() -> None:
    """As the forecast does."""
    cost = by_limits(Workload(reads=28, steps=1, open=True))
    plan = Plan(counts=PlanCounts(), limits=SafetyLimits(max_requests=28), forecast=cost)
    with pytest.raises(UnsafePlanError, match="at least 29 requests to Dataverse"):
        plan.raise_if_unsafe()
