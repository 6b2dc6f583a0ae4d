"""No accepted expression reads anything but its row, multiplies rows, or gives another value the second time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DefinitionError
from shared.workspace import Workspace, checked
from shared.workspace.functions import AGGREGATES, CLOCKS, FUNCTIONS, RANDOM, WITHOUT_BOUND
from shared.workspace.tree import new_cursor

HERE = Path(__file__).parent
CANARY = "canary-5b1d"
NAMES = ("number", "name", "revenue", "active", "l")
ROWS = """
    (1, 'A1', 'Alice', 1.5, true, ['a', 'b']),
    (2, 'B2', '{"a": {"b": 7}}', NULL, false, []),
    (3, NULL, 'ä,ö;ü', -3, NULL, NULL)
"""


def decisions() -> Iterator[tuple[str, str]]:
    """Each expression of the file with the words above it."""
    words = ""
    for line in (HERE / "decisions.txt").read_text("utf-8").splitlines():
        if line.startswith("=="):
            words = line.strip("= ")
        elif line and not line.startswith("# "):
            yield line, words


ALLOWED = [text for text, words in decisions() if words == "allowed"]
REFUSED = [(text, words) for text, words in decisions() if words != "allowed"]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace with three rows, and with something to find everywhere else: table, file, variable, environment."""
    file = tmp_path_factory.mktemp("secret") / "secret.csv"
    file.write_text(f"name\n{CANARY}\n")
    os.environ["SECRET"] = CANARY
    with Workspace.open(readable=[str(file)]) as workspace:
        workspace.execute(f"CREATE TABLE secret_tbl AS SELECT '{CANARY}' AS name")
        workspace.execute(f"CREATE VIEW secret_file AS SELECT * FROM read_csv('{file}')")
        workspace.execute(f"SET VARIABLE other = '{CANARY}'")
        workspace.execute(f"CREATE MACRO secret() AS '{CANARY}'")
        workspace.bind({"x": "a parameter", "file": str(file)})
        workspace.execute(
            f"CREATE TABLE t AS SELECT * FROM (VALUES {ROWS}) AS v(_row, number, name, revenue, active, l)"
        )
        yield workspace
    del os.environ["SECRET"]


def values(workspace: Workspace, sql: str, condition: str = "true") -> list[object] | None:
    """What an expression gives for each row; None where it fails, as it may for the types of its arguments."""
    try:
        query = f"SELECT _row, CAST({sql} AS VARCHAR) FROM t WHERE {condition} ORDER BY 1"
        return [value for _, value in workspace.query(query)]
    except duckdb.Error:
        return None


def keeps_to_its_row(workspace: Workspace, sql: str) -> None:
    """One value a row, the same again, the same for each row alone, and nothing that stands elsewhere."""
    found = values(workspace, sql)
    if found is None:
        return
    assert len(found) == 3
    assert CANARY not in "".join(map(str, found))
    assert values(workspace, sql) == found
    alone = [values(workspace, sql, f"_row = {row}") for row in (1, 2, 3)]
    assert [each for part in alone for each in part or ()] == found


@pytest.mark.parametrize("text", ALLOWED)
def test_an_allowed_expression_runs_and_keeps_to_its_row(secrets: Workspace, text: str) -> None:
    """What is decided to be harmless can be used, and is."""
    sql = checked(text, names=NAMES, origin="source.filter")
    secrets.execute(f"SELECT TRY([{sql}]) FROM t")
    keeps_to_its_row(secrets, sql)


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_a_refused_expression_is_refused_with_its_reason(text: str, words: str) -> None:
    """What is decided to be harmful is refused before it runs, in words that say why."""
    with pytest.raises(DefinitionError) as caught:
        checked(text, names=NAMES, origin="source.filter")
    assert words in caught.value.message


def test_every_function_of_duckdb_was_looked_at() -> None:
    """A new version of DuckDB brings functions: each is put into the allowed ones or into refused_functions.txt."""
    lines = (HERE / "refused_functions.txt").read_text("utf-8").splitlines()
    refused = [line for line in lines if line and not line.startswith("#")]
    found = {
        name
        for (name,) in new_cursor()
        .execute("SELECT lower(function_name) FROM duckdb_functions() WHERE function_type IN ('scalar', 'macro')")
        .fetchall()
    }
    new = {name for name in found - FUNCTIONS if not any(fnmatchcase(name, pattern) for pattern in refused)}
    assert not new, "look at these functions"
    assert found >= FUNCTIONS, "this DuckDB lacks functions that are allowed"
    assert not {name for name in refused if name in FUNCTIONS}


def test_only_consistent_functions_are_allowed() -> None:
    """DuckDB itself says of each that its result depends on its arguments alone.

    The forms for moments with a time zone depend on the session's time zone as well, which is always UTC here.
    """
    rows = new_cursor().execute(
        "SELECT DISTINCT lower(function_name) FROM duckdb_functions() "
        "WHERE function_type = 'scalar' AND stability <> 'CONSISTENT' "
        "AND NOT regexp_matches(concat(parameter_types::VARCHAR, return_type), 'WITH TIME ZONE|TIMESTAMPTZ') "
        "OR function_type IN ('aggregate', 'window')"
    )
    others = {name for (name,) in rows.fetchall()}
    assert not FUNCTIONS & others
    assert not FUNCTIONS & (CLOCKS | RANDOM | WITHOUT_BOUND.keys())
    assert others >= AGGREGATES


