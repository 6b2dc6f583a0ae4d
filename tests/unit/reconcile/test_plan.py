"""Counts, limits and samples of a plan."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.definitions.models import Safety
from shared.errors import UnsafePlanError
from shared.reconcile import Limit, Plan, PlanAction, PlanCounts, SafetyLimits, samples


def plan(*, drops: bool = True, limits: SafetyLimits | None = None, **counts: int) -> Plan:
    return Plan(counts=PlanCounts(**counts), limits=limits or SafetyLimits(), drops=drops)


def test_counts_add_up_what_the_decisions_say() -> None:
    """Each action has its count; rows of both sides are summed over all actions."""
    counts = PlanCounts.from_rows([("insert", 2, 2, 0), ("unchanged", 5, 5, 5), ("expire", 1, 0, 1)])
    assert counts == PlanCounts(insert=2, unchanged=5, expire=1, source_rows=7, target_rows=6)
    assert counts.changes == 3
    assert counts.to_json()["target_rows"] == 6


@pytest.mark.parametrize(
    ("written", "rows", "of", "broken"),
    [
        ("30%", 30, 100, False),
        ("30%", 31, 100, True),
        ("30%", 9, 9, False),  # a share of fewer than ten rows says nothing
        ("30%", 4, 10, True),
        ("0%", 1, 10, True),
        ("0.5%", 5, 1000, False),
        ("0.5%", 6, 1000, True),
        ("4.6%", 4600, 100_000, False),
        ("4.6%", 4601, 100_000, True),
        ("33.3%", 33_300, 100_000, False),
        (5, 5, 3, False),
        (5, 6, 3, True),
        (0, 1, 1, True),
    ],
)
def test_a_limit_is_a_share_of_at_least_ten_rows_or_a_number(
    *, written: str | int, rows: int, of: int, broken: bool
) -> None:
    """A share is compared exactly and from ten target rows on; a number of rows always counts."""
    assert Limit.parse(written).broken_by(rows, of) is broken


def test_limits_come_from_the_definition_and_read_as_they_were_written() -> None:
    """What the user wrote is what the refusal shows."""
    limits = SafetyLimits.from_definition(Safety(max_delete="12.5%", max_update=2000, allow_empty_source=True))
    assert (str(limits.max_delete), str(limits.max_update), limits.allow_empty_source) == ("12.5%", "2,000", True)


def test_a_plan_within_its_limits_passes() -> None:
    """Nothing is raised when every limit is kept, not even for a first load into an empty table."""
    plan(insert=100_000, source_rows=100_000).raise_if_unsafe()
    plan(delete=3, update=7, unchanged=90, source_rows=97, target_rows=100).raise_if_unsafe()


def test_with_an_empty_target_nothing_is_unsafe() -> None:
    """An empty source can drop nothing there."""
    assert not plan(drops=True, source_rows=0, target_rows=0).violations()


def test_what_makes_a_plan_unsafe_is_reported_first() -> None:
    """And what is to be mended is not a limit."""
    with pytest.raises(UnsafePlanError) as refusal:
        plan(delete=412, source_rows=588, target_rows=1000).raise_if_unsafe(
            "All rows were rejected. Correct these rows first."
        )
    assert str(refusal.value).startswith("All rows were rejected. Correct these rows first. The plan is not safe: ")
    assert "sync_behaviour.safety" not in str(refusal.value)


def test_too_many_deletions_are_refused_with_numbers_limit_and_setting() -> None:
    """The message has what would happen, what is allowed, and how to go on."""
    with pytest.raises(UnsafePlanError) as refusal:
        plan(delete=412, unchanged=588, source_rows=588, target_rows=1000).raise_if_unsafe()
    message = str(refusal.value)
    assert "412 of the target's 1,000 records (41.2%)" in message
    assert "safety.max_delete is 30%" in message
    assert "change sync_behaviour.safety" in message
    assert "--force" not in message
    assert "Nothing was written" in message


def test_expired_records_count_as_dropped() -> None:
    """Deleting 20 % and expiring 20 % break a limit of 30 % together."""
    assert not plan(delete=20, target_rows=100, source_rows=1).violations()
    assert plan(delete=20, expire=20, target_rows=100, source_rows=1).violations()


def test_too_many_updates_are_refused() -> None:
    """`max_update` is compared with the target's rows as well."""
    limits = SafetyLimits(max_update=Limit(amount=Decimal(10), is_share=True))
    (violation,) = plan(update=11, source_rows=11, target_rows=100, limits=limits).violations()
    assert "safety.max_update is 10%" in violation


def test_an_empty_source_is_refused_while_it_would_drop_records() -> None:
    """An empty source is probably a mistake, so the plan is refused, unless the definition allows it."""
    (violation,) = plan(delete=3, target_rows=3).violations()
    assert "3 of the target's 3 records" in violation
    assert not plan(ignored=3, target_rows=3, drops=False).violations()
    assert not plan(delete=3, target_rows=3, limits=SafetyLimits(allow_empty_source=True)).violations()
    (said,) = plan(ignored=3, target_rows=3).violations()
    assert said.startswith("the source has no valid row, though no record would be dropped;")


def test_all_broken_limits_are_reported_together() -> None:
    """One plan shows every limit that it breaks."""
    limits = SafetyLimits(max_update=Limit(amount=Decimal(1), is_share=False))
    with pytest.raises(UnsafePlanError, match=r"max_delete.*max_update"):
        plan(delete=50, update=2, source_rows=2, target_rows=100, limits=limits).raise_if_unsafe()


def test_samples_pair_each_column_with_what_it_was_and_will_be() -> None:
    """Payload values are named by the columns sent, whatever property name the service takes them under."""
    rows = [
        ("update", 7, "00000000-0000-0000-0000-000000000001", '{"number":"A"}',
         '{"name":"new","parent@odata.bind":null}', "", "", "", "name,parentid", '{"name":"old","parent":"x"}'),
        ("delete", None, "00000000-0000-0000-0000-000000000002", '{"number":"B"}', "{}", "", "", "", "", '{"name":"gone"}'),
    ]  # fmt: skip
    update, delete = samples(rows)
    assert [(c.column, c.before, c.after) for c in update.columns] == [("name", "old", "new"), ("parentid", "x", None)]
    assert (delete.action, delete.row, delete.key) == (PlanAction.DELETE, None, {"number": "B"})
    assert delete.to_json()["columns"] == [{"column": "name", "before": "gone", "after": None}]
