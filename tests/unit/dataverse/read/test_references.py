"""How many queries the values of a lookup need at least, without making the queries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.http.keys import key_values, lookups
from shared.dataverse.read.references import queries_at_least
from shared.workspace import Workspace, literal
from tests.unit.dataverse.simulation import ACCOUNT

COLUMNS = ["name", "numberofemployees"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


def objects(rows: str) -> list[str]:
    """Queries of a text column, of two columns, and of a number, as lookups search them."""
    named = """'{"name":' || to_json(name) || '}'"""
    both = """'{"name":' || to_json(name) || ',"numberofemployees":' || number || '}'"""
    count = """'{"numberofemployees":' || number || '}'"""
    return [f"SELECT {form} FROM {rows}" for form in (named, both, count)]


@given(texts=st.lists(TEXTS, max_size=8), times=st.integers(1, 400))
def test_no_more_queries_are_expected_than_are_made(texts: list[str], times: int) -> None:
    """A table is read instead of its keys if the least number of queries is too high, so it is never set too high."""
    listed = f"unnest([{', '.join(map(literal, texts))}]::VARCHAR[])"
    rows = f"(SELECT {listed} || repeat('x', n::INT) AS name, n AS number FROM range({times}) AS t(n))"
    with Workspace.open() as workspace:
        for query in objects(rows):
            keys = [key_values(text) for (text,) in workspace.query(query)]
            assert queries_at_least(workspace, [query], COLUMNS) <= len(list(lookups(ACCOUNT, keys)))


def test_the_least_number_of_queries_is_near_to_their_number() -> None:
    rows = "(SELECT 'contact-' || n || '@example.com' AS name, n AS number FROM range(20000) AS t(n))"
    with Workspace.open() as workspace:
        query = objects(rows)[0]
        keys = [key_values(text) for (text,) in workspace.query(query)]
        made = len(list(lookups(ACCOUNT, keys)))

        assert made * 0.6 < queries_at_least(workspace, [query], ["name"]) <= made
