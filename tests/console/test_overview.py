"""The first page tells in one look whether everything is in step."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.console.conftest import World, pictures, violations


def test_an_empty_folder_says_what_to_do_next(page: Page, world: World, tmp_path: Path) -> None:
    """There is a button for the first sync."""
    page.goto("/")
    expect(page.get_by_text("No sync yet")).to_be_visible()
    expect(page.get_by_role("link", name="Make the first one")).to_be_visible()
    assert violations(page) == []
    pictures(page, "overview-empty", tmp_path)


def test_each_sync_has_a_line_and_what_needs_a_person_comes_first(page: Page, world: World, tmp_path: Path) -> None:
    """A run that failed is named at the top."""
    world.define("customers")
    world.define("broken", more="nonsense: true\n")
    world.app.run("customers")
    page.goto("/")
    expect(page.get_by_role("row", name="customers")).to_contain_text("Succeeded")
    expect(page.get_by_role("heading", name="1 thing needs a person")).to_be_visible()
    assert violations(page) == []
    pictures(page, "overview", tmp_path)
