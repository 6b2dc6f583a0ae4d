"""What is wrong with a definition for a table, before a row is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.entities import CHANGED_BY_MESSAGES
from shared.transform import check, check_expressions
from tests.unit.transform.world import ACCOUNT, definition


def reported(sync: SyncDefinition) -> list[str]:
    return [str(problem) for problem in check(sync, ACCOUNT)]


def to(target: str, **column: Any) -> SyncDefinition:
    return definition([{"name": "x", **column}], [{"source": "x", "target": target}])


def test_columns_that_the_source_does_not_have() -> None:
    """In a mapping, among the columns of a lookup, and as the column of the action: all of them at once."""
    lookup = {"entity": "account", "match": ["name", "reference"]}
    mappings: list[dict[str, Any]] = [
        {"source": "nam", "target": "name"},
        {"source": ["name", "other"], "target": "parent", "lookup": lookup},
    ]
    sync = definition([{"name": "name"}], mappings, strategy="delta", action_column="what")
    assert [said for said in reported(sync) if "the source" in said] == [
        "destination.mappings[1].source: the source has no column nam; did you mean name?",
        "destination.mappings[2].source: the source has no column other",
        "sync_behaviour.action_column: the source has no column what",
    ]


def test_a_correct_definition_has_no_problems() -> None:
    """The check reports no false problem."""
    columns: list[dict[str, Any]] = [
        {"name": "since", "type": "date", "input_format": "dd/MM/yyyy"},
        {"name": "size", "type": "number", "replace": [{"pattern": "EUR", "with": ""}]},
        {"name": "kind", "cases": [{"when": "size > 1e6", "then": "'Consulting'"}], "default": "@fallback"},
    ]
    mappings = [
        {"source": "since", "target": "founded"},
        {"source": "size", "target": "revenue"},
        {"source": "kind", "target": "segment"},
        {"value": "@tag || number", "target": "name"},
    ]
    sync = definition(
        columns,
        mappings,
        filter="size >= 0 or since > @from",
        changed={"when": "target.name is null or source.size <> target.revenue or target.expiredon is null"},
        dropped={"expire": "expiredon"},
    )
    assert check(sync, ACCOUNT) == ()


@pytest.mark.parametrize(
    ("target", "column", "message"),
    [
        ("nam", {}, "account has no column nam; did you mean name?"),
        ("Account Number", {}, "account has no column Account Number; did you mean accountnumber?"),
        ("computed", {}, "computed is read-only: the service computes it"),
        ("parent", {"type": "number"}, "parent is of type Lookup and cannot hold a number, which x is"),
        ("staff", {"type": "date"}, "staff is of type Integer and cannot hold a date, which x is"),
        ("founded", {"type": "number"}, "founded is of type DateTime and cannot hold a number, which x is"),
        ("active", {"type": "date"}, "active is of type Boolean and cannot hold a date, which x is"),
        ("segment", {"type": "bool"}, "segment is of type Picklist and cannot hold a bool, which x is"),
        (
            "reference",
            {"type": "number"},
            "reference is of type Uniqueidentifier and cannot hold a number, which x is",
        ),
        ("optionless", {}, "optionless has no options, so no value is valid"),
        ("hidden", {}, "hidden cannot be read, so strategy full cannot compare it; use strategy delta or upsert"),
    ],
)
def test_a_target_column_that_cannot_take_its_source(target: str, column: dict[str, Any], message: str) -> None:
    """Unknown, read-only, or of a type that does not fit the source: each has its own message and place."""
    assert reported(to(target, **column)) == [f"destination.mappings[1].target: {message}"]


def test_a_column_that_cannot_be_read_may_be_written_without_a_comparison() -> None:
    """Only a comparison needs to read it."""
    sync = definition([{"name": "x"}], [{"source": "x", "target": "hidden"}], strategy="delta")
    assert check(sync, ACCOUNT) == ()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"formula": "upper(number, 1)"}, "formula: No function matches the given name and argument types"),
        ({"formula": "CAST(number AS nonsense)"}, "formula: unknown type nonsense"),
        (
            {"formula": "DATE '2024-01-31'", "type": "number"},
            "formula: the result is of type DATE, but a number is expected here",
        ),
        ({"formula": "n * n * n", "type": "number"}, "formula: the product of these exact numbers has only 8 digits"),
        ({"formula": "1.5", "type": "date"}, "formula: the result is of type DECIMAL"),
        ({"cases": [{"when": "@now::TIMESTAMP", "then": "1"}]}, "cases[0].when: the result is of type TIMESTAMP"),
        ({"replace": [{"pattern": "(?=x)"}]}, "replace[0]: invalid perl operator: (?="),
        ({"type": "date", "input_format": "%Q"}, "input_format: "),
    ],
)
def test_sql_with_correct_syntax_and_wrong_types_is_refused(column: dict[str, Any], message: str) -> None:
    """DuckDB checks it before a row is read."""
    (problem,) = check_expressions(definition([{"name": "x", **column}, {"name": "n", "type": "number"}]))
    assert str(problem).startswith(f"source.columns[1].{message}")


def test_products_that_fit_and_products_of_doubles_are_accepted() -> None:
    """Two exact numbers, or any number of factors if one of them is a double."""
    columns = [
        {"name": "n", "type": "number"},
        {"name": "x", "type": "number", "formula": "n * n"},
        {"name": "z", "type": "number", "formula": "CAST(n AS DOUBLE) * n * n"},
    ]
    assert check_expressions(definition(columns)) == ()


def test_a_column_whose_name_is_an_sql_keyword() -> None:
    """The message says that the name needs quotes."""
    (problem,) = check_expressions(definition([{"name": "order"}], filter="order > 1"))
    assert problem.message.endswith('order is a word of SQL: write "order" in quotes')


def test_the_sync_key_has_to_be_known() -> None:
    """Each part on its own."""
    assert reported(definition(sync_key=["accountnumber", "stuff"])) == [
        "sync_behaviour.sync_key[1]: account has no column stuff; did you mean staff?",
    ]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("staff", "staff is of type Integer; expire needs a date column"),
        ("expired", "account has no column expired; did you mean expiredon?"),
    ],
)
def test_the_expire_column_has_to_be_a_date(column: str, message: str) -> None:
    """Otherwise it could not have the start time of the run."""
    assert reported(definition(dropped={"expire": column})) == [f"sync_behaviour.dropped.expire: {message}"]


def test_the_id_column_is_the_tables_own() -> None:
    """It must be the primary id of the table."""
    sync = definition()
    other = sync.destination.model_copy(update={"id_column": "contactid"})
    assert reported(sync.model_copy(update={"destination": other})) == [
        "destination.id_column: the id column of account is accountid, not contactid"
    ]


@pytest.mark.parametrize("behaviour", [{"strategy": "upsert"}, {"strategy": "delta", "action_column": "number"}])
def test_without_reading_the_target_an_active_alternate_key_is_needed(behaviour: dict[str, Any]) -> None:
    """It addresses the records, unless the id is mapped; a sync that only inserts needs none."""
    other = [{"source": "number", "target": target} for target in ("name", "notes")]
    assert reported(definition((), other, **behaviour)) == []
    assert reported(definition((), other, sync_key=["name"], **behaviour)) == [
        "sync_behaviour.sync_key: the index of alternate key by_name is not active; reactivate it first"
    ]
    assert reported(definition((), other, sync_key=["notes"], **behaviour))[0].startswith(
        f"sync_behaviour.sync_key: strategy {behaviour['strategy']} needs an alternate key of account over notes"
    )
    by_id = [*other, {"source": "number", "target": "accountid"}]
    assert reported(definition((), by_id, sync_key=["notes"], **behaviour)) == []
    assert reported(definition((), other, sync_key=["notes"], strategy="delta")) == []


def test_an_unknown_column_in_the_condition_for_changes() -> None:
    """It sees the source's columns and the mapped target columns."""
    assert reported(definition(changed={"when": "source.numbr = target.accountnumber"})) == [
        "sync_behaviour.changed.when: unknown column source.numbr; did you mean source.number?"
    ]


