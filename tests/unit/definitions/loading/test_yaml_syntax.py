"""What is said about a text that is not YAML: the line to change, and how."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.loading.yaml_loader import read_yaml


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\n b: 2\n", (2, 2), "line 2 is one space deeper than line 1;"),
        ("a:\n  b: 1\n     c: 2\n", (3, 6), "line 3 is 3 spaces deeper than line 2;"),
        ("a:\n    b: 1\n   c: 2\n", (3, 4), "line 3 is one space less deep than line 2;"),
        ("a:\n  b: 1\n c: 2\n", (3, 2), "one space less deep than line 2 and one space deeper than line 1;"),
        ("a:\n  - b: 1\n     c: 2\n", (3, 6), "line 3 is one space deeper than line 2;"),
        ("a:\n  - b: 1\n    c: 2\n   - d: 3\n", (4, 4), "line 4 is one space deeper than line 2;"),
        ("a:\n  b: 1\n\n  # a comment\n   c: 2\n", (5, 4), "line 5 is one space deeper than line 2;"),
        ("a:\n  - b: 1\n  c: 2\n", (3, 3), "lines 2 and 3 are on the same level;"),
        ("a:b\nc: 1\n", (1, 2), "a key needs a blank after its colon"),
        ('a: "b\nc: 1\n', (1, 4), "the quote that opens here"),
        ("a: 'b\nc: 1\n", (1, 4), "the quote that opens here"),
        ("a: it's\nb: 'c\n", (2, 4), "the quote that opens here"),
        ("a: [1, 2\nb: 3\n", (1, 4), "the bracket that opens here"),
        ("a: {b: 1\nc: 3\n", (1, 4), "the bracket that opens here"),
        ("a: b\nc: ,\n", (2, 4), "text cannot start with a comma; put the whole text in quotes"),
        (
            "a: b\nc: |\n",
            (2, 4),
            "| begins a text on the lines below, and there is none; put the sign itself in quotes",
        ),
        ("a: >-\n\nc: 1\n", (1, 4), "> begins a text on the lines below, and there is none"),
        ('a: {b: "c, d: "e"}\n', (1, 16), "a double quote is missing in this line, which has 3"),
    ],
)
def test_the_line_to_change_is_named(text: str, place: tuple[int, int], message: str) -> None:
    """The place is that of the mistake, and not the one where reading stopped."""
    (problem,) = read_yaml(text).problems
    assert message in problem.message
    assert (problem.position.line, problem.position.column) == place


@given(st.text(alphabet="ab:-#[]{}\"'\\ \n\t,&*!|>%@0", max_size=60))
def test_every_text_is_read_or_has_a_place_in_it(text: str) -> None:
    """A text of the signs that mean something in YAML never raises, and a problem's place is in the text."""
    for problem in read_yaml(text).problems:
        lines = (text + " ").splitlines() or [""]
        assert 1 <= problem.position.line <= len(lines) + 1
        assert problem.position.column >= 1
