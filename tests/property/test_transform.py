"""For any values: what is written to the service and read back is the same, and every row is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.transform import (
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    from_service,
    layout,
    shape_steps,
    to_service,
)
from shared.transform.targets import TargetColumn
from shared.workspace import Workspace, quoted
from tests.unit.transform.world import ACCOUNT, assert_accounted_for, definition, load

FITTED = (
    "name", "notes", "staff", "big", "rate", "revenue", "latitude", "active", "segment", "segments", "founded", "called",
    "opens", "reference",
)  # fmt: skip

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**16), max_value=10**16).map(str),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats(-1e11, 1e11).map(repr),
)
dates = st.one_of(
    st.dates().map(str), st.datetimes().map(str), st.datetimes().map(lambda moment: f"{moment.isoformat()}+05:30")
)
words = st.sampled_from(
    ["yes", "NO", "Trading", "closed", "1", "0", "Consulting", "finanzen", "7", "1,7", "Finance; 1", "Two, too"]
)
values = st.one_of(st.none(), texts, numbers, dates, words, st.uuids().map(str))


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    """One workspace for all examples."""
    with Workspace.open(threads=1) as opened:
        yield opened


def fresh(workspace: Workspace) -> None:
    """Drop what an earlier example left."""
    views = "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_oid DESC"
    for (name,) in workspace.query(views):
        workspace.execute(f"DROP VIEW {quoted(name)}")
    for (name,) in workspace.query("SELECT table_name FROM duckdb_tables()"):
        workspace.execute(f"DROP TABLE {quoted(name)}")


def answered(column: TargetColumn, sent: Any) -> str | None:
    """The text that the service's answer holds for a value that was sent, as JSON extraction gives it.

    Doubles come back as the nearest double, in JavaScript's spelling; decimals keep their value, not their zeros.
    """
    if sent is None:
        return None
    if isinstance(sent, bool):
        return json.dumps(sent)
    if column.sql_type == "DOUBLE":
        return repr(float(sent))
    if isinstance(sent, Decimal):
        return f"{sent.normalize():f}"
    return str(sent)


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.lists(values, min_size=len(FITTED), max_size=len(FITTED)), min_size=1, max_size=6))
def test_a_second_run_finds_what_the_first_one_wrote(workspace: Workspace, rows: list[list[str | None]]) -> None:
    """For every type: what was sent, read back as the service gives it, equals what is desired."""
    fresh(workspace)
    sync = definition(
        [{"name": f"c-{target}"} for target in FITTED],
        [{"source": f"c-{target}", "target": target} for target in FITTED],
    )
    columns = layout(sync, ACCOUNT)
    load(workspace, sync, [(str(number), *row) for number, row in enumerate(rows)])
    for step in (
        *shape_steps(sync),
        *desire_steps(sync, ACCOUNT),
        *desired_finish_steps(sync, ACCOUNT),
        current_table_step(columns),
    ):
        workspace.run(step)
    assert_accounted_for(workspace)
    members = " || ',' || ".join(to_service(column, quoted(column.name)) for column in columns)
    for row, payload in workspace.query(f"SELECT _row, '{{' || {members} || '}}' FROM desired"):
        sent = json.loads(payload, parse_float=Decimal)
        read = ", ".join(from_service(column, "CAST(? AS VARCHAR)") for column in columns)
        texts_ = [answered(column, sent[column.name]) for column in columns for _ in range(read_uses(column))]
        names = ", ".join(quoted(column.name) for column in columns)
        workspace.execute(f"INSERT INTO current (_seq, _id, {names}) SELECT ?, uuid(), {read}", [row, *texts_])
    for step in current_finish_steps(columns, sync):
        workspace.run(step)
    same = " AND ".join(f"d.{quoted(c.name)} IS NOT DISTINCT FROM c.{quoted(c.name)}" for c in columns)
    assert (
        workspace.query(
            f"SELECT d._row FROM desired d LEFT JOIN current c USING (_k1) WHERE NOT coalesce({same}, false)"
        )
        == []
    )


def read_uses(column: TargetColumn) -> int:
    """How often the SQL that reads a column mentions its text."""
    return from_service(column, "?").count("?")


cells = st.one_of(
    st.none(), st.sampled_from(["", " ", "1", "2", "-5", "x", "2024-01-31", "31/01/2024", "a", "A ", "É", "long text"])
)
flags = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["text", "number", "date", "bool"]),
        "mandatory": st.booleans(),
        "validate": st.booleans(),
        "trim": st.booleans(),
        "max_length": st.sampled_from([None, 1, 4]),
    }
)


@settings(deadline=None, max_examples=80)
@given(
    rows=st.lists(st.tuples(cells, cells, cells), max_size=8),
    first=flags,
    second=flags,
    keep=st.sampled_from([None, "a is not null", "b > 'a'", "length(number) > @least", "CAST(number AS INTEGER) > 1"]),
)
def test_every_row_is_verified_rejected_or_filtered(
    workspace: Workspace,
    rows: list[tuple[str | None, ...]],
    first: dict[str, Any],
    second: dict[str, Any],
    keep: str | None,
) -> None:
    """For any rows, flags and filters: each row is counted once, and the keys of the desired rows are unique."""
    fresh(workspace)
    workspace.bind({"least": 0})
    sync = definition(
        [{"name": "a", **first}, {"name": "b", **second}, {"name": "c", "formula": "CAST(a AS VARCHAR) || number"}],
        [
            {"source": "a", "target": "notes"},
            {"source": "c", "target": "name"},
            {"value": "upper(c)", "target": "staff"},
        ],
        filter=keep.replace("b > 'a'", "CAST(b AS VARCHAR) > 'a'") if keep else None,
    )
    load(workspace, sync, rows)
    for step in (*shape_steps(sync), *desire_steps(sync, ACCOUNT), *desired_finish_steps(sync, ACCOUNT)):
        workspace.run(step)
    assert_accounted_for(workspace)
    assert workspace.query("SELECT count(*) - count(DISTINCT _k1) FROM desired") == [(0,)]
    lost = """SELECT _row FROM source_raw EXCEPT (SELECT _row FROM desired UNION SELECT _row FROM source_filtered
              UNION SELECT _row FROM source_errors WHERE rejected)"""
    assert workspace.query(lost) == []
    both = "SELECT _row FROM desired INTERSECT SELECT _row FROM source_errors WHERE rejected"
    assert workspace.query(both) == []
