"""Take the pictures of the documentation from the console of the demo: light, 1200 pixels wide.

make console                                                                # leave it running
.venv/bin/python -m tests.tools.console_pictures http://127.0.0.1:8420/ docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from playwright.sync_api import Page, expect, sync_playwright

from tests.console.conftest import CHROMIUM

WIDTH: Final = 1200
HEIGHT: Final = 820
SYNC: Final = "customers"


def plan(page: Page, address: str) -> None:
    """Plan the sync of the demo, and go to the plan."""
    page.goto(f"{address}/syncs/{SYNC}/start?kind=plan")
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(page.get_by_role("heading", name=f"Plan of {SYNC}")).to_be_visible(timeout=60_000)
    page.get_by_role("heading", name="About this plan").wait_for()


def main() -> None:
    """Write `console-sync.png`, `console-plan.png` and `console-editor.png`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="of the console, such as http://127.0.0.1:8420/")
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    address = given.address.rstrip("/")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]) as browser,
    ):
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(f"{address}/syncs/{SYNC}")
        page.screenshot(path=given.folder / "console-sync.png", full_page=True)
        page.goto(f"{address}/syncs/{SYNC}/edit/mapping")
        page.screenshot(path=given.folder / "console-editor.png")
        plan(page, address)
        page.screenshot(path=given.folder / "console-plan.png")


if __name__ == "__main__":
    main()
