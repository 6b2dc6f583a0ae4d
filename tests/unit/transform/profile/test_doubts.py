"""What is no mistake, but will be noticed."""

from __future__ import annotations

from shared.transform.profile.doubts import doubts
from tests.unit.transform.world import ACCOUNT, definition


def test_longer_texts_and_a_key_that_is_not_in_force() -> None:
    """Only where the definition allows more characters than the column; a missing alternate key is no doubt."""
    wide = {"name": "name", "max_length": 50}
    found = [*doubts(definition([wide], [{"source": "name", "target": "name"}], sync_key=["name"]), ACCOUNT)]
    assert [each.path for each in found] == ["destination.mappings[1]", "sync_behaviour.sync_key"]
    assert "name can have 50 characters and name holds 10" in found[0].message
    assert "by_name is not active" in found[1].message


def test_a_definition_without_doubts() -> None:
    """As many characters as the column, a number, an expression, a lookup, a column that is not there."""
    columns: list[dict[str, object]] = [
        {"name": "name", "max_length": 10},
        {"name": "staff", "type": "number", "max_length": 50},
    ]
    mappings: list[dict[str, object]] = [
        {"source": "name", "target": "name"},
        {"source": "staff", "target": "staff"},
        {"value": "'x'", "target": "notes"},
        {"source": "name", "target": "parent", "lookup": {"match": "name"}},
        {"source": "name", "target": "gone"},
    ]
    assert [*doubts(definition(columns, mappings), ACCOUNT)] == []
