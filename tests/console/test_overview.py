"""The first page tells in one look which syncs need a person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from console.access.person import DEVELOPER, SignIn
from console.console import Console
from shared.app import App
from shared.state import JobRequest, RunRecord
from shared.state.azure import AzureStateStore
from tests.console.conftest import LISTENER, Served, World, always_later, pictures, serving, unreachable, violations
from tests.state_requests import requests_to


def test_an_empty_folder_says_what_to_do_next(page: Page, world: World, tmp_path: Path) -> None:
    """There is a button for the first sync."""
    page.goto("/")
    expect(page.get_by_text("No sync yet")).to_be_visible()
    expect(page.get_by_role("link", name="Make the first one")).to_be_visible()
    assert violations(page) == []
    pictures(page, "overview-empty", tmp_path)


def test_each_sync_has_a_line_and_what_needs_a_person_comes_first(page: Page, world: World, tmp_path: Path) -> None:
    """What needs a person is named at the top, with the page where it is dealt with; a name narrows the list."""
    world.define("customers")
    world.define("contacts")
    world.define("broken", more="nonsense: true\n")
    world.app.run("customers")
    page.goto("/")
    expect(page.get_by_role("row", name="customers")).to_contain_text("Succeeded")
    expect(page.get_by_role("heading", name="1 thing needs a person")).to_be_visible()
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "overview", tmp_path)
    page.get_by_label("Name").fill("Cust")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row")).to_have_count(2)
    page.goto("/?show=needs")
    expect(page.get_by_role("row", name="broken")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("link", name="See the mistakes").click()
    expect(page.get_by_text("nonsense")).to_be_visible()
    page.goto("/?q=nothing-like-it")
    expect(page.get_by_text("No sync is like that")).to_be_visible()


@pytest.mark.parametrize("another_waits", [False, True])
def test_a_run_that_is_under_way_shows_its_phase(served: Served, world: World, another_waits: object) -> None:
    """Also while another job of the sync waits for it. And a sync whose run was asked for is queued."""
    world.define("customers")
    world.define("contacts")
    state, now = world.app.state, datetime.now(UTC)
    run = RunRecord(run_id="r", sync="customers", version="1", trigger="job", state="Running", started=now)
    state.begin_run(run)
    assert state.acquire_lease("sync/customers", holder="r", seconds=60)
    state.note_progress("r", {"phase": "writing"})
    state.request_job(JobRequest(id="j", sync="contacts", requested=now))
    if another_waits:
        state.request_job(JobRequest(id="k", sync="customers", requested=now))
    text = requests.get(served.url, timeout=10).text
    of_contacts, of_customers = (text.split(f'<a href="/syncs/{name}">')[1] for name in ("contacts", "customers"))
    assert "Queued" in of_contacts.split("</tr>")[0]
    row = of_customers.split("</tr>")[0]
    said = ["Running", "writing"] + (["another one is queued"] if another_waits else [])
    assert [each for each in ("Running", "writing", "Queued", "another one is queued") if each in row] == said
    contacts, customers = requests.get(f"{served.url}/api/status", timeout=10).json()["syncs"]
    listed = requests.get(f"{served.url}/api/syncs", params={"q": "cust"}, timeout=10).json()["syncs"]
    assert [sync["sync"] for sync in listed] == ["customers"]
    assert (customers["state"], customers["phase"], contacts["waits"]) == ("Running", "writing", True)
    assert customers["waits"] is another_waits


@pytest.mark.parametrize("store", ["sqlite", pytest.param("azure", marks=pytest.mark.azurite)])
def test_the_requests_to_the_store_do_not_grow_with_the_syncs(
    store: str, world: World, request: pytest.FixtureRequest
) -> None:
    """Neither those of the first page nor those of the page of listeners and the audit log."""
    account = request.getfixturevalue("storage_account") if store == "azure" else ""
    azure = AzureStateStore.by_connection_string(account) if account else None
    app = App(
        world.app.settings,
        state=azure or world.app.state,
        read_environment=lambda: world.variables,
        clock=always_later(),
    )
    counts, paths = [], ("/", "/real-time", "/audit")
    with serving(Console(app=app, sign_in=SignIn({}, DEVELOPER), wake=print)) as served:
        for many in (range(6), range(6, 16)):  # a few syncs are asked for apart
            for number in many:
                world.define(f"sync-{number}", more=LISTENER)
                app.state.begin_run(_ended(f"r{number}", f"sync-{number}", trigger="timer"))
                app.state.begin_run(_ended(f"e{number}", f"sync-{number}", trigger="events"))
            for path in paths:  # what an older version did not write is looked up once
                requests.get(f"{served.url}{path}", timeout=30)
            with requests_to(app.state) as asked:
                assert [requests.get(f"{served.url}{path}", timeout=30).status_code for path in paths] == [200] * 3
            counts.append(len(asked))
    assert counts[0] == counts[1] > 0
    if azure is not None:
        azure.close()


def _ended(run_id: str, sync: str, *, trigger: str) -> RunRecord:
    now = datetime.now(UTC)
    return RunRecord(
        run_id=run_id, sync=sync, version="1", trigger=trigger, state="Completed with errors", started=now, ended=now,
    )  # fmt: skip
