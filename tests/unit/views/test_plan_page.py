"""The page of a plan."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from shared.views.plan_page import plan_page

VOID = {"meta"}


class Nesting(HTMLParser):
    """Fails on a tag that is closed out of order or not at all, and collects the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID and tag != "p":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "p":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def plan(**more: Any) -> dict[str, Any]:
    counts = dict.fromkeys(("created", "updated", "deleted", "expired", "upserted", "unchanged", "ignored"), 0)
    sides = {"source": {"processed": 1234567}, "target": {}}
    return {
        "sync": "a<b", "strategy": "full", "planned": counts | sides, "violations": [], "checksum": "c" * 64,
        "sample": [], "errors": [], **more,
    }  # fmt: skip


def read(page: str) -> str:
    nesting = Nesting()
    nesting.feed(page)
    assert nesting.open == []
    return "\n".join(nesting.texts)


def test_an_empty_plan_is_a_whole_page() -> None:
    """Well-formed, titled, with figures that people can read."""
    text = read(plan_page(plan()))
    assert "Plan of a<b" in text
    assert "1,234,567" in text
    assert "Changes" not in text
    assert "Errors" not in text


def test_values_of_every_kind_are_shown_and_escaped() -> None:
    """Text as it is, numbers and truth as JSON, null as nothing; markup stays text."""
    columns = [
        {"column": "name", "before": "<b>x</b>", "after": None},
        {"column": "size", "before": 1.5, "after": True},
    ]
    changes = [
        {"action": "update", "row": 4, "id": "i", "key": {"number": "A", "site": 7}, "columns": columns},
        {"action": "insert", "row": 5, "id": None, "key": {"number": "B"}, "columns": []},
    ]
    errors = [{"side": "source", "class": "Invalid Row", "type": "Duplicate Key", "column": "", "count": 2, "rows": [4, 9], "message": "m"}]  # fmt: skip
    text = read(plan_page(plan(sample=changes, errors=errors)))
    for shown in ("<b>x</b>", "1.5", "true", "A, 7", "4, 9", "Duplicate Key"):
        assert shown in text
