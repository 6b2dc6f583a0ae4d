"""Columns of the source: each flag, and flags together."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.definitions.models import Column, ColumnType, TypedColumn
from shared.errors import DefinitionError
from shared.transform import OTHER_FAULT, check_expressions, shape_steps
from shared.transform.reading import read_columns, reading
from shared.workspace import Workspace
from tests.unit.transform.world import definition, errors, shaped

MAPPED = [{"source": "x", "target": "notes"}]
LAST_OF_JANUARY = datetime.fromisoformat("2024-01-31T00:00:00")
END_OF_JANUARY = datetime.fromisoformat("2024-01-31T23:59:59.999999")


def values(workspace: Workspace, name: str = "x") -> list[Any]:
    return [value for (value,) in workspace.query(f'SELECT "{name}" FROM source ORDER BY _row')]


def run(workspace: Workspace, column: dict[str, Any], *texts: str | None) -> list[Any]:
    """Shape one column `x` with these texts; the keys of the rows are their numbers."""
    rows = [(str(number), text) for number, text in enumerate(texts, start=1)]
    shaped(workspace, definition([{"name": "x", **column}], MAPPED), rows)
    return values(workspace)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1250.50", Decimal("1250.5")),
        ("-3", Decimal(-3)),
        (" 7 ", Decimal(7)),
        ("1e6", Decimal(1_000_000)),
        ("1E-2", Decimal("0.01")),
        (".5", Decimal("0.5")),
        ("922337203685477.5807", Decimal("922337203685477.5807")),
        ("1,000", None),
        ("1_000", None),
        ("12 3", None),
        ("0x1F", None),
        ("NaN", None),
        ("inf", None),
        ("1e400", None),
        ("n/a", None),
    ],
)
def test_a_number_is_read_in_plain_notation_to_its_last_digit(
    workspace: Workspace, text: str, value: Decimal | None
) -> None:
    """Plain and exponent notation are numbers; separators, words and too large numbers are not."""
    assert run(workspace, {"type": "number"}, text) == [value]
    assert [error for *_, error, _ in errors(workspace)] == ([] if value is not None else ["Invalid Format Exception"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-31", datetime(2024, 1, 31)),  # noqa: DTZ001 - the workspace holds UTC without a zone
        ("2024-01-31T10:20:30Z", datetime(2024, 1, 31, 10, 20, 30)),  # noqa: DTZ001 - likewise
        ("2024-01-31 10:20:30", datetime(2024, 1, 31, 10, 20, 30)),  # noqa: DTZ001 - likewise
        ("2024-01-31T10:20:30+02:00", datetime(2024, 1, 31, 8, 20, 30)),  # noqa: DTZ001 - likewise
        ("2024-01-31T23:30:00-0100", datetime(2024, 2, 1, 0, 30)),  # noqa: DTZ001 - likewise
        ("2024-01-31 23:30:00.5+14", datetime(2024, 1, 31, 9, 30, 0, 500000)),  # noqa: DTZ001 - likewise
        ("2024-01-31 10:20:30 UTC", datetime(2024, 1, 31, 10, 20, 30)),  # noqa: DTZ001 - likewise
        ("2024-1-5 7:05", datetime(2024, 1, 5, 7, 5)),  # noqa: DTZ001 - likewise
        ("31/01/2024", None),
        ("2024-13-01", None),
        ("2024-02-30", None),
        ("today", None),
        ("epoch", None),
        ("infinity", None),
        ("12024-01-01", None),
        ("2024-01-31 (BC)", None),
        ("24-01-31", None),
        ("10-11-12", None),
        ("2024/01/31", None),
        ("2024 01 31", None),
        ("2024-01-31 10:00:00 BST", None),
        ("2024-01-31 10:00:00 Europe/Berlin", None),
        ("2024-01-31T10:00:00+99:00", None),
        ("2024-01-31T10:00:00-14:30", None),
        ("2024-01-31T10:00:00+02:75", None),
    ],
)
def test_a_date_is_read_in_iso_form_as_a_moment_in_utc(workspace: Workspace, text: str, value: datetime | None) -> None:
    """Offsets are applied, a time without one is UTC, and what else DuckDB reads is no date."""
    assert run(workspace, {"type": "date"}, text) == [value]


@pytest.mark.parametrize("text", ["true", "YES", "y", "T", "1", " true "])
def test_words_that_mean_true(workspace: Workspace, text: str) -> None:
    """The usual words are true in any case."""
    assert run(workspace, {"type": "bool"}, text) == [True]


@pytest.mark.parametrize("text", ["false", "No", "n", "F", "0"])
def test_words_that_mean_false(workspace: Workspace, text: str) -> None:
    """The usual words are false in any case."""
    assert run(workspace, {"type": "bool"}, text) == [False]


def test_other_words_are_no_booleans(workspace: Workspace) -> None:
    """A word that is neither true nor false is an error, not false."""
    assert run(workspace, {"type": "bool"}, "maybe", "2") == [None, None]
    assert len(errors(workspace)) == 2


def test_empty_text_is_null(workspace: Workspace) -> None:
    """The service stores no empty text, so an empty value is null; a text of spaces is a text."""
    assert run(workspace, {}, "", None, "  ", "x") == [None, None, "  ", "x"]


def test_trim_removes_every_kind_of_white_space(workspace: Workspace) -> None:
    """Tabs, line breaks and no-break spaces at both ends; white space inside the text stays."""
    assert run(workspace, {"trim": True}, "\t a\u00a0b \u00a0\r\n", " \t") == ["a\u00a0b", None]


def test_without_trim_text_stays_as_it_is(workspace: Workspace) -> None:
    """White space at either end is part of the value."""
    assert run(workspace, {}, " a  ") == [" a  "]


def test_replacements_apply_in_order_to_every_match(workspace: Workspace) -> None:
    """Each replacement sees what the one before left; groups may be used."""
    column = {"replace": [{"pattern": "\\s+", "with": " "}, {"pattern": "^(\\w) (\\w)", "with": "\\2-\\1"}]}
    assert run(workspace, column, "a \t b  c", "'' \\") == ["b-a c", "'' \\"]


def test_a_replacement_with_an_empty_result_gives_null(workspace: Workspace) -> None:
    """The value then counts as missing."""
    assert run(workspace, {"replace": [{"pattern": "^0*$"}], "mandatory": True, "validate": True}, "000", "10") == [
        "10"
    ]
    assert errors(workspace) == [(1, "x", "Mandatory Rule Violation", True)]


@pytest.mark.parametrize(
    ("mandatory", "validate", "synced", "found"),
    [
        (True, True, 0, [(1, "x", "Mandatory Rule Violation", True)]),
        (True, False, 1, [(1, "x", "Mandatory Rule Violation", False)]),
        (False, True, 1, []),
        (False, False, 1, []),
    ],
)
def test_an_empty_value_with_mandatory_and_validate(
    workspace: Workspace, *, mandatory: bool, validate: bool, synced: int, found: list[Any]
) -> None:
    """Both together reject; mandatory alone counts and syncs the row; validate alone syncs it."""
    run(workspace, {"mandatory": mandatory, "validate": validate}, "")
    assert workspace.query("SELECT count(*) FROM desired") == [(synced,)]
    assert errors(workspace) == found


@pytest.mark.parametrize("validate", [True, False])
def test_a_value_that_does_not_fit_with_and_without_validate(workspace: Workspace, *, validate: bool) -> None:
    """With validate the row is rejected; without it only the field is left out."""
    run(workspace, {"type": "number", "validate": validate}, "many", "1")
    assert errors(workspace) == [(1, "x", "Invalid Format Exception", validate)]
    flags = workspace.query("SELECT _row, _omit_notes FROM desired ORDER BY _row") if not validate else []
    assert flags == ([] if validate else [(1, True), (2, False)])


def test_a_text_longer_than_max_length_rejects_the_row(workspace: Workspace) -> None:
    """The length counts after trimming, in characters, with or without validate."""
    assert run(workspace, {"max_length": 3, "trim": True}, " abc ", "äöü", "😀😀😀", "abcd") == ["abc", "äöü", "😀😀😀"]
    assert errors(workspace) == [(4, "x", "Max Length Violation", True)]


def test_a_row_may_break_several_rules(workspace: Workspace) -> None:
    """Every broken rule is reported, and the row is rejected once."""
    columns: list[dict[str, Any]] = [{"name": "x", "type": "number", "max_length": 2}, {"name": "y", "mandatory": True}]
    shaped(workspace, definition(columns, MAPPED), [("1", "abc", "")])
    assert errors(workspace) == [
        (1, "x", "Invalid Format Exception", False),
        (1, "x", "Max Length Violation", True),
        (1, "y", "Mandatory Rule Violation", False),
    ]
    assert workspace.query("SELECT processed, verified, rejected, filtered FROM source_counts") == [(1, 0, 1, 0)]


def test_a_hundred_rules_are_reported_separately(workspace: Workspace) -> None:
    """There are more rules than bits in one integer."""
    columns: list[dict[str, Any]] = [{"name": f"c{n}", "type": "number", "mandatory": True} for n in range(50)]
    shaped(workspace, definition(columns), [("1", *("x" if n % 2 else None for n in range(50)))])
    assert [(column, error) for _, column, error, _ in errors(workspace)] == sorted(
        (f"c{n}", "Invalid Format Exception" if n % 2 else "Mandatory Rule Violation") for n in range(50)
    )


def test_calculated_columns_may_use_each_other_in_any_order(workspace: Workspace) -> None:
    """They are computed in the order of their dependence."""
    columns: list[dict[str, Any]] = [
        {"name": "c", "formula": "b || '!'"},
        {"name": "b", "formula": "upper(number) || @tag"},
        {"name": "n", "type": "number", "formula": "length(c) * 2"},
    ]
    shaped(workspace, definition(columns), [("a1",)], {"tag": "it's"})
    assert workspace.query("SELECT b, c, n FROM source") == [("A1it's", "A1it's!", Decimal(14))]


def test_a_conditional_column_takes_the_first_branch_that_holds(workspace: Workspace) -> None:
    """Branches are tried in order; without a default the value is null."""
    cases = [{"when": "size > 100", "then": "'large'"}, {"when": "size > 10", "then": "'middle'"}]
    columns: list[dict[str, Any]] = [
        {"name": "size", "type": "number"},
        {"name": "a", "cases": cases, "default": "'small'"},
        {"name": "b", "cases": cases},
    ]
    shaped(workspace, definition(columns), [("1", "500"), ("2", "50"), ("3", "5"), ("4", None)])
    assert workspace.query("SELECT a, b FROM source ORDER BY _row") == [
        ("large", "large"),
        ("middle", "middle"),
        ("small", None),
        ("small", None),
    ]


@pytest.mark.parametrize(
    ("kind", "then", "default", "values"),
    [
        ("text", "1", "'n/a'", ("1", "n/a")),
        ("text", "1", "2.5", ("1", "2.5")),
        ("text", "amount", "'none'", ("5.0000000000", "none")),
        ("text", "day", "number", ("2024-01-31 00:00:00", "y")),
        ("text", "true", "'unknown'", ("true", "unknown")),
        ("json", "1", "'\"a\"'", ("1", '"a"')),
        ("number", "amount", "text", (Decimal(5), Decimal(12))),
        ("bool", "true", "text", (True, None)),
        ("date", "day", "text", (LAST_OF_JANUARY, None)),
        ("date", "day", "TIMESTAMP_NS '2024-01-31 23:59:59.999999999'", (LAST_OF_JANUARY, END_OF_JANUARY)),
    ],
)
def test_branches_of_different_types_become_the_columns_type_one_by_one(
    workspace: Workspace, kind: str, then: str, default: str, values: tuple[Any, Any]
) -> None:
    """What one branch gives does not depend on the types of the others; one that does not fit is an error of its row."""
    columns: list[dict[str, Any]] = [
        {"name": "amount", "type": "number"},
        {"name": "day", "type": "date"},
        {"name": "text"},
        {"name": "x", "type": kind, "cases": [{"when": "number = 'x'", "then": then}], "default": default},
    ]
    sync = definition(columns)
    assert check_expressions(sync) == ()
    shaped(workspace, sync, [("x", "5", "2024-01-31", "12"), ("y", "5", "2024-01-31", "12")])
    assert workspace.query("SELECT x FROM source ORDER BY _row") == [(value,) for value in values]
    failed = [] if values[1] is not None else [(2, "x", "Invalid Format Exception", False)]
    assert errors(workspace) == failed


def test_an_expression_that_fails_on_one_row_affects_only_that_field(workspace: Workspace) -> None:
    """The failure is an error of the row; null is a value and no failure."""
    column = {"name": "x", "type": "number", "formula": "CAST(number AS INTEGER) * 2"}
    shaped(workspace, definition([column], MAPPED), [("4",), ("oops",), ("-1",)])
    assert workspace.query("SELECT _row, notes, _omit_notes FROM desired ORDER BY _row") == [
        (1, "8", False),
        (2, None, True),
        (3, "-2", False),
    ]
    assert errors(workspace) == [(2, "x", "Invalid Format Exception", False)]


def test_flags_apply_to_calculated_columns_too(workspace: Workspace) -> None:
    """Mandatory, validate, max_length and trim apply to the result."""
    column = {"name": "x", "formula": "nullif(number, '1')", "mandatory": True, "validate": True, "max_length": 2}
    shaped(workspace, definition([column], MAPPED), [("1",), ("22",), ("333",)])
    assert errors(workspace) == [(1, "x", "Mandatory Rule Violation", True), (3, "x", "Max Length Violation", True)]


@pytest.mark.parametrize(
    "more",
    [
        {"formula": "replace(a, 'x', '')"},
        {"formula": "nullif(a, 'x')"},
        {"formula": "' '", "trim": True},
        {"formula": "a", "replace": [{"pattern": "x"}]},
        {"cases": [{"when": "a = 'x'", "then": "''"}], "default": "'y'"},
    ],
)
def test_an_empty_text_of_a_mandatory_calculated_column_is_missing(workspace: Workspace, more: dict[str, Any]) -> None:
    """What counts is the text at the end, as in a column that is read."""
    columns = [{"name": "a"}, {"name": "x", "mandatory": True, "validate": True, **more}]
    shaped(workspace, definition(columns, MAPPED), [("1", "x")])
    assert workspace.query("SELECT * FROM desired") == []
    assert errors(workspace) == [(1, "x", "Mandatory Rule Violation", True)]


@pytest.mark.parametrize(
    ("kind", "formula", "length"),
    [
        ("text", "'abc'", 3),
        ("number", "amount * 2", 2),
        ("number", "amount / 2", 3),
        ("date", "day + INTERVAL 1 DAY", 10),
        ("date", "day + INTERVAL 1 HOUR", 20),
        ("bool", "amount > 1", 4),
        ("json", "'[1, 2]'", 6),
    ],
)
def test_max_length_counts_the_characters_that_people_see(
    workspace: Workspace, kind: str, formula: str, length: int
) -> None:
    """They are those of a text column that gets the value, and not those that DuckDB writes."""
    given: list[dict[str, Any]] = [{"name": "amount", "type": "number"}, {"name": "day", "type": "date"}]
    fits = {"name": "fits", "type": kind, "formula": formula, "max_length": length}
    sync = definition([*given, fits, {**fits, "name": "x", "max_length": length - 1}], MAPPED)
    shaped(workspace, sync, [("1", "7", "2024-01-31")])
    assert errors(workspace) == [(1, "x", "Max Length Violation", True)]


def test_row_number_is_the_place_in_the_source(workspace: Workspace) -> None:
    """Rejected rows count as well."""
    columns: list[dict[str, Any]] = [
        {"name": "y", "mandatory": True, "validate": True},
        {"name": "x", "type": "number", "formula": "ROW_NUMBER()"},
    ]
    shaped(workspace, definition(columns), [("1", ""), ("2", "y")])
    assert values(workspace) == [Decimal(2)]


def test_the_filter_sees_typed_and_calculated_columns(workspace: Workspace) -> None:
    """Rows for which it is false or null are filtered out, not rejected."""
    columns: list[dict[str, Any]] = [
        {"name": "size", "type": "number"},
        {"name": "double", "type": "number", "formula": "size * 2"},
    ]
    shaped(
        workspace,
        definition(columns, filter="double > 10 and number <> @not"),
        [("1", "6"), ("2", "5"), ("3", None), ("4", "9")],
        {"not": "4"},
    )
    assert workspace.query("SELECT _row FROM desired") == [(1,)]
    assert workspace.query("SELECT processed, verified, rejected, filtered FROM source_counts") == [(4, 1, 0, 3)]


def test_a_filter_that_fails_rejects_the_row(workspace: Workspace) -> None:
    """It is not known whether the row passes the filter."""
    shaped(workspace, definition(filter="CAST(number AS INTEGER) > 1"), [("1",), ("2",), ("x",)])
    assert errors(workspace) == [(3, "filter", "Invalid Format Exception", True)]
    assert workspace.query("SELECT processed, verified, rejected, filtered FROM source_counts") == [(3, 1, 1, 1)]


def test_a_row_that_a_value_in_doubt_filters_out_is_rejected(workspace: Workspace) -> None:
    """Its record would be dropped for the value; a row that passes anyway is synced without the field."""
    columns: list[dict[str, Any]] = [
        {"name": "size", "type": "number"},
        {"name": "open", "type": "bool"},
        {"name": "double", "type": "number", "formula": "size * 2"},
        {"name": "note"},
    ]
    sync = definition(columns, filter="open or double > 10")
    rows = [("1", "6", "no"), ("2", "many", "yes"), ("3", "many", "no"), ("4", "5", "maybe"), ("5", "5", "no")]
    shaped(workspace, sync, [(*row, "") for row in rows])
    assert [error for error in errors(workspace) if error[1] == "filter"] == [
        (3, "filter", "Invalid Format Exception", True),
        (4, "filter", "Invalid Format Exception", True),
    ]
    (said,) = set(workspace.query("SELECT message FROM source_errors WHERE \"column\" = 'filter'"))
    assert said[0].startswith("the source's filter reads open, double: a value cannot be read")
    assert workspace.query("SELECT _row FROM desired ORDER BY _row") == [(1,), (2,)]
    assert workspace.query("SELECT processed, verified, rejected, filtered FROM source_counts") == [(5, 2, 2, 1)]


def test_a_value_in_doubt_that_the_filter_does_not_read_filters_nothing(workspace: Workspace) -> None:
    """The field is left out of rows that pass; the others are filtered out."""
    columns: list[dict[str, Any]] = [{"name": "size", "type": "number"}, {"name": "open", "type": "bool"}]
    shaped(workspace, definition(columns, filter="open"), [("1", "many", "yes"), ("2", "many", "no")])
    assert workspace.query("SELECT processed, verified, rejected, filtered FROM source_counts") == [(2, 1, 0, 1)]


def test_a_rejected_row_is_not_filtered_as_well(workspace: Workspace) -> None:
    """A row counts once, whatever the result of the filter is."""
    column = {"name": "x", "type": "number", "validate": True}
    shaped(workspace, definition([column], filter="x > 1"), [("1", "many"), ("2", "1")])
    assert workspace.query("SELECT processed, verified, rejected, filtered FROM source_counts") == [(2, 0, 1, 1)]


def test_labels_with_any_characters_are_accepted(workspace: Workspace) -> None:
    """Spaces, quotes and SQL keywords may be names of columns."""
    columns: list[dict[str, Any]] = [
        {"name": 'odd "name"; --'},
        {"name": "order"},
        {"name": "x", "formula": '"odd ""name""; --" || "order"'},
    ]
    shaped(workspace, definition(columns), [("1", "a", "b")])
    assert values(workspace) == ["ab"]


def test_columns_that_are_calculated_from_each_other_are_a_mistake() -> None:
    """A cycle is named."""
    sync = definition([{"name": "a", "formula": "b"}, {"name": "b", "formula": "a"}])
    with pytest.raises(DefinitionError, match=r"source.columns\[1\]: these columns refer to each other: a, b"):
        shape_steps(sync)


def test_all_mistakes_in_expressions_are_reported_at_once() -> None:
    """One check reports all of them, each with its place."""
    columns: list[dict[str, Any]] = [
        {"name": "a", "formula": "nope + 1"},
        {"name": "b", "cases": [{"when": "1 +", "then": "sum(a)"}]},
        {"name": "c", "type": "date", "input_format": "ddddd"},
    ]
    with pytest.raises(DefinitionError) as caught:
        shape_steps(definition(columns, filter="(select 1)"))
    assert [problem.path for problem in caught.value.problems] == [
        "source.columns[3].input_format",
        "source.columns[1].formula",
        "source.columns[2].cases[0].when",
        "source.columns[2].cases[0].then",
        "source.filter",
    ]


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_replacement_never_turns_the_marker_of_an_error_into_a_value(workspace: Workspace, kind: str) -> None:
    """A source with errors in place of values has markers for them; no rule of a column makes a value of a marker."""
    written = Column.model_validate(
        {"name": "x", "type": kind, "replace": [{"pattern": ".", "with": "1"}], "trim": True}
    )
    column = TypedColumn.of(written, ColumnType.TEXT, ColumnType.TEXT, "VARCHAR").model_copy(
        update={"faults": (OTHER_FAULT,)}
    )
    workspace.execute(
        "CREATE TABLE source_raw AS SELECT * FROM (VALUES (1, 'ab'), (2, ?), (3, NULL)) AS t(_row, x)", [OTHER_FAULT]
    )
    how = reading(column)
    misfit = how.misfits[0]
    sql = read_columns([column], [how], ())
    assert workspace.query(f"SELECT x, {misfit.broken} FROM ({sql}) ORDER BY _row") == [
        ("11", False),
        (None, True),
        (None, False),
    ]


def test_calculated_documents_are_json(workspace: Workspace) -> None:
    """Also the result of a function; other text is an error of the column."""
    columns = [{"name": "n"}, {"name": "x", "type": "json", "formula": "if(n = 'a', to_json([n]), 'no')"}]
    shaped(workspace, definition(columns, MAPPED), [("1", "a"), ("2", "b")])
    assert values(workspace) == ['["a"]', None]


@pytest.mark.parametrize("validate", [False, True])
def test_a_row_whose_action_is_calculated_from_a_value_in_doubt_is_rejected(
    workspace: Workspace, *, validate: bool
) -> None:
    """Without the value it may be another action, such as to delete the record."""
    cases = [{"when": "stock > 0", "then": "'UPSERT'"}]
    columns: list[dict[str, Any]] = [
        {"name": "stock", "type": "number", "validate": validate},
        {"name": "what", "cases": cases, "default": "'DELETE'"},
    ]
    rows = [("1", "5"), ("2", "0"), ("3", "1,0")]
    shaped(workspace, definition(columns, strategy="delta", action_column="what"), rows)
    assert workspace.query("SELECT number, what FROM source ORDER BY _row") == [("1", "UPSERT"), ("2", "DELETE")]
    unread = [] if validate else [(3, "what", "Invalid Format Exception", True)]
    assert errors(workspace) == [(3, "stock", "Invalid Format Exception", validate), *unread]
