"""The page of a plan."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from shared.views.plan_page import plan_page

VOID = {"meta", "wbr", "br"}


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
        {"column": "revenue", "before": 5400000.0, "after": 12345.678},
    ]
    changes = [
        {"action": "update", "row": 4, "id": "i", "key": {"number": "A", "site": 7}, "columns": columns},
        {"action": "insert", "row": 5, "id": None, "key": {"number": "B"}, "columns": []},
    ]
    errors = [{"side": "source", "class": "Invalid Row", "type": "Duplicate Key", "column": "", "count": 2, "rows": [4, 9], "message": "m"}]  # fmt: skip
    text = read(plan_page(plan(sample=changes, errors=errors)))
    for shown in ("<b>x</b>", "1.5", "true", "5,400,000.00", "12,345.678", "A, 7", "4, 9", "Duplicate Key", "empty"):
        assert shown in text


ABOUT = {
    "environment": "org.crm.dynamics.com",
    "table": {"name": "account", "label": "Account"},
    "source": {"type": "delimited", "path": "inbox/customers.csv"},
    "parameters": {"region": "Ontario"},
    "at": "2026-11-26T08:30:00+01:00",
    "by": "ann on laptop",
    "limits": [
        {"name": "max_delete", "planned": 60, "limit": "30%", "most": 50, "of": 168},
        {"name": "max_update", "planned": 3, "limit": "100%", "most": None, "of": 3},
    ],
    "ignored": [{"count": 12, "why": "records without a valid row of the source: dropped is ignore"}],
    "filter": "active",
    "columns": {"category": {"label": "Category", "options": {"1": "Preferred", "2": "Standard"}}},
}


def change(action: str, **values: Any) -> dict[str, Any]:
    columns = [{"column": "category", "before": 2, "after": 1, **values}]
    return {"action": action, "row": 4, "id": None, "key": {"number": f"K-{action}"}, "columns": columns}


def test_an_approver_sees_where_from_what_when_and_by_whom() -> None:
    """Every fact that an approval is about, and the moment in UTC."""
    text = read(plan_page(plan(about=ABOUT)))
    for shown in ("org.crm.dynamics.com", "Account", "account", "delimited inbox/customers.csv", "region", "Ontario"):
        assert shown in text
    assert "2026-11-26 07:30 UTC by ann on laptop" in text


def test_the_distance_to_each_limit_is_shown() -> None:
    """A broken limit is marked; a share of fewer than ten records is not counted."""
    page = plan_page(plan(about=ABOUT))
    text = read(page)
    assert "60 of at most 50" in text
    assert "above the limit" in text
    assert "<span class='broken'>60" in page
    assert "allowed: a percentage applies from 10 records on" in text


def test_samples_of_every_kind_are_shown_and_deletes_come_first() -> None:
    """Each kind under its heading, with how many of how many are shown."""
    sample = [change("insert"), change("update"), change("delete", after=None), change("deactivate")]
    shown = plan(about=ABOUT, sample=sample)
    shown["planned"] |= {"created": 8800, "updated": 1, "deleted": 60, "deactivated": 1}
    text = read(plan_page(shown)).replace("\n", " ")
    places = [
        text.index(words)
        for words in ("To delete  1 of 60", "To deactivate  all shown", "To update  all shown", "To create  1 of 8,800")
    ]
    assert places == sorted(places)


def test_labels_stand_beside_logical_names_and_values() -> None:
    """A column has its display name, a choice its label; a deleted record shows no new values."""
    text = read(plan_page(plan(about=ABOUT, sample=[change("delete", after=None)])))
    assert "Category" in text
    assert "category" in text
    assert "2 Standard" in text
    assert "1 Preferred" not in text
    assert "After" not in text


def test_why_rows_are_ignored_is_reported() -> None:
    """With the number of each reason, and the filter of the source."""
    shown = plan(about=ABOUT)
    shown["planned"]["source"]["filtered"] = 7
    text = read(plan_page(shown))
    assert "records without a valid row of the source: dropped is ignore" in text
    assert "rows for which the filter is not true" in text
    assert "active" in text


def test_long_words_wrap_behind_the_signs_that_join_them() -> None:
    """A short word, such as a date format, stays whole."""
    page = plan_page(
        plan(
            about={**ABOUT, "filter": "", "parameters": {"a": "new_address_of_the_second_delivery", "b": "dd/MM/yyyy"}}
        )
    )
    assert "new_<wbr>address_<wbr>of_<wbr>the_<wbr>second_<wbr>delivery" in page
    assert "dd/MM/yyyy" in page