COLUMN = st.sampled_from([*NAMES, "@x", '"name"'])
CONSTANT = st.sampled_from(["1", "-2", "1.5", "''", "'a'", "'$'", "'$.a'", "'name'", "NULL", "true", "[1, 2]", "'day'"])
LEAK = st.sampled_from(
    [
        "(SELECT max(name) FROM secret_tbl)",
        "(SELECT name FROM secret_file)",
        "(SELECT content FROM read_text(getvariable('p_file')))",
        "(FROM query('SELECT * FROM secret_tbl'))",
        "getenv('SECRET')",
        "getvariable('other')",
        "secret()",
        "secret_tbl",
        "secret_tbl.name",
        "current_setting('temp_directory')",
        "max(name)",
        "sum(revenue) OVER ()",
        "unnest([1, 2])",
        "random()",
        "now()",
        "nextval('s')",
        "COLUMNS(*)",
        "t",
        "_row",
        "rowid",
    ]
)
FUNCTION_NAMES = st.sampled_from(sorted(name for name in FUNCTIONS if name.isidentifier()))
ANY_NAME = st.sampled_from(
    sorted(
        name
        for (name,) in new_cursor().execute("SELECT DISTINCT function_name FROM duckdb_functions()").fetchall()
        if name.isidentifier() and not name.startswith(("icu_collate", "collate_", "__internal", "sleep", "pg_sleep"))
    )
)
OPERATOR = st.sampled_from(
    ["+", "-", "*", "/", "||", "->", "->>", "=", "<>", "<", "AND", "OR", "LIKE", "IN", "^", "%", "&&", "@>", "//", "IS"]
)


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Bigger expressions, in every form that the parser knows."""
    return st.one_of(
        st.builds("{} {} {}".format, inner, OPERATOR, inner),
        st.builds("({})".format, inner),
        st.builds("{}({})".format, FUNCTION_NAMES, st.lists(inner, max_size=3).map(", ".join)),
        st.builds("{}({})".format, ANY_NAME, st.lists(inner, max_size=3).map(", ".join)),
        st.builds("CASE WHEN {} THEN {} ELSE {} END".format, inner, inner, inner),
        st.builds("list_transform([{}], lambda x: {})".format, inner, inner | st.just("x")),
        st.builds("list_filter([{}], lambda x, i: {})".format, inner, inner),
        st.builds("list_transform([{}], {} -> {})".format, inner, inner | st.just("x"), inner),
        st.builds("[{} for x in [{}] if {}]".format, inner | st.just("x"), inner, inner),
        st.builds("{}[{}:{}]".format, inner, inner, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("TRY({})".format, inner),
        st.builds("TRY_CAST({} AS {})".format, inner, st.sampled_from(["INT", "TEXT", "JSON", "DATE", "VARCHAR[]"])),
        st.builds("{{'a': {}}}.a".format, inner),
        st.builds("MAP {{{}: {}}}".format, inner, inner),
        st.builds("{} BETWEEN {} AND {}".format, inner, inner, inner),
        st.builds("{} COLLATE NOCASE".format, inner),
        st.builds("lower({}) FILTER (WHERE {})".format, inner, inner),
        st.builds("list_aggregate([{}], {})".format, inner, inner),
        st.builds("{}.upper()".format, inner),
        st.builds("EXTRACT(year FROM {})".format, inner),
        st.builds("{} AT TIME ZONE 'UTC'".format, inner),
        st.builds("{} IN ({}, {})".format, inner, inner, inner),
        st.builds("COALESCE({}, {})".format, inner, inner),
        st.builds("struct_pack(a := {})".format, inner),
        st.builds("NOT {}".format, inner),
    )


@given(st.recursive(COLUMN | CONSTANT | LEAK, grown, max_leaves=8))
def test_no_accepted_expression_sees_more_than_its_row(secrets: Workspace, text: str) -> None:
    """Whatever the grammar makes: refused with a sentence, or it keeps to its row."""
    try:
        sql = checked(text, names=NAMES, origin="source.filter")
    except DefinitionError:
        return
    keeps_to_its_row(secrets, sql)


@given(st.recursive(COLUMN | CONSTANT, grown, max_leaves=8))
def test_allowed_parts_are_allowed_together(secrets: Workspace, text: str) -> None:
    """The same without parts that are refused anyway, so that more is accepted and tried."""
    try:
        sql = checked(text, names=NAMES, origin="source.filter")
    except DefinitionError:
        return
    keeps_to_its_row(secrets, sql)


@given(st.text(alphabet=st.sampled_from("ab1'\"()[]{}->|*,.;:@$#?/\\ \n\u00e4\x00"), max_size=30))
def test_any_text_is_accepted_or_refused_with_an_error(text: str) -> None:
    """A text that is no expression is a mistake in the definition, and nothing else."""
    with suppress(DefinitionError):
        checked(text, names=("a", "b"), origin="source.filter")