FORBIDDEN = [
    ("(SELECT 1) -> '$'", "a subquery is not allowed: an expression can use only its own row"),
    ("(sum(1) OVER ()) -> '$'", "window functions are not allowed: an expression can use only its own row"),
    ("TRY(getenv('HOME'))", "there is no function getenv()"),
    ("unnest([1]) -> '$'", "unnest() is not allowed"),
    ("now() > DATE '2024-01-01'", "now() returns another value in each run"),
    ("repeat('x', 1000000000)", "the result can become 1,000,000,000 times as long as a text of the row"),
]
PLACES: dict[str, Any] = {
    "source.filter": lambda text: definition([{"name": "x"}], filter=text),
    "source.columns[1].formula": lambda text: definition([{"name": "x", "formula": text}]),
    "source.columns[1].cases[0].when": lambda text: definition([{"name": "x", "cases": [{"when": text, "then": "1"}]}]),
    "source.columns[1].cases[0].then": lambda text: definition(
        [{"name": "x", "cases": [{"when": "true", "then": text}]}]
    ),
    "source.columns[1].default": lambda text: definition(
        [{"name": "x", "cases": [{"when": "true", "then": "1"}], "default": text}]
    ),
    "destination.mappings[1].value": lambda text: definition([], [{"value": text, "target": "name"}]),
    "sync_behaviour.changed.when": lambda text: definition([], changed={"when": text}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("text", "message"), FORBIDDEN)
def test_forbidden_expressions_are_refused_in_every_place(place: str, text: str, message: str) -> None:
    """There is one check, and `validate` runs it for every expression."""
    (problem,) = check_expressions(PLACES[place](text))
    assert problem.path == place
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("behaviour", "place", "message"),
    [
        ({"changed": {"when": "source.number > 5"}}, "changed.when", "text is compared with a number"),
        ({"changed": {"when": "source.number > target.revenue"}}, "changed.when", "text is compared with a number"),
        ({"changed": {"when": "target.revenue::DATE"}}, "changed.when", "the result is of type DATE"),
        (
            {"dropped": {"set": {"name": "strftime(target.accountnumber, '%Y')"}}},
            "dropped.set.name",
            "Could not choose",
        ),
        (
            {"dropped": {"expire": "expiredon"}, "returned": {"set": {"name": "target.expiredon > 5"}}},
            "returned.set.name",
            "a date is compared with a number",
        ),
    ],
)
def test_expressions_over_a_record_must_make_sense_for_the_types_of_its_columns(
    behaviour: dict[str, Any], place: str, message: str
) -> None:
    """They are tried before a row is read, as those over the columns of the source are."""
    sync = definition([], [{"source": "number", "target": "revenue"}], **behaviour)
    found = [problem for problem in check(sync, ACCOUNT) if problem.path == f"sync_behaviour.{place}"]
    assert [problem.message[: len(message)] for problem in found] == [message]


