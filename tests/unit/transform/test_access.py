"""The privileges that a definition needs, each with the key that asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.entities import AttributeMetadata, AttributeType, EntityMetadata, LinkEnd
from shared.transform.access import needed_access
from tests.unit.transform.world import ACCOUNT, definition

OWNER = AttributeMetadata(name="ownerid", type=AttributeType.OWNER, targets=("systemuser", "team"))
TABLE = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "ownerid": OWNER})


def _needs(entity: EntityMetadata = TABLE, mappings: list[dict[str, Any]] | None = None, **behaviour: Any) -> set[str]:
    made = definition([{"name": "x"}], mappings or (), **behaviour)
    return {f"{need.kind} {need.table}".strip() for need in needed_access(made, entity)}


@pytest.mark.parametrize(
    ("behaviour", "kinds"),
    [
        ({}, "Read Create Write"),
        ({"new": "ignore"}, "Read Write"),
        ({"new": "ignore", "changed": "ignore"}, "Read"),
        ({"dropped": "delete"}, "Read Create Write Delete"),
        ({"changed": "ignore", "dropped": {"expire": "expiredon"}}, "Read Create Write"),
        ({"changed": "ignore", "dropped": "deactivate", "returned": "reactivate"}, "Read Create Write"),
        ({"strategy": "upsert"}, "Create Write"),
        ({"strategy": "delta"}, "Create"),
        ({"strategy": "delta", "action_column": "x"}, "Create Write Delete"),
    ],
)
def test_the_behaviour_says_what_is_done_to_the_table(behaviour: dict[str, Any], kinds: str) -> None:
    """Each privilege once, and none that no run uses."""
    assert _needs(**behaviour) == {f"{kind} account" for kind in kinds.split()}


def test_references_need_append_and_the_other_side_append_to() -> None:
    """A lookup that creates records needs Create there; an owner needs Assign; a reference by id only Append."""
    lookup = {"source": "x", "target": "parent", "lookup": {"match": "name", "on_missing": "create"}}
    assert _needs(mappings=[lookup], new="ignore", changed="ignore") == {
        *("Read account", "Append account", "AppendTo account", "Create account"),
    }
    owner = {"source": "x", "target": "ownerid", "lookup": {"entity": "systemuser", "match": "fullname"}}
    assert _needs(mappings=[owner]) >= {"Assign account", "Read systemuser"}
    assert "Append account" in _needs(mappings=[{"source": "x", "target": "parent"}])


def test_pairs_need_both_sides() -> None:
    """A table of links has no privileges of its own."""
    ends = (
        LinkEnd(table="account", column="accountid", navigation="a"),
        LinkEnd(table="lead", column="leadid", navigation="b"),
    )
    found = _needs(entity=replace(TABLE, intersect=True, ends=ends))
    assert found == {f"{kind} {table}" for kind in ("Read", "Append", "AppendTo") for table in ("account", "lead")}


def test_options_of_the_writes_need_privileges_without_a_table() -> None:
    """Bypassing, acting for another user, and bulk deletion where something is deleted."""
    made = definition(dropped="delete")
    options = {
        "bypass_custom_logic": ("sync",),
        "run_as": "00000000-0000-0000-0000-000000000001",
        "bulk_delete_from": 10,
    }
    changed = made.destination.options.model_copy(update=options)
    made = made.model_copy(update={"destination": made.destination.model_copy(update={"options": changed})})
    found = [need.kind for need in needed_access(made, TABLE) if not need.table]
    assert found == ["prvBypassCustomBusinessLogic", "prvActOnBehalfOfAnotherUser", "prvBulkDelete"]
