"""What people do without thinking: click twice, go back, keep a page open while something is taken away."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from shared.state import JobRequest, RunState
from tests.console.conftest import Served, World, principal
from tests.console.test_hostile import NOW


@pytest.fixture
def context(browser: Browser, served_to_many: Served) -> Iterator[BrowserContext]:
    """A browser of a person who may do everything."""
    made = browser.new_context(
        base_url=served_to_many.url, extra_http_headers={"X-MS-CLIENT-PRINCIPAL": principal("Sync.Admin")}
    )
    made.set_default_timeout(15_000)
    yield made
    made.close()


def click_twice(page: Page, name: str) -> None:
    """Click a button again as soon as its form is on the way."""
    button = page.get_by_role("button", name=name, exact=True)
    button.evaluate("each => { each.click(); setTimeout(() => each.click(), 30); }")


def test_a_button_that_is_clicked_twice_sends_its_form_once(page: Page, world: World) -> None:
    """A definition is saved once, one run is started, and one plan is applied."""
    world.define("customers")
    page.goto("/syncs/customers/edit")
    page.get_by_label("Description").fill("From the shop")
    click_twice(page, "Save")
    expect(page.get_by_role("status").first).to_contain_text("Saved")
    page.goto("/syncs/customers/start")
    click_twice(page, "Run")
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible(timeout=30_000)
    world.write("customers", [("customers-0", "New name")])
    page.goto("/syncs/customers/start")
    click_twice(page, "Plan")
    expect(page.get_by_role("heading", name="Plan of customers")).to_be_visible(timeout=30_000)
    click_twice(page, "Apply exactly this plan")
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible(timeout=30_000)
    assert [run.state for run in world.app.state.runs("customers")] == [RunState.SUCCEEDED] * 2
    actions = [entry.action for entry in world.app.state.audit("customers")]
    assert actions == ["asked to apply a plan", "asked for a plan", "asked for a run", "saved the definition"]


def test_a_page_that_renews_itself_says_when_a_right_was_taken_away(
    context: BrowserContext, world: World, served_to_many: Served
) -> None:
    """It does not go on showing what was there."""
    world.define("customers")
    world.app.state.request_job(JobRequest(id="1d" * 16, sync="customers", requested=NOW, trigger="timer"))
    page = context.new_page()
    page.goto(f"/jobs/{'1d' * 16}")
    expect(page.get_by_text("It waits for its turn")).to_be_visible()
    context.set_extra_http_headers({"X-MS-CLIENT-PRINCIPAL": principal("Others")})
    expect(page.get_by_role("heading", name="Not found")).to_be_visible(timeout=30_000)
    context.set_extra_http_headers({})
    page.goto("/")
    expect(page.get_by_role("heading", name="Not signed in")).to_be_visible()
    assert re.search("Sign in", page.locator("main").inner_text())


def test_what_is_printed_has_nothing_to_press(page: Page, world: World) -> None:
    """Neither buttons nor the frame; what the page says stays."""
    world.define("customers")
    page.goto("/syncs/customers")
    page.emulate_media(media="print")
    expect(page.get_by_role("heading", name="customers")).to_be_visible()
    expect(page.get_by_text("The definition has no mistake in itself.")).to_be_visible()
    seen = page.locator("button, .button, nav[aria-label=Main]").evaluate_all(
        "found => found.filter(each => each.checkVisibility()).length"
    )
    assert seen == 0
