"""Texts that a browser does not bring back as they were."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from console.editor.tabs import TABS, YAML, Tab
from tests.console.conftest import World

MORE = r"""description: "a\r\nb\rc\u2028d\u202ee\x07f\x7fg\x92h"
parameters:
  word: {default: "it\x92s"}
  lines: {default: "line1\nline2"}
  blanks: {default: " x "}
schedule: >
  0 0 6 * * *
"""
COLUMN = r"""    - name: name
      null_values: ["", " -", "N/A ", "n/a", "\x85"]
      replace: [{pattern: ";", with: "\n"}, {pattern: "\t", with: " "}, {pattern: "\0", with: "\r"}]
"""


@pytest.fixture
def file(world: World) -> Path:
    """The file of a sync with such texts."""
    world.define("customers", more=MORE)
    made = world.folder / "syncs" / "customers.yaml"
    text = made.read_text()
    assert text.count("    - {name: name, max_length: 160}\n") == 1
    made.write_text(text.replace("    - {name: name, max_length: 160}\n", COLUMN))
    return made


def show(page: Page, tab: Tab) -> None:
    """Go to another tab of the editor."""
    button = page.locator(f'div.tabs button[value="show:{tab.slug}"]')
    button.click()
    expect(button).to_have_attribute("aria-current", "page")


@pytest.mark.parametrize("make", ["plain", "marked", "windows", "mixed"])
def test_tabs_that_were_only_visited_change_nothing(page: Page, file: Path, make: str) -> None:
    """Byte for byte, with every line break, and with one byte order mark."""
    data = file.read_bytes()
    lines = data.splitlines(keepends=True)
    data = {
        "plain": data,
        "marked": b"\xef\xbb\xbf" + data,
        "windows": b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
        "mixed": b"".join([*(line.replace(b"\n", b"\r\n") for line in lines[:3]), *lines[3:]]),
    }[make]
    file.write_bytes(data)
    page.goto("/syncs/customers/edit")
    for tab in (*TABS, YAML, TABS[0], YAML):
        show(page, tab)
    show(page, TABS[0])
    page.get_by_label("Version").fill("2.0.0")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    saved = file.read_bytes()
    added = [line for line in saved.splitlines(keepends=True) if line.startswith(b"version: 2.0.0")]
    assert len(added) == 1
    assert saved.replace(added[0], b"", 1) == data


def test_an_edit_of_the_yaml_keeps_one_byte_order_mark(page: Page, file: Path) -> None:
    """And the definition can be opened again."""
    data = b"\xef\xbb\xbf" + file.read_bytes()
    file.write_bytes(data)
    for number in range(2):
        page.goto("/syncs/customers/edit/yaml")
        area = page.locator("textarea[name=_yaml]")
        area.fill(area.input_value() + f"# {number}\n")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("status").first).to_contain_text("Saved")
    assert file.read_bytes() == data + b"# 0\n# 1\n"


def test_back_does_not_put_former_values_into_a_newer_form(page: Page, file: Path) -> None:
    """A browser asks for the page again, so the text and its version are new; what was typed before is not restored."""
    page.goto("/syncs/customers/edit/yaml")
    area = page.locator("textarea[name=_yaml]")
    area.fill(area.input_value() + "# mine\n")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    file.write_bytes(file.read_bytes() + b"# theirs\n")
    page.go_back()
    expect(area).to_have_value(re.compile("# theirs"))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_be_visible()
    assert file.read_bytes().endswith(b"# mine\n# theirs\n")


def test_back_does_not_put_former_values_into_other_rows(page: Page, file: Path) -> None:
    """Rows of a form are told apart by their places, and a column has another place after it was moved."""
    page.goto("/syncs/customers/edit/columns")
    before = [box.is_checked() for box in page.get_by_label("Trim").all()]
    page.get_by_label("Trim").first.click()
    page.get_by_role("button", name=re.compile("^Move .* down")).first.click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    saved = file.read_bytes()
    page.goto("/syncs/customers/edit/columns")
    shown = [box.is_checked() for box in page.get_by_label("Trim").all()]
    page.go_back()
    assert [box.is_checked() for box in page.get_by_label("Trim").all()] == shown != before
    assert file.read_bytes() == saved
