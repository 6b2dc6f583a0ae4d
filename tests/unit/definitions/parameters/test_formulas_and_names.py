"""Formulas are parsed, never run as code; names are found only where they stand for a parameter."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions import Language, names_in, references
from shared.definitions.parameters.formulas import FormulaCall, Literal, Name, names_of, parse_formula, secret_of
from shared.definitions.parameters.patterns import check_pattern, first_found


def test_a_formula_is_a_call_of_texts_names_and_calls() -> None:
    """Doubled quotes, spaces and nesting are read; function names have no case."""
    formula = parse_formula(" filename( ENV('P') , 'it''s' ) ")

    assert formula == FormulaCall("FILENAME", (FormulaCall("ENV", (Literal("P"),)), Literal("it's")))
    assert [*names_of(parse_formula("FILEPATH(@a, @b)"))] == ["a", "b"]
    assert parse_formula("FILEPATH(@a, 'x')").arguments[0] == Name("a")
    assert secret_of(parse_formula("SECRET('a-b')")) == "a-b"
    assert secret_of(parse_formula("GUID()")) is None


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("", "a formula is a call"),
        ("GUID", "a formula is a call"),
        ("@other", "a formula is a call of one of"),
        ("'text'", "a formula is a call of one of"),
        ("GUID() x", "cannot be read|there is text after it"),
        ("GUID()'x'", "there is text after it"),
        ("GUID(1)", "cannot be read after character 5"),
        ("GUID('x')", r"GUID\(\)"),
        ("FILENAME(@a)", r"FILENAME\(path, regex\)"),
        ("FILENAME(@a 'x')", "comma"),
        ("FILENAME(@a,)", "a value is missing"),
        ("FILENAME(@a, 'x'", "cannot be read"),
        ("FILENAME(@a, '(')", "not a regular expression"),
        ("FILNAME(@a, 'x')", "did you mean FILENAME"),
        ("SYSTEM('ls')", "there are FILENAME"),
        ("ENV(@a)", "in quotes"),
        ("SECRET(@a)", "in quotes"),
        ("FILENAME(SECRET('a'), 'x')", "must be the whole formula"),
        ("FILENAME(" * 20 + "@a" + ", 'x')" * 20, "too deeply"),
    ],
)
def test_an_invalid_formula_is_refused_with_a_reason(formula: str, message: str) -> None:
    """Each mistake has its own words."""
    with pytest.raises(ValueError, match=message):
        parse_formula(formula)


@given(text=st.text(alphabet="FILENAMEguid(),'@ab \\[(*+?{9}", max_size=40))
def test_any_text_is_a_formula_or_a_value_error(text: str) -> None:
    """No other exception leaves the parser."""
    with suppress(ValueError):
        parse_formula(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a = @p and b > @q + @p", ("p", "q")),
        ("a = '@p' or b = 'it''s @p' or c = @q", ("q",)),
        ('"@col" = @q', ("q",)),
        ("a = e'\\'@p' and @q", ("q",)),
        ("name'@p' || @q", ("q",)),
        ("1 -- @p\n + @q", ("q",)),
        ("1 /* @p */ + @q", ("q",)),
        ("$$ @p $$ || $x$ @p $$ $x$ || @q", ("q",)),
        ("list @> other and list <@ @q", ("q",)),
        ("[1] <@items and @q", ("q",)),
        ("$a1$ @p $a1$ || @q", ("q",)),
        ("'never closed @p", ()),
        ("@1 + @ x", ()),
        ("concat(@p,@q)", ("p", "q")),
    ],
)
def test_in_sql_names_are_found_outside_texts_identifiers_and_comments(text: str, names: tuple[str, ...]) -> None:
    """What DuckDB reads as text is text."""
    assert names_in(text, Language.SQL) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [("a eq @p", ("p",)), ("a eq 'x@p' and b eq @q", ("q",)), ("a eq 'it''s @p'", ()), ("contains(a,@p)", ("p",))],
)
def test_in_odata_names_are_found_outside_texts(text: str, names: tuple[str, ...]) -> None:
    """Single quotes hold text; doubled they are a quote."""
    assert names_in(text, Language.ODATA) == names


def test_a_reference_has_its_position() -> None:
    """Start and end are those of the name with its sign."""
    text = "x@{ab}y @cd"

    assert [(each.name, text[each.start : each.end]) for each in references(text)] == [("ab", "@{ab}"), ("cd", "@cd")]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("_([0-9]+)", "12"),
        ("[0-9]+", "12"),
        ("(?:_)([0-9])(.)", "1"),
        ("(?P<n>[0-9]+)", "12"),
        ("(x)?_", ""),
        (r"\.csv$", ".csv"),
        ("nothing", None),
    ],
)
def test_a_pattern_finds_its_first_group_or_all_of_it(pattern: str, found: str | None) -> None:
    """Where it has a group that took no part, the result is empty."""
    assert first_found(pattern, "ab_12.csv") == found


def test_a_pattern_never_explodes() -> None:
    """What takes other engines years is read once from left to right."""
    assert first_found("(a+)+$", "a" * 50_000 + "b") is None


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", r"(a)\1", "a{5000}", "\udcff"])
def test_an_invalid_pattern_is_refused_before_the_run(pattern: str) -> None:
    """Also what would need to look back or ahead."""
    with pytest.raises(ValueError, match="not a regular expression in RE2 syntax"):
        check_pattern(pattern)
