"""Real time and lookups that search the synced table itself: what a batch of several changes of a record refers to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.jobs.real_time.conftest import Make
from tests.integration.jobs.real_time.world import World


def family(make: Make, behaviour: dict[str, Any] | None = None, **lookup: Any) -> World:
    """A listener for accounts with their parents."""
    keeps = lookup.pop("on_null", "clear")
    parent = {"source": "parent", "target": "parentaccountid", "on_null": keeps}
    return make(
        columns=[{"name": "number"}, {"name": "parent"}],
        mappings=[
            {"source": "number", "target": "accountnumber"},
            {**parent, "lookup": {"match": "accountnumber", **lookup}},
        ],
        behaviour=behaviour or {},
    )


def parents(world: World) -> dict[str, str | None]:
    """Account number -> that of its parent."""
    rows = world.rows("accountid,accountnumber,_parentaccountid_value")
    numbers = {row["accountid"]: row["accountnumber"] for row in rows}
    return {row["accountnumber"]: numbers.get(row["_parentaccountid_value"]) for row in rows}


def event(action: str, number: str, *parent: str | None) -> dict[str, Any]:
    return {"op": action, "number": number, **({"parent": parent[0]} if parent else {})}


@pytest.mark.parametrize("policy", ["clear", "keep"])
def test_an_event_that_is_applied_without_its_parent_is_told(make: Make, policy: str) -> None:
    world = family(make, on_missing=policy)

    counts = world.run(event("c", "1", "nobody"), event("c", "2"))

    assert (counts["insert"], counts["left_out"], world.letters) == (2, 1, [])
    (run,) = world.state.runs()
    (error,) = world.state.errors(run.run_id)
    assert (run.state, error.error_type, error.column, error.count) == (
        "Completed with errors",
        "Unresolved Link",
        "parent",
        1,
    )


@pytest.mark.parametrize("policy", ["reject", "clear", "keep"])
@pytest.mark.parametrize("strategy", ["full", "delta", "upsert"])
def test_a_parent_that_is_deleted_and_made_again_is_found(make: Make, policy: str, strategy: str) -> None:
    """Three generations, and what refers to nothing is lost alone."""
    behaviour = {"strategy": strategy, **({} if strategy == "delta" else {"dropped": "delete"})}
    world = family(make, behaviour, on_missing=policy)
    world.run(event("c", "1"))
    made = [event("d", "1"), event("c", "1"), event("c", "2", "1"), event("c", "3", "2"), event("c", "4", "nobody")]

    counts = world.run(*made)

    alone = {} if policy == "reject" else {"4": None}
    assert parents(world) == {"1": None, "2": "1", "3": "2", **alone}
    assert world.reasons == ({5: "Unresolved Link"} if policy == "reject" else {})
    assert counts.get("left_out", 0) == len(alone)


@pytest.mark.parametrize("sizes", [(3,), (1, 1, 1)])
def test_an_empty_parent_that_is_kept_is_kept_in_one_batch_too(make: Make, sizes: tuple[int, ...]) -> None:
    world = family(make, on_null="keep")
    world.run(event("c", "1"))
    messages = world.messages(event("c", "2", "1"), event("u", "2", None), event("u", "2"))

    for size in sizes:
        world.deliver(messages[:size])
        messages = messages[size:]

    assert parents(world) == {"1": None, "2": "1"}


def test_a_parent_that_is_not_found_and_kept_is_kept_in_one_batch_too(make: Make) -> None:
    world = family(make, on_missing="keep")
    world.run(event("c", "1"))

    counts = world.run(event("c", "2", "1"), event("u", "2", "nobody"))

    assert (parents(world), counts["left_out"]) == ({"1": None, "2": "1"}, 1)
