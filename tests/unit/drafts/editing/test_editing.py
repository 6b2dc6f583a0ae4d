"""Edits of a definition that a person has written, with comments."""

from __future__ import annotations

import pytest

from shared.drafts.editing import EditRefusedError, Insert, Move, Remove, Rename, Set, edited, rewritten

TEXT = """\
# Customers of the shop.
name: customers  # never change it
version: "1.0.0"

source:
  type: delimited
  path: 'data/customers.csv'   # nightly
  columns:
    # the key
    - name: number
      mandatory: true
    - {name: Name, trim: true} # as typed
    - name: revenue
      # in euros
      type: number

destination: {type: dynamics, entity: account}
"""


def test_a_value_keeps_its_quotes_and_its_comment() -> None:
    """Only the value itself changes."""
    text = edited(TEXT, [Set(path=("source", "path"), value="new data.csv"), Set(path=("version",), value="2.0.0")])
    expected = TEXT.replace("'data/customers.csv'", "'new data.csv'").replace('"1.0.0"', '"2.0.0"')
    assert text == expected


def test_new_keys_of_several_rows_stand_in_their_rows() -> None:
    """Also two of one row, and one of a row whose value changes as well; comments stay where they are."""
    columns = ("source", "columns")
    edits = [
        Set(path=(*columns, 0, "trim"), value=True, after=["name"]),
        Set(path=(*columns, 0, "alias"), value="n", after=["name"]),
        Set(path=(*columns, 1, "max_length"), value=9, after=["name"]),
        Set(path=(*columns, 2, "name"), value="amount"),
        Set(path=(*columns, 2, "validate"), value=True, after=["name", "type"]),
    ]
    text = edited(TEXT, edits)
    expected = TEXT.replace("    - name: number\n", "    - name: number\n      alias: n\n      trim: true\n")
    expected = expected.replace("{name: Name, trim", "{name: Name, max_length: 9, trim").replace(
        ": revenue", ": amount"
    )
    assert text == expected.replace("      type: number\n", "      type: number\n      validate: true\n")


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_text_with_a_line_break_at_its_end_may_be_the_last_value_of_a_file(line_break: str) -> None:
    """The file has no line break at its end: it gets one, without which the value would lose its own."""
    before = f"name: a{line_break}script: b"
    script = f"name: a{line_break}script: |{line_break}  return 1{line_break}"
    assert edited(before, [Set(path=("script",), value="return 1\n")]) == script
    more = [Set(path=("more",), value="tail\n", after=["script"])]
    assert edited(before, more) == f"{before}{line_break}more: |{line_break}  tail{line_break}"
    assert edited(before, [Set(path=("name",), value="c")]) == before.replace(": a", ": c")


def test_several_items_are_inserted_at_once() -> None:
    """In a list of lines, in one in brackets, and in one that is empty."""
    added = Insert(path=("a",), index=1, value="x", others=["y", "z"])
    assert edited("a:\n  - b # one\n  - c\n", [added]) == "a:\n  - b # one\n  - x\n  - y\n  - z\n  - c\n"
    assert edited("a: [b, c] # two\n", [added]) == "a: [b, x, y, z, c] # two\n"
    first = Insert(path=("a",), index=0, value="x", others=["y"])
    assert edited("a: [] # none\nb: 1\n", [first]) == "a: [x, y] # none\nb: 1\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p:\n  # of a\n  a: {d: 1} # one\n  b: {d: 2}\n", "p:\n  # of a\n  c: {d: 1} # one\n  b: {d: 2}\n"),
        ("p: {'a': {d: 1}, b: {d: 2}}\n", "p: {'c': {d: 1}, b: {d: 2}}\n"),
        ('p: {"a":{d: 1}, b: {d: 2}}\n', 'p: {"c":{d: 1}, b: {d: 2}}\n'),
        ("p:\n  ? a\n  : d: 1\n  b: {d: 2}\n", "p:\n  ? c\n  : d: 1\n  b: {d: 2}\n"),
    ],
)
def test_a_key_that_is_renamed_stays_in_its_place(text: str, expected: str) -> None:
    """With its quotes and its comments; by itself, or as the difference of two values."""
    assert edited(text, [Rename(path=("p", "a"), name="c")]) == expected
    assert rewritten(text, {"p": {"c": {"d": 1}, "b": {"d": 2}}}) == expected
    assert rewritten(text, {"p": {"c": {"d": 3}, "b": {"d": 2}}}) == expected.replace("d: 1", "d: 3")


def test_a_key_is_not_renamed_to_one_that_is_there() -> None:
    """Nor is a key that does not exist."""
    for path, name in ((("a",), "b"), (("c",), "d")):
        with pytest.raises(EditRefusedError):
            edited("a: 1\nb: 2\n", [Rename(path=path, name=name)])


def test_another_key_with_another_value_is_not_the_same_one() -> None:
    """Its comment goes with it."""
    assert (
        rewritten("a:\n  env: X # one\n  b: 1\n", {"a": {"key_vault": "Y", "b": 1}}) == "a:\n  b: 1\n  key_vault: Y\n"
    )


def test_keys_and_items_come_and_go_in_their_places() -> None:
    """A new key stands where the model has it, and a new item is written as a person would write it."""
    text = edited(
        TEXT,
        [
            Set(path=("description",), value="From the shop", after=["name", "version"]),
            Insert(path=("source", "columns"), index=3, value={"name": "city", "max_length": 80}),
            Remove(path=("source", "columns", 0)),
            Move(path=("source", "columns"), index=1, to=0),
            Set(path=("destination", "filter"), value="statecode eq 0"),
        ],
    )
    assert (
        text
        == """\
# Customers of the shop.
name: customers  # never change it
version: "1.0.0"
description: From the shop

source:
  type: delimited
  path: 'data/customers.csv'   # nightly
  columns:
    # the key
    - name: revenue
      # in euros
      type: number
    - {name: Name, trim: true} # as typed
    - {name: city, max_length: 80}

destination: {type: dynamics, entity: account, filter: statecode eq 0}
"""
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1}\nc: 2\n",
        "a: &x {b: 1}\nc: *x\n",
        "a: 1\n---\nb: 2\n",
        "a: 1\na: 2\n",
        "a: [1\n",
        "? a\n: 1\nc: [\n",
        "",
        "a: !tag 1\n",
    ],
)
def test_what_an_edit_could_change_elsewhere_is_refused(text: str) -> None:
    """Anchors, several documents and mistakes: the message says to edit the YAML."""
    with pytest.raises(EditRefusedError, match="edit the YAML instead"):
        edited(text, [Set(path=("a",), value=3)])


def test_a_way_of_writing_that_no_edit_knows_is_refused() -> None:
    """Nothing is guessed: a list in a list that begins on the line of its dash has no line of its own."""
    with pytest.raises(EditRefusedError):
        edited("a:\n  - - 1\n    - 2\n", [Remove(path=("a", 0, 0))])
