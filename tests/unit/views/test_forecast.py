"""The forecast in words, on the page and in the comment."""

from __future__ import annotations

from typing import Any

import pytest

from shared.views.forecast import forecast_lines
from shared.views.plan_markdown import plan_markdown
from shared.views.plan_page import plan_page


def cost(**changes: Any) -> dict[str, Any]:
    figures = {"requests": 1033, "reads": 28, "writes": 1005, "minutes": 17, "learnt_from_runs": 0}
    return {**figures, "counted": 100_028, "daily_requests": 500_000, "daily_share": 0.200056, **changes}


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({}, "Requests", "about 1,033 (28 to read, 1,005 to write)"),
        ({}, "Time", "about 17 minutes, by the service's published limits"),
        ({"minutes": 1, "learnt_from_runs": 1}, "Time", "up to 1 minute, by the rates of 1 earlier run"),
        ({"learnt_from_runs": 3}, "Time", "about 17 minutes, by the rates of 3 earlier runs"),
        ({}, "Daily entitlement", "20.0% of 500,000 requests (this run uses 100,028)"),
        (
            {"daily_share": 0.0004, "counted": 200},
            "Daily entitlement",
            "less than 0.1% of 500,000 requests (this run uses 200)",
        ),
        (
            {"steps": 3, "requests": 1036},
            "Requests",
            "about 1,036 (28 to read, 1,005 to write, 3 by steps after the sync)",
        ),
        (
            {"steps": 1, "requests": 1034, "at_least": True},
            "Requests",
            "at least 1,034 (28 to read, 1,005 to write, 1 by steps after the sync)",
        ),
        (
            {"at_least": True},
            "Daily entitlement",
            "at least 20.0% of 500,000 requests (this run uses at least 100,028)",
        ),
        (
            {"at_least": True, "daily_share": 0.0004, "counted": 200},
            "Daily entitlement",
            "at least 0.040% of 500,000 requests (this run uses at least 200)",
        ),
        ({"daily_share": 2.5}, "Daily entitlement", "250.0% of 500,000 requests (this run uses 100,028)"),
    ],
)
def test_figures_read_as_sentences(changes: dict[str, Any], name: str, said: str) -> None:
    """Each figure says what it is based on; a small share is not shown as nothing."""
    assert dict(forecast_lines(cost(**changes)))[name] == said


def test_the_page_and_the_comment_have_the_forecast_and_plans_of_earlier_versions_have_none() -> None:
    """An older saved plan has no forecast."""
    counts = dict.fromkeys(("created", "updated", "deleted", "expired", "upserted", "unchanged", "ignored"), 0)
    empty = {**counts, "source": {"processed": 1}, "target": {}}
    plan = {
        "sync": "a", "strategy": "full", "planned": empty, "violations": [], "sample": [], "errors": [], "checksum": "c",
    }  # fmt: skip
    for render in (plan_page, plan_markdown):
        assert "1,033" in render({**plan, "forecast": cost()})
        assert "Requests" not in render(plan)
