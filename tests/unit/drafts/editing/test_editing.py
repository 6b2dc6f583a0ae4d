"""Edits of a definition that a person has written, with comments."""

from __future__ import annotations

import pytest

from shared.drafts.editing import EditRefusedError, Insert, Move, Remove, Set, edited

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
