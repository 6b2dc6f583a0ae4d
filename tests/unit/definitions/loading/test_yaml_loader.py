"""YAML read with the position of every key and value."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.definitions.loading.yaml_loader import TextPosition, plain_scalar, read_yaml, shown_path


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("42", 42),
        ("-7", -7),
        ("007", "007"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1e6", 1e6),
        (".5", 0.5),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        ("12:30", "12:30"),
        ("30%", "30%"),
        ("1.0.0", "1.0.0"),
        ("9" * 5000, "9" * 5000),
        ("2024-02-29", dt.date(2024, 2, 29)),
        ("2023-02-29", "2023-02-29"),
        ("2024-02-29T01:02:03Z", dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC)),
        ("2024-02-29 01:02:03", dt.datetime(2024, 2, 29, 1, 2, 3)),  # noqa: DTZ001 - written without a zone
        ("2024-02-29T25:02:03Z", "2024-02-29T25:02:03Z"),
    ],
)
def test_a_plain_scalar_follows_yaml_1_2_and_keeps_data(text: str, value: object) -> None:
    """Words of YAML 1.1 stay words, codes with leading zeros stay codes."""
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)


def test_quotes_make_text() -> None:
    """A quoted scalar is text whatever it looks like."""
    assert read_yaml("a: '42'\nb: \"true\"\nc: |\n  1\n").value == {"a": "42", "b": "true", "c": "1\n"}


def test_every_key_and_value_has_a_place() -> None:
    """Places count lines and characters from 1, also behind wide characters and inside brackets."""
    document = read_yaml("ключ: значение\nb:\n  - {x: 1, y: [2, 3]}\n  - z: 4\n")

    assert document.keys["ключ",] == TextPosition(line=1, column=1)
    assert document.values["ключ",] == TextPosition(line=1, column=7)
    assert document.keys["b", 0] == TextPosition(line=3, column=5)
    assert document.keys["b", 0, "y"] == TextPosition(line=3, column=12)
    assert document.values["b", 0, "y", 1] == TextPosition(line=3, column=19)
    assert document.values["b", 1, "z"] == TextPosition(line=4, column=8)


def test_what_is_missing_is_placed_at_what_it_is_missing_from() -> None:
    """The position of an absent key is that of the nearest thing around it."""
    document = read_yaml("a:\n  b: {c: 1}\n")

    assert document.key_position(("a", "b", "d", "e")) == TextPosition(line=2, column=3)
    assert document.key_position(("x",)) == TextPosition(line=1, column=1)


def test_a_byte_order_mark_moves_no_column() -> None:
    """Editors on Windows write one; it is no part of the text."""
    assert read_yaml("\ufeffa: [").problems[0].position == read_yaml("a: [").problems[0].position


def test_duplicate_keys_are_each_reported_and_the_first_counts() -> None:
    """YAML allows no key twice; PyYAML would take the last without a word."""
    document = read_yaml("a: 1\nb: {c: 1, c: 2}\na: 3\n")

    assert document.value == {"a": 1, "b": {"c": 1}}
    assert [(each.position, each.path) for each in document.problems] == [
        (TextPosition(line=2, column=11), ("b",)),
        (TextPosition(line=3, column=1), ()),
    ]


def test_aliases_share_a_value() -> None:
    """An anchor's value may be used again."""
    assert read_yaml("a: &x [1]\nb: *x\n").value == {"a": [1], "b": [1]}


@pytest.mark.parametrize("text", ["a: !!python/name:os.system x", "a: !x 1", "!x {a: 1}"])
def test_tags_are_refused(text: str) -> None:
    """A tag could make any object; here it makes a problem."""
    assert "tag" in read_yaml(text).problems[0].message


def test_a_path_is_shown_with_dots_and_brackets() -> None:
    """Paths read as in the documentation."""
    assert shown_path(("destination", "mappings", 3, "target")) == "destination.mappings[3].target"
    assert shown_path(()) == ""
