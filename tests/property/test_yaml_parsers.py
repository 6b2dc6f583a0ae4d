"""The two parsers of YAML give the same: the one in C is only faster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from shared.definitions.loading.yaml_loader import Document, compose_yaml, read_yaml
from shared.drafts.editing.nodes import Text, children

FOLDERS = [Path(__file__).parents[2] / name for name in ("syncs", "tests/acceptance/definitions")]
TEXTS = [path.read_text("utf-8")[:3000] for folder in FOLDERS for path in sorted(folder.glob("*.yaml"))]
PIECES = [
    ":", " ", "\n", "- ", "{", "}", "[", "]", ",", "#", "'", '"', "|", ">", "&a ", "*a", "!t ", "? ", "%", "@", "`", "\t",
    "\r\n", "\u2028", "\x85", "\ufeff", "é", "😀", "---\n", "...\n", "~", "null", "|2\n", ">-\n", ": ", "\\", "\\n", "<<: ",
    "\x7f", "\xa0", "::", " #", "a:b", "--", "=", "  ", "\ud800",
]  # fmt: skip


def mutated(text: str, changes: list[tuple[int, int, str]]) -> str:
    """A text in which some characters are replaced."""
    for place, length, piece in changes:
        start = place % (len(text) + 1)
        text = text[:start] + piece + text[start + length :]
    return text


def told(text: str) -> tuple[Document, list[tuple[int, int]]]:
    """What is read, and where the values stand that an edit replaces."""
    document = read_yaml(text)
    places: list[tuple[int, int]] = []
    root = compose_yaml(text.removeprefix("\ufeff")) if not document.problems and document.value is not None else None
    waiting = [root] if root is not None else []
    while waiting and not document.has_anchors:
        node = waiting.pop()
        found = children(node)
        waiting += [each.value for each in found]
        places += [(each.start, Text(text).end_of(each.value)) for each in found]
    return document, places


@given(
    text=st.sampled_from(TEXTS),
    begin=st.integers(0, 3000),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3), st.sampled_from(PIECES)), max_size=4),
)
@example(text="a: {b: Sa? les}\n", begin=0, changes=[])
@example(text="a:\t1\nb: {c: , d: }\n", begin=0, changes=[])
@example(text="\ufeffa: 1\n# \ufeff\nb: 2", begin=0, changes=[])
def test_both_parsers_give_the_same(text: str, begin: int, changes: list[tuple[int, int, str]]) -> None:
    """Values, places and mistakes, whatever is written."""
    text = mutated(text[begin % len(text) :], changes)
    fast = told(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml, "__with_libyaml__", False)
        assert told(text) == fast


def test_the_parser_in_c_is_there() -> None:
    """Otherwise the test above compares nothing."""
    assert yaml.__with_libyaml__
