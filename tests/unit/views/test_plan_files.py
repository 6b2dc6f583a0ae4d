"""A saved plan."""

from __future__ import annotations

from datetime import UTC, date, datetime

from shared.definitions import ParameterValue
from shared.views.plan_files import PlanFile

PLAN = {"sync": "customers", "checksum": "c" * 64}


def test_a_plan_file_keeps_the_type_of_every_value() -> None:
    """A date is read as a date and not as text."""
    values: dict[str, ParameterValue] = {
        "text": "2026-03-01",
        "day": date(2026, 3, 1),
        "moment": datetime(2026, 3, 1, 12, tzinfo=UTC),
        "whole": 1,
        "half": 0.5,
        "yes": True,
        "nothing": None,
    }
    file = PlanFile.model_validate_json(PlanFile.of(PLAN, values, {}).to_text())
    assert [(name, type(value), value) for name, value in file.values().items()] == [
        (name, type(value), value) for name, value in values.items()
    ]
