"""The order in which all syncs run."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.app.all_syncs import SyncTarget, check_parameters, in_order, own_parameters
from shared.definitions import load_definition
from shared.definitions.reference.example import EXAMPLE
from shared.errors import UserError

TABLES = ("account", "contact", "lead", "task")


def target(table: str, *refers: str, environment: str = "dev") -> SyncTarget:
    return SyncTarget(environment=environment, table=table, refers=frozenset(refers))


def test_a_table_that_lookups_refer_to_is_written_first() -> None:
    """Whatever the names of the syncs; those that do not depend on each other are in the order of their names."""
    order = in_order(
        {
            "a-tasks": target("task", "contact", "account"),
            "b-contacts": target("contact", "account"),
            "c-leads": target("lead"),
            "d-accounts": target("account"),
        }
    )
    assert order.names == ("c-leads", "d-accounts", "b-contacts", "a-tasks")
    assert order.needs["a-tasks"] == ("d-accounts", "b-contacts")
    assert order.needs["c-leads"] == ()
    assert order.circles == ()


def test_the_same_table_of_another_environment_is_another_table() -> None:
    """Lookups search their own environment."""
    order = in_order({"a": target("contact", "account"), "b": target("account", environment="test")})
    assert order.names == ("a", "b")
    assert order.needs["a"] == ()


def test_syncs_whose_lookups_refer_to_each_other_are_named_and_run_by_name() -> None:
    """What refers to the circle comes behind all of it, and what the circle refers to before it."""
    order = in_order(
        {
            "a": target("task", "account"),
            "b": target("account", "contact", "lead"),
            "c": target("contact", "account"),
            "z": target("lead"),
        }
    )
    assert order.circles == (("b", "c"),)
    assert order.names == ("z", "b", "c", "a")
    assert (order.needs["b"], order.needs["c"]) == (("z",), ("b",))


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=2),
        st.tuples(st.sampled_from(TABLES), st.sets(st.sampled_from(TABLES))),
        max_size=8,
    )
)
def test_no_sync_comes_before_one_that_it_needs_unless_in_a_circle(syncs: dict[str, tuple[str, set[str]]]) -> None:
    """Every sync once; the order is the same whatever the order of the files."""
    targets = {name: target(table, *refers) for name, (table, refers) in syncs.items()}
    order = in_order(targets)
    assert sorted(order.names) == sorted(targets)
    assert order == in_order(dict(reversed(targets.items())))
    place = {name: n for n, name in enumerate(order.names)}
    for name, its in targets.items():
        for other, others in targets.items():
            if other != name and its.needs(others) and place[other] > place[name]:
                assert any(name in circle and other in circle for circle in order.circles)
    for circle in order.circles:
        places = [place[name] for name in circle]
        assert all(after == before + 1 for before, after in pairwise(places))


def test_each_sync_gets_the_parameters_that_it_declares() -> None:
    """One that no sync declares is a typing error."""
    definition = load_definition(EXAMPLE)
    declared = next(iter(definition.parameters))
    assert own_parameters(definition, {declared: "x", "other": "y"}) == {declared: "x"}
    check_parameters([definition], {declared: "x"})
    with pytest.raises(UserError, match=f"no enabled sync has a parameter {declared}x; did you mean {declared}"):
        check_parameters([definition], {f"{declared}x": "y"})