def test_the_total_size_of_nested_calculated_columns_is_limited() -> None:
    """Each column uses the one before it twice: the limit applies to the sum, in every expression that uses them."""
    doubled = [{"name": "c0", "formula": "number || number"}]
    doubled += [{"name": f"c{n}", "formula": f"c{n - 1} || c{n - 1}"} for n in range(1, 14)]
    assert [problem.path for problem in check_expressions(definition(doubled))] == ["source.columns[14].formula"]
    sync = definition(
        doubled[:12],
        [{"value": "repeat(c11, 2)", "target": "name"}],
        filter="repeat(c11, 2) = 'x'",
        changed={"when": "repeat(source.c11, 2) = 'x'"},
    )
    assert check_expressions(sync) == ()
    sync = definition(doubled[:12], [{"value": "repeat(c11, 3)", "target": "name"}])
    assert [problem.path for problem in check_expressions(sync)] == ["destination.mappings[1].value"]


def test_a_table_that_only_messages_change_is_refused_under_its_own_name() -> None:
    """The definition may have called it by its entity set."""
    members = replace(ACCOUNT, logical_name="teammembership")
    found = [problem for problem in check(definition(), members) if problem.path == "destination.entity"]
    assert [problem.message for problem in found] == [
        "a sync cannot write teammembership: only these messages of Dataverse change it: "
        + CHANGED_BY_MESSAGES["teammembership"]
    ]


def test_an_expire_column_must_be_writable() -> None:
    """A column that the service sets cannot hold the date."""
    dates = {**ACCOUNT.attributes, "expiredon": replace(ACCOUNT.attributes["expiredon"], updatable=False)}
    sync = definition(dropped={"expire": "expiredon"})
    assert [str(problem) for problem in check(sync, replace(ACCOUNT, attributes=dates))] == [
        "sync_behaviour.dropped.expire: expiredon is read-only and cannot be set"
    ]


@pytest.mark.parametrize("formula", ["ROW_NUMBER()", "CASE WHEN row_number() > 1 THEN 2 END"])
@pytest.mark.parametrize(
    ("place", "changes", "why"),
    [
        ("source", {}, ""),
        ("source", {"watermark": {"column": "x"}}, "with a watermark a run reads a part of the source"),
        ("listener", {"name": "l", "topic": {"format": "json"}}, "events have no numbers"),
    ],
)
def test_rows_have_numbers_only_where_each_run_reads_all(
    formula: str, place: str, changes: dict[str, Any], why: str
) -> None:
    """Otherwise a row has another number in each run."""
    written = to("name", type="number", formula=formula).model_dump(by_alias=True, exclude_unset=True)
    columns = written["source"]["columns"]
    written["source"] = {"type": "sql", "connection": {"env": "C"}, "table": "t", "columns": columns}
    written[place] = {**written.get(place, {}), **changes}
    said = f"{why}, so ROW_NUMBER() would give a row another number each time; use a column of the source"
    problems = check_expressions(SyncDefinition.model_validate(written))
    assert [problem.message for problem in problems] == ([said] if why else [])


def test_expressions_of_a_very_wide_file_are_checked() -> None:
    """Only the columns that they read are tried out: a row of all of them would need hundreds of megabytes."""
    columns: list[dict[str, Any]] = [{"name": f"c{number}"} for number in range(9000)]
    columns += [{"name": "good", "formula": "upper(c8999)"}, {"name": "bad", "formula": "c1 + DATE '2026-01-01'"}]
    found = check_expressions(definition(columns))
    assert [problem.path for problem in found] == ["source.columns[9002].formula"]
