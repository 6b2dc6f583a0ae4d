"""The parameters that the filters of a sync need in its workspace."""

from __future__ import annotations

import pytest

from shared.definitions import ParameterValue
from shared.errors import UserError
from shared.transform import filter_values, late_lookups
from tests.unit.transform.lookups.relations import LINKED, linking, to


def test_the_filters_of_the_destination_and_of_lookups_in_its_table_are_looked_at() -> None:
    """The service reads the filter of a lookup in another table, so it needs no value here."""
    sync = linking(
        to("second", match="name", filter="segment eq @kind or name eq @kind"),
        to("contact", "b", match="code", filter="rank eq @other"),
    )
    sync = sync.model_copy(update={"destination": sync.destination.model_copy(update={"filter": "staff ge @least"})})
    values: dict[str, ParameterValue] = {"kind": "Finance", "least": 5, "other": "no number", "unused": "x"}

    assert filter_values(sync, LINKED, late_lookups(sync, LINKED), values) == {
        "kind@segment": "2",
        "kind@name": "Finance",
        "least@staff": "5",
    }
    with pytest.raises(UserError, match="staff is compared with @least, but the value does not fit"):
        filter_values(sync, LINKED, (), {**values, "least": "many"})


def test_a_strategy_that_works_out_no_filter_needs_no_values() -> None:
    sync = linking(strategy="upsert")
    sync = sync.model_copy(update={"destination": sync.destination.model_copy(update={"filter": "staff ge @least"})})

    assert filter_values(sync, LINKED, (), {"least": "many"}) == {}
