"""The privileges that a definition needs, each with the key that asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.definitions.models import Listener
from shared.entities import AttributeMetadata, AttributeType, EntityMetadata, LinkEnd
from shared.transform.access import needed_access
from tests.unit.transform.world import ACCOUNT, definition

OWNER = AttributeMetadata(name="ownerid", type=AttributeType.OWNER, targets=("systemuser", "team"))
CONTACT = AttributeMetadata(name="contact", type=AttributeType.LOOKUP, targets=("contact",))
TABLE = replace(ACCOUNT, attributes={**ACCOUNT.attributes, "ownerid": OWNER, "contact": CONTACT})


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
    """A lookup that creates records needs Create there; an owner needs Assign; a reference by id is not searched."""
    lookup = {"source": "x", "target": "parent", "lookup": {"match": "name", "on_missing": "create"}}
    assert _needs(mappings=[lookup], new="ignore", changed="ignore") == {
        *("Read account", "Append account", "AppendTo account", "Create account"),
    }
    owner = {"source": "x", "target": "ownerid", "lookup": {"entity": "systemuser", "match": "fullname"}}
    assert _needs(mappings=[owner]) >= {"Assign account", "Read systemuser"}
    by_id = _needs(mappings=[{"source": "x", "target": "contact"}])
    assert by_id == {*("Read account", "Create account", "Write account", "Append account", "AppendTo contact")}
    assert _needs(mappings=[{"source": "x", "target": "ownerid"}]) & {"AppendTo systemuser", "Read systemuser"} == set()


@pytest.mark.parametrize(
    ("strategy", "topic", "kinds"),
    [
        ("delta", {"action": "$.op"}, "Create Read Write Delete"),
        ("delta", {"format": "cloudevents"}, "Create Read Write Delete"),
        ("delta", {}, "Create Write"),
        ("upsert", {"format": "debezium"}, "Create Read Write"),
        ("upsert", {"format": "debezium", "key_change": "delete_insert"}, "Create Write"),
        ("upsert", {"action": "$.op"}, "Create Write"),
        ("full", {"action": "$.op"}, "Read Create Write"),
    ],
)
def test_events_say_what_is_done_to_a_record(strategy: str, topic: dict[str, Any], kinds: str) -> None:
    """With `delta` an event updates and deletes by itself; a listener that takes no events needs nothing."""
    made = definition(strategy=strategy)
    for status, expected in (("enabled", kinds), ("disabled", {"full": kinds}.get(strategy))):
        listener = Listener.model_validate({"name": "live", "status": status, "topic": topic})
        listening = made.model_copy(update={"listener": listener})
        found = {need.kind for need in needed_access(listening, TABLE)}
        assert found == ({*expected.split()} if expected else {need.kind for need in needed_access(made, TABLE)})


def test_updates_after_the_sync_read_and_write_their_tables() -> None:
    """Each at the place of the update; what the sync itself needs is named at the place in the sync."""
    needs = needed_access(definition(), TABLE, [("post_sync[0]", "lead"), ("post_sync[1]", "account")])
    assert [(need.kind, need.table) for need in needs if need.path.startswith("post_sync")] == [
        ("Read", "lead"),
        ("Write", "lead"),
    ]


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
