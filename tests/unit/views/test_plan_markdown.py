"""A plan as Markdown: what a comment shows, and what it must not show."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.views.plan_markdown import plan_markdown

CHANGES = [
    {
        "action": "update",
        "row": 4,
        "key": {"number": "K-77"},
        "columns": [
            {"column": "city", "before": "Ulm", "after": "Bonn"},
            {"column": "fax", "before": None, "after": "0731"},
            {"column": "phone", "before": 5, "after": None},
        ],
    },
    {"action": "delete", "row": None, "key": {"number": "K-78"}, "columns": [{"column": "city", "before": "Rome"}]},
]
ERRORS = [{"type": "Max Length Violation", "column": "city", "count": 3, "message": "'Zanzibar' is too long"}]


def plan(**more: Any) -> dict[str, Any]:
    planned: dict[str, Any] = {"created": 1200, "updated": 1, "deleted": 1, "ignored": 0}
    planned |= {"source": {"processed": 1300, "rejected": 3, "filtered": 0}, "target": {}}
    return {
        "sync": "customers", "strategy": "full", "planned": planned, "violations": [], "notes": [],
        "checksum": "c" * 64, "sample": CHANGES, "errors": ERRORS, **more,
    }  # fmt: skip


def read(text: str) -> str:
    return html.unescape(text)


def test_a_comment_has_counts_examples_and_the_checksum() -> None:
    """Drops come first, and each column says whether it had a value and will have one."""
    shown = read(plan_markdown(plan()))
    assert "| create | 1,200 |" in shown
    assert "| rows rejected | 3 |" in shown
    assert "c" * 64 in shown
    assert "Max Length Violation" in shown
    examples = shown.partition("<details>")[2]
    lines = [line for line in examples.splitlines() if line.startswith(("| update", "| delete", "|  |"))]
    assert lines == [
        "| delete |  | <code>city</code> | ••• |  |",
        "| update | 4 | <code>city</code> | ••• | ••• |",
        "|  |  | <code>fax</code> |  | ••• |",
        "|  |  | <code>phone</code> | ••• |  |",
    ]


def test_values_keys_and_messages_are_shown_only_when_asked_for() -> None:
    """More people read a pull request than may see rows."""
    masked, shown = read(plan_markdown(plan())), read(plan_markdown(plan(), values=True))
    secret = ("Ulm", "Bonn", "Rome", "0731", "K-77", "K-78", "Zanzibar")
    assert not [each for each in secret if each in masked]
    assert not [each for each in secret if each not in shown]


def test_a_plan_that_is_refused_says_why() -> None:
    """With the limits and how far they are used."""
    limits = [
        {"name": "max_delete", "limit": "10%", "planned": 50, "most": 10, "of": 100},
        {"name": "max_update", "limit": "10%", "planned": 5, "most": None, "of": 5},
    ]
    shown = read(plan_markdown(plan(violations=["deletes 50 of 100 records"], about={"limits": limits})))
    assert "> **Refused as unsafe:** <code>deletes 50 of 100 records</code>" in shown
    assert "| <code>max_delete</code> | <code>10%</code> | 50 | 10 |" in shown
    assert "none below 10 records" in shown


@pytest.mark.parametrize("rows", [300, 100_000])
def test_a_comment_is_never_too_long_for_github(rows: int) -> None:
    """Examples go first, and the counts and the checksum always stay."""
    many = [{**ERRORS[0], "column": f"column_{number}"} for number in range(rows // 200)]
    text = plan_markdown(plan(sample=CHANGES * rows, errors=many), values=True)
    assert len(text) <= 20_000
    assert "c" * 64 in text
    assert "1,200" in text


@given(st.text(max_size=60))
def test_no_text_of_a_row_is_read_as_markdown(value: str) -> None:
    """It is in a code element as entities, in one cell: it makes no link, mention, picture, heading or further column."""
    change = {"action": "insert", "row": 1, "key": {"a": value}, "columns": [{"column": value, "after": value}]}
    text = plan_markdown(plan(sample=[change], errors=[], violations=[value], sync=value), values=True)
    (line,) = [line for line in text.splitlines() if line.startswith("| insert")]
    assert line.count("|") == 7
    for content in re.findall(r"<code>(.*?)</code>", text):
        assert re.fullmatch(r"(?:[^\W_]|[ ]|&#\d+;)*", content), content
