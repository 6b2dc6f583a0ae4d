"""Bodies are read strictly, and reading them never raises."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.bodies import as_text, moment, parse
from shared.events.records import Undecodable, Unusable


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b" \r\n", "empty", id="blank"),
        pytest.param(b"\xff\xfe{}", "byte 0", id="not UTF-8"),
        pytest.param(b'{"a": ', "not JSON", id="cut off"),
        pytest.param(b"hello", "line 1, column 1", id="text"),
        pytest.param(b"[" * 500_000, "nested too deeply", id="deeply nested"),
        pytest.param(b"[" * 65 + b"]" * 65, "more than 64 levels", id="one level too many"),
        pytest.param(b'{"x":' * 65 + b"1" + b"}" * 65, "more than 64 levels", id="one object too many"),
        pytest.param(b"x" * 1_048_576, "not JSON", id="1 MB of nothing"),
    ],
)
def test_an_invalid_body_is_undecodable_with_its_reason(body: bytes, says: str) -> None:
    """The reason contains no part of the body."""
    found = parse(body)
    assert isinstance(found, Undecodable)
    assert says in found.reason
    assert len(found.reason) < 200


HUGE = "1e300000000"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        pytest.param("NaN", "NaN is not a JSON number", id="NaN"),
        pytest.param("-Infinity", "Infinity", id="infinity"),
        pytest.param("9" * 5000, "4,300 digits", id="a whole number of 5000 digits"),
        pytest.param("0." + "9" * 5000, "4,300 digits", id="a fraction of 5000 digits"),
        pytest.param(HUGE, "exponent", id="a huge exponent"),
        pytest.param("-1E-300000000", "exponent", id="a tiny number"),
        pytest.param("1e" + "9" * 30, "exponent", id="an exponent that no Decimal has"),
        pytest.param('"\\ud83d"', "surrogate", id="half a character"),
        pytest.param('{"deep": [NaN]}', "NaN", id="inside"),
        pytest.param('{"\\udfff": 1}', "surrogate", id="half a character in a name"),
        pytest.param("[1e999]", "exponent", id="a number inside that JSON numbers do not reach"),
    ],
)
def test_a_value_that_cannot_be_used_affects_no_other_value(value: str, says: str) -> None:
    """The others are read; the text of this one raises with the reason, without any part of the value."""
    found: Any = parse(f'{{"bad": {value}, "good": 1}}'.encode())
    assert found["good"] == 1
    text = as_text(found["bad"])
    assert isinstance(text, Unusable)
    assert says in text.reason
    assert len(text.reason) < 200


@pytest.mark.parametrize(
    "body", [b"[" * 64 + b"]" * 64, b'{"a": ' + b"9" * 4300 + b"}", b'{"a": 5e-324}', b'{"a": 1e308}']
)
def test_values_at_the_limits_are_read(body: bytes) -> None:
    """Every double and every whole number that the interpreter reads has a text."""
    found = parse(body)
    text = as_text(found["a"] if isinstance(found, dict) else found)
    assert isinstance(text, str)
    assert len(text) <= 5_500


@pytest.mark.parametrize("word", ["\\uD800", "\\ud83d", "x\\udc00y"])
def test_a_lone_surrogate_affects_only_its_own_text(word: str) -> None:
    """Only the text that contains it is unusable, wherever it is."""
    found: Any = parse(f'{{"a": ["{word}", "\\ud83d\\ude00"], "b": 1}}'.encode())
    assert (found["a"][1], found["b"], isinstance(found["a"][0], Unusable)) == ("\U0001f600", 1, True)


def test_a_surrogate_pair_and_a_byte_order_mark_are_accepted() -> None:
    """Escaped characters outside the basic plane, and the mark that .NET writes."""
    assert parse(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_fractions_keep_every_digit() -> None:
    """Amounts of money are not converted to binary floating point."""
    assert parse(b'{"a": 12345678901234567.89}') == {"a": Decimal("12345678901234567.89")}


@given(st.binary(max_size=64))
def test_no_body_makes_reading_raise(body: bytes) -> None:
    """Any bytes are either JSON or undecodable."""
    parse(body)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("", None),
        (" ", " "),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.50"), "1.50"),
        ({"b": [1, Decimal("0.5"), "é"]}, '{"b":[1,0.5,"é"]}'),
        (
            {'"': [Decimal("12345678901234567.89"), Decimal("12.50"), Decimal("1E+3"), None, True]},
            '{"\\"":[12345678901234567.89,12.50,1000,null,true]}',
        ),
        ([], "[]"),
    ],
)
def test_values_become_the_text_of_a_column(value: object, text: str | None) -> None:
    """Numbers and flags are written plainly, nested values as JSON with the same digits, empty text is null."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05+00:00"),
        ("yesterday", None),
        (17, None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
    ],
)
def test_a_moment_without_a_zone_is_utc(text: object, iso: str | None) -> None:
    """Moments have a zone; a text that is no moment gives none."""
    found = moment(text)
    assert (found and found.isoformat()) == iso
