"""Bodies are read strictly, and whatever they are, reading them raises nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.bodies import as_text, moment, parse
from shared.events.records import Undecodable


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b" \r\n", "empty", id="blank"),
        pytest.param(b"\xff\xfe{}", "byte 0", id="not UTF-8"),
        pytest.param(b'{"a": ', "not JSON", id="cut off"),
        pytest.param(b"hello", "line 1, column 1", id="text"),
        pytest.param(b'{"a": NaN}', "NaN", id="NaN"),
        pytest.param(b'{"a": -Infinity}', "Infinity", id="infinity"),
        pytest.param(b"[" * 500_000, "nested too deeply", id="deeply nested"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "not JSON that can be used", id="a number of 5000 digits"),
        pytest.param(b'{"a": "\\ud83d"}', "surrogate", id="half a character"),
        pytest.param(b"x" * 1_048_576, "not JSON", id="1 MB of nothing"),
    ],
)
def test_a_poisonous_body_is_undecodable_with_its_reason(body: bytes, says: str) -> None:
    """A body that cannot be read yields the reason, and no part of itself."""
    found = parse(body)
    assert isinstance(found, Undecodable)
    assert says in found.reason
    assert len(found.reason) < 200


def test_a_whole_surrogate_pair_and_a_byte_order_mark_are_fine() -> None:
    """Escaped characters outside the basic plane, and the mark that .NET writes, are read."""
    assert parse(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00"}') == {"a": "😀"}


def test_fractions_keep_every_digit() -> None:
    """Money does not go through binary floating point."""
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
        ([], "[]"),
    ],
)
def test_values_become_the_text_of_a_column(value: object, text: str | None) -> None:
    """Numbers and flags are written plainly, nested values as JSON, empty text is null."""
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00"),
        ("2026-01-02T03:04:05+02:00", "2026-01-02T01:04:05+00:00"),
        ("yesterday", None),
        (17, None),
    ],
)
def test_a_moment_without_a_zone_is_utc(text: object, iso: str | None) -> None:
    """Moments are aware; what is no moment is none."""
    found = moment(text)
    assert (found and found.isoformat()) == iso
