"""Columns with a notation: the values of their texts, their rules, and fields that use them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.errors import DefinitionError
from shared.transform import check_expressions, shape_steps
from shared.workspace import Workspace
from tests.unit.transform.world import definition, errors, shaped

GERMAN = {"type": "number", "decimal_separator": ",", "thousands_separator": "."}
BERLIN = {"type": "date", "time_zone": "Europe/Berlin"}


def run(workspace: Workspace, column: dict[str, Any], *texts: str | None, target: str = "notes") -> SyncDefinition:
    """Shape and map one column `x` with these texts; the keys of the rows are their numbers."""
    rows = [(str(number), text) for number, text in enumerate(texts, start=1)]
    sync = definition([{"name": "x", **column}], [{"source": "x", "target": target}])
    shaped(workspace, sync, rows)
    return sync


def column_of(workspace: Workspace, table: str, name: str) -> list[Any]:
    return [value for (value,) in workspace.query(f'SELECT "{name}" FROM {table} ORDER BY _row')]


def messages(workspace: Workspace) -> list[str]:
    return [message for (message,) in workspace.query("SELECT message FROM source_errors ORDER BY _row")]


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("revenue", Decimal("-1250.01")),
        ("staff", None),
        ("latitude", None),
        ("notes", "-1250.005"),
    ],
)
def test_a_number_in_another_notation_is_mapped_to_every_numeric_column(
    workspace: Workspace, target: str, value: Any
) -> None:
    """It is rounded once, from its own digits, like a number in plain notation."""
    run(workspace, GERMAN, "1.250,00499999999999999-", "1.250,005-", target=target)
    first, second = column_of(workspace, "desired", target)
    assert second == value
    assert first == {"revenue": Decimal("-1250.00"), "notes": "-1250.005"}.get(target)


def test_a_minus_after_a_number_counts_at_every_precision(workspace: Workspace) -> None:
    """Also where the number has more digits than expressions see."""
    run(workspace, {"type": "number"}, "0.00499999999999-", "1250.50-", target="revenue")
    assert column_of(workspace, "desired", "revenue") == [Decimal("0.00"), Decimal("-1250.50")]
    assert errors(workspace) == []


@pytest.mark.parametrize("separator", "'.^*|\\]\"[)$? ")
def test_separators_are_not_patterns(workspace: Workspace, separator: str) -> None:
    """Characters of regular expressions, quotes and spaces are plain characters."""
    column = {"type": "number", "decimal_separator": ",", "thousands_separator": separator, "strip": "{}&"}
    run(workspace, column, f"1{separator}250,50", "&1x250{", f"{{ 1{separator}250,50 &", "1,250")
    assert column_of(workspace, "source", "x") == [Decimal("1250.5"), None, Decimal("1250.5"), Decimal("1.25")]


@pytest.mark.parametrize("sign", "^]\\[$.*?|&'")
def test_removed_characters_are_not_patterns(workspace: Workspace, sign: str) -> None:
    """The same is true for the characters that are removed."""
    run(workspace, {"type": "number", "decimal_separator": ",", "strip": sign}, f"{sign} 5,5", f"-{sign}5", "x5", "5")
    assert column_of(workspace, "source", "x") == [Decimal("5.5"), Decimal(-5), None, Decimal(5)]


def test_letters_can_be_removed_too(workspace: Workspace) -> None:
    """A removed E is not the E of an exponent, so a number with an exponent is rejected."""
    run(workspace, {"type": "number", "strip": "EURCHF"}, "5.5 EUR", "CHF -5", "1E5", "1e5", "EUR5EUR")
    assert column_of(workspace, "source", "x") == [Decimal("5.5"), Decimal(-5), None, None, Decimal(5)]


def test_the_message_shows_the_notation(workspace: Workspace) -> None:
    """The user sees which notation is expected, never the value."""
    run(workspace, {**GERMAN, "validate": True}, "1.25")
    assert messages(workspace) == [
        "not a number; it must be written plainly, as in 1.250,50, with three digits in each group after the first"
    ]
    assert errors(workspace) == [(1, "x", "Invalid Format Exception", True)]


def test_a_time_that_does_not_exist_is_left_out_with_the_fields_that_use_it(workspace: Workspace) -> None:
    """Without `validate` only the field and the fields that are calculated from it are left out."""
    columns = [
        {"name": "x", **BERLIN},
        {"name": "day", "formula": "strftime(x, '%d')"},
    ]
    mappings = [{"source": "x", "target": "called"}, {"source": "day", "target": "name"}]
    shaped(workspace, definition(columns, mappings), [("1", "2024-03-31T02:30"), ("2", "2024-10-27T02:30")])
    assert workspace.query("SELECT called, _omit_called, name, _omit_name FROM desired") == [
        (None, True, None, True),
        (None, True, None, True),
    ]
    remedy = "; correct it, or write on_ambiguous_time: earlier or later"
    assert messages(workspace) == [
        f"a time that does not exist in Europe/Berlin, because the clocks were put forward{remedy}",
        f"a time that exists twice in Europe/Berlin, because the clocks were put back{remedy}",
    ]
    assert {kind for _, _, kind, _ in errors(workspace)} == {"Input Format Exception"}


def test_a_time_that_does_not_exist_rejects_with_validate(workspace: Workspace) -> None:
    """It is not a value of the column."""
    run(workspace, {**BERLIN, "validate": True}, "2024-03-31T02:30", "2024-03-31T03:30")
    assert errors(workspace) == [(1, "x", "Input Format Exception", True)]
    assert len(column_of(workspace, "desired", "notes")) == 1


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("called", datetime(2024, 1, 30, 23, 0)),  # noqa: DTZ001 - the workspace holds UTC without a zone
        ("founded", date(2024, 1, 31)),
        ("opens", datetime(2024, 1, 31)),  # noqa: DTZ001 - likewise
        ("notes", "2024-01-30T23:00:00Z"),
    ],
)
def test_a_day_stays_the_same_in_a_date_only_column(workspace: Workspace, target: str, value: Any) -> None:
    """A moment in UTC would be on the day before."""
    run(workspace, BERLIN, "2024-01-31", "2024-01-31T00:00:00", "2024-01-30T23:00:00Z", target=target)
    assert column_of(workspace, "desired", target) == [value] * 3


def test_formats_with_and_without_an_offset_share_a_column(workspace: Workspace) -> None:
    """Only the text without one is a time of the zone."""
    column = {**BERLIN, "input_format": ["dd.MM.yyyy HH:mm", "yyyy-MM-ddTHH:mmK", "excel"]}
    run(workspace, column, "31.01.2024 10:00", "2024-01-31T10:00Z", "45322.5", "2024-01-31T10:00", "27.10.2024 02:30")
    assert [value and value.hour for value in column_of(workspace, "source", "x")] == [9, 10, 11, None, None]
    assert [row for row, *_ in errors(workspace)] == [4, 5]


def test_formats_that_all_have_an_offset_need_no_zone_to_be_moments(workspace: Workspace) -> None:
    """The zone then only decides on which day a moment is."""
    column = {**BERLIN, "input_format": "yyyy-MM-ddTHH:mmK"}
    run(workspace, column, "2024-01-30T23:30Z", target="founded")
    assert column_of(workspace, "desired", "founded") == [date(2024, 1, 31)]
    assert "before:" not in "".join(step.sql for step in shape_steps(definition([{"name": "x", **column}])))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("31/12/49 23:30-02:00", datetime(2050, 1, 1, 1, 30)),  # noqa: DTZ001 - the workspace holds UTC without a zone
        ("01/01/50 00:30+02:00", datetime(1949, 12, 31, 22, 30)),  # noqa: DTZ001 - likewise
        ("01/01/50 00:30Z", datetime(1950, 1, 1, 0, 30)),  # noqa: DTZ001 - likewise
    ],
)
def test_the_pivot_applies_to_the_written_year(workspace: Workspace, text: str, value: datetime) -> None:
    """Not to the year in UTC."""
    run(workspace, {"type": "date", "input_format": "dd/MM/yy HH:mmK", "pivot": 50}, text)
    assert column_of(workspace, "source", "x") == [value]


def test_words_without_a_list_keep_their_meaning(workspace: Workspace) -> None:
    """A list replaces only the words for its own value, true or false."""
    run(workspace, {"type": "bool", "true_values": ["Ja"]}, "ja", "no", "0", "true")
    assert column_of(workspace, "source", "x") == [True, False, False, None]
    assert messages(workspace) == ["not one of Ja, false, no, n, f, 0"]


def test_an_accent_of_a_word_may_be_written_in_two_ways(workspace: Workspace) -> None:
    """As one character or as a letter and its accent."""
    run(workspace, {"type": "bool", "true_values": ["si\u0301"], "false_values": ["não"]}, "Sí", "Na\u0303o", "si")
    assert column_of(workspace, "source", "x") == [True, False, None]


def test_texts_that_mean_no_value(workspace: Workspace) -> None:
    """The list of a column replaces that of the source; flags see an empty value; `replace` comes after it."""
    columns: list[dict[str, Any]] = [
        {"name": "a", "mandatory": True},
        {"name": "b", "type": "number"},
        {"name": "c", "null_values": []},
        {"name": "d", "null_values": ["-"], "trim": True, "replace": [{"pattern": "x", "with": "-"}]},
        {"name": "e", "null_values": [""]},
    ]
    sync = definition(columns, [])
    source = sync.source.model_copy(update={"null_values": ("NULL", "it's")})
    rows = [
        ("1", "NULL", " NULL ", "NULL", " - ", "NULL"),
        ("2", "it's", "it's", "", "x", ""),
        ("3", "null", "5", "-", "NULL", "-"),
    ]
    shaped(workspace, sync.model_copy(update={"source": source}), rows)
    assert workspace.query("SELECT a, b, c, d, e FROM source ORDER BY _row") == [
        (None, None, "NULL", None, "NULL"),
        (None, None, None, "-", None),
        ("null", Decimal(5), "-", "NULL", "-"),
    ]
    assert errors(workspace) == [(row, "a", "Mandatory Rule Violation", False) for row in (1, 2)]


def test_a_key_may_be_written_in_any_notation(workspace: Workspace) -> None:
    """A key whose text means no value is an empty key."""
    sync = definition([], [])
    columns = ({"name": "number", "type": "number", "thousands_separator": ",", "null_values": ["-"]},)
    source = sync.source.model_validate({**sync.source.model_dump(by_alias=True), "columns": columns})
    shaped(workspace, sync.model_copy(update={"source": source}), [("1,000",), ("1000",), ("-",)])
    assert column_of(workspace, "desired", "accountnumber") == ["1000"]
    assert sorted(kind for _, _, kind, _ in errors(workspace)) == ["Duplicate Key", "Mandatory Rule Violation"]


@pytest.mark.parametrize(
    ("column", "path", "message"),
    [
        ({"input_format": "dd/MM/yyyy", "pivot": 50}, "pivot", "two-digit years"),
        ({"input_format": "excel", "pivot": 50}, "pivot", "two-digit years"),
        ({"input_format": ["dd/MM/yyyy", "ddddd/MM/yyyy"]}, "input_format[1]", "not a token of a date format"),
        ({"input_format": ["excel", "%Q"]}, "input_format[1]", ""),
    ],
)
def test_mistakes_in_formats_have_their_place(column: dict[str, Any], path: str, message: str) -> None:
    """Each at its own item of the list."""
    sync = definition([{"name": "x", "type": "date", **column}])
    (problem,) = check_expressions(sync)
    assert problem.path == f"source.columns[1].{path}"
    assert message in problem.message


def test_a_wrong_pivot_stops_the_run() -> None:
    """A definition is also checked when it is compiled."""
    with pytest.raises(DefinitionError, match="two-digit years"):
        shape_steps(definition([{"name": "x", "type": "date", "input_format": "dd/MM/yyyy", "pivot": 50}]))


def test_a_column_without_these_keys_has_none_of_their_sql() -> None:
    """The SQL of unused keys is not generated."""
    plain = [
        {"name": "n", "type": "number"},
        {"name": "d", "type": "date"},
        {"name": "b", "type": "bool"},
        {"name": "t"},
    ]
    (sql,) = [step.sql for step in shape_steps(definition(plain)) if "shaped" in step.sql and "CREATE" in step.sql][:1]
    for word in ("timezone", "regexp_replace", "translate", "NOT IN", "number:", "format0:"):
        assert word not in sql, word
