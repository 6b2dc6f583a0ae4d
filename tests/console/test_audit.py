"""The audit log."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from console.audit.compared import difference
from console.audit.differences import differences, lines_of_diff
from shared.state import AuditEntry
from tests.console.conftest import Served, World, pictures, violations

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def entry(number: int, sync: str, **more: str) -> AuditEntry:
    """One that is older the higher its number."""
    at = NOW - timedelta(minutes=number)
    known = {"by": "ann-id", "name": "Ann", "action": "saved the definition"} | more
    return AuditEntry(id=f"{sync}{number}", at=at, sync=sync, **known)


def test_a_person_sees_the_entries_of_their_syncs(served_to_many: Served, world: World) -> None:
    """Those of no sync are for the administrator, and another sync's log does not exist."""
    world.define("ours", more="permissions: {write: [Writers]}\n")
    world.define("theirs")
    for number, sync in enumerate(["ours", "theirs", ""]):
        world.app.state.add_audit(entry(number, sync))

    def seen(*roles: str, **query: str) -> list[str]:
        session = served_to_many.as_person(*roles)
        answer = session.get(f"{served_to_many.url}/api/audit", params=query, timeout=10).json()
        return [each["sync"] for each in answer["entries"]] if "entries" in answer else [answer["title"]]

    assert seen("Writers") == ["ours"]
    assert seen("Others") == []
    assert seen("Sync.Admin") == ["ours", "theirs", ""]
    assert (seen("Writers", sync="theirs"), seen("Sync.Admin", sync="theirs")) == (["Not found"], ["theirs"])


def test_pages_have_every_entry_once(served: Served, world: World) -> None:
    """Each page says where the next one begins."""
    world.define("customers")
    for number in range(60):
        world.app.state.add_audit(entry(number, "customers"))
    found: list[str] = []
    query: dict[str, str] = {}
    for _ in range(3):
        answer = requests.get(f"{served.url}/api/audit", params=query, timeout=10).json()
        found += [each["id"] for each in answer["entries"]]
        query = {"before": answer["older"]}
    assert (found, answer["older"]) == ([f"customers{number}" for number in range(60)], None)
    page = requests.get(f"{served.url}/audit", timeout=10).text
    assert "Older entries" in page


@pytest.mark.parametrize("before", ["soon", "9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00"])
def test_a_page_that_begins_at_no_moment_is_refused(served: Served, before: str) -> None:
    """The answer says what a moment looks like."""
    answer = requests.get(f"{served.url}/api/audit", params={"before": before}, timeout=10)
    assert (answer.status_code, "2026-11-26T12:00:00Z" in answer.json()["detail"]) == (400, True)


def test_what_was_changed_is_shown_escaped_and_as_a_difference(served: Served, world: World) -> None:
    """Of a definition only the lines that differ, with a few around them."""
    before = "".join(f"line {number}\n" for number in range(100))
    after = before.replace("line 50\n", "<script>alert(1)</script>\n")
    world.app.state.add_audit(entry(1, "", before=before, after=after))
    page = requests.get(f"{served.url}/audit", timeout=10).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "line 51" in page
    assert "line 10\n" not in page


def test_differences_of_texts() -> None:
    """A line that went and one that came, whatever is around them; nothing is compared for long."""

    def said(before: str, after: str) -> list[tuple[str, str]]:
        return [(line.kind, line.text) for line in differences(before, after)]

    assert said("a\nb\nc", "a\nx\nc") == [("", "a"), ("was", "b"), ("will", "x"), ("", "c")]
    assert said("", "a") == [("will", "a")]
    assert said("a\n", "") == [("was", "a")]
    assert said("a\na", "a") == [("", "a"), ("was", "a")]
    assert said("same", "same") == [("", "same")]
    many = "\n".join(map(str, range(5000)))
    shown = said(many, many[::-1])
    assert (len(shown), shown[-1][1].endswith(" more lines")) == (301, True)
    assert said("a\nb\nc\nd\ne\nf\ng\nh\ni", "x\nb\nc\nd\ne\nf\ng\nh\ny") == [
        ("was", "a"), ("will", "x"), ("", "b"), ("", "c"), ("", "…"), ("", "g"), ("", "h"), ("was", "i"), ("will", "y"),
    ]  # fmt: skip


def test_the_lines_of_a_changed_definition_are_told_apart() -> None:
    """As the editor notes them; another text is none."""
    noted = difference("name: a\nold: 1\nsame: 2\n", "name: a\nnew: 1\nsame: 2\n")
    lines = lines_of_diff("\n".join(noted)) or ()
    assert [(line.kind, line.text) for line in lines] == [
        ("", "name: a"), ("was", "old: 1"), ("will", "new: 1"), ("", "same: 2"),
    ]  # fmt: skip
    assert lines_of_diff("- a list\n- of YAML") is None


def test_a_change_of_the_editor_is_shown_as_what_went_and_what_came(page: Page, world: World, tmp_path: Path) -> None:
    """And not as one new text."""
    world.define("customers", more="description: Old words\n")
    page.goto("/syncs/customers/edit/info")
    page.get_by_label("Description", exact=True).fill("New words")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.goto("/audit")
    page.get_by_text("Changed lines").click()
    expect(page.locator(".diff .was")).to_have_text(re.compile("Old words"))
    expect(page.locator(".diff .will")).to_have_text(re.compile("New words"))
    assert violations(page) == []
    pictures(page, "audit-definition", tmp_path)


def test_a_job_that_was_asked_for_is_a_link(served: Served, world: World) -> None:
    """With its parameters, escaped; what is no job is shown as it was written."""
    asked = {"job": "ab" * 16, "parameters": {"region": "<b>North</b>"}, "force": True}
    saved = ('{"job": ["x"]}', '{"job": "x", "parameters": [1]}', '{"job": "x", "parameters": null}')
    for number, after in enumerate((json.dumps(asked), '["job"]', "3", '{"job', *saved)):
        world.app.state.add_audit(entry(number, "", after=after))
    answer = requests.get(f"{served.url}/audit", timeout=10)
    answer.raise_for_status()
    text = answer.text
    assert (
        f'<a href="/jobs/{"ab" * 16}">Job {("ab" * 16)[:10]}</a> <code>@region = &lt;b&gt;North&lt;/b&gt;</code>'
        in text
    )
    assert "without the limits" in text
    assert ("[&#34;job&#34;]" in text, "{&#34;job" in text) == (True, True)
