"""How large a result can become is known before a row is there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DefinitionError
from shared.workspace import Workspace, parsed
from shared.workspace.tree import new_cursor

NAMES = ("a", "b", "l")


def growth(text: str) -> int:
    return parsed(text, names=NAMES, origin="x").growth


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("a", 1),
        ("a || b", 2),
        ("repeat(a, 12)", 12),
        ("repeat(a || b, 12)", 24),
        ("lpad(a, 500, '0')", 8),
        ("replace(a, 'ä', 'ae')", 2),
        ("replace(a, '--', '-')", 1),
        ("regexp_replace(a, '[^0-9]', '', 'g')", 1),
        ("CASE WHEN a = repeat(b, 90) THEN a ELSE repeat(a, 7) END", 7),
        ("a = repeat(b, 90)", 1),
        ("length(a) + length(b)", 2),
        ("sha256(repeat(a, 100))", 1),
        ("list_transform([a, b], lambda x: x || a)", 8),
        ("range(1, 11)", 11),
        ("range(10, 0, -1)", 11),
        ("repeat(a, length(b))", 127),
        ("a::VARCHAR", 1),
    ],
)
def test_the_bound_of_an_expression(text: str, times: int) -> None:
    """Parts beside each other add up, parts in each other multiply, conditions have no size."""
    assert growth(text) == times


def test_a_computed_count_is_small_or_fails_on_its_row(workspace: Workspace) -> None:
    """It pads as always; where it is large the row has an error, and the run does not swell."""
    sql = parsed("repeat('0', 10 - length(a)) || a", names=NAMES, origin="x").sql
    assert workspace.query(f"SELECT {sql} FROM (SELECT '123' AS a)") == [("0000000123",)]
    long = parsed("repeat('0', length(a) * 1000000)", names=NAMES, origin="x").sql
    assert workspace.query(f"SELECT TRY([{long}]) FROM (SELECT 'abc' AS a)") == [(None,)]


@given(
    st.recursive(
        st.sampled_from(["a", "b", "'x'", "upper(a)"]),
        lambda inner: st.one_of(
            st.builds("({} || {})".format, inner, inner),
            st.builds("repeat({}, {})".format, inner, st.integers(0, 30)),
            st.builds("lpad({}, {}, {})".format, inner, st.integers(0, 3000), inner),
            st.builds("replace({}, 'x', {})".format, inner, st.sampled_from(["''", "'y'", "'xxxxxxxx'"])),
            st.builds("regexp_replace({}, '.', '\\0\\0', 'g')".format, inner),
            st.builds("concat_ws({}, {}, {})".format, inner, inner, inner),
            st.builds("array_to_string([{}, {}], {})".format, inner, inner, st.sampled_from(["','", "'xxxxxxxxx'"])),
            st.builds("array_to_string(list_transform([{}, 'x'], lambda x: x || {}), '')".format, inner, inner),
            st.builds("CASE WHEN {} < 'y' THEN {} ELSE {} END".format, inner, inner, inner),
            st.builds("to_json({})::VARCHAR".format, inner),
            st.builds("hex({})".format, inner),
            st.builds("coalesce(NULL, {})".format, inner),
            st.builds("array_to_string(range(1, {}), 'xxxx')".format, st.integers(1, 50)),
        ),
        max_leaves=12,
    )
)
def test_no_result_is_longer_than_its_bound(text: str) -> None:
    """Whatever is put together: the result on a row with texts of 100 characters keeps to what was foretold."""
    try:
        expression = parsed(text, names=NAMES, origin="x")
    except DefinitionError:
        return
    row = "(SELECT repeat('x', 100) AS a, repeat('\"', 100) AS b)"
    ((length,),) = new_cursor().execute(f"SELECT length(TRY([{expression.sql}])[1]) FROM {row}").fetchall()
    assert (length or 0) <= 100 * expression.growth
