"""A run is taken back in the console, and the history of a record is looked up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from playwright.sync_api import Page, expect

from shared.state import RunRecord
from tests.console.conftest import Served, World, pictures, violations
from tests.console.test_jobs_api import Client

RIGHTS = "permissions: {read: [Readers], execute: [Operators]}\n"


def looked_at(page: Page, name: str, folder: Path) -> None:
    """Pictures of a page, in which axe-core finds nothing."""
    assert violations(page) == []
    pictures(page, name, folder)


def test_a_run_is_taken_back_and_its_sync_resumed(page: Page, world: World, tmp_path: Path) -> None:
    """The page shows what the undo would do before anybody can begin it; what others have changed is left alone."""
    world.define("customers")
    world.app.run("customers")
    world.write("customers", [("customers-0", "Wrong"), ("customers-1", "Worse"), ("customers-7", "New")])
    run = world.app.run("customers")
    change(world, "customers-1", "Edited by a person")
    page.goto(f"/runs/{run.run_id}")
    looked_at(page, "run-undoable", tmp_path)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Take back run")).to_be_visible()
    expect(page.get_by_role("row", name="customers-0")).to_contain_text("Account 0")
    expect(page.get_by_role("row", name="customers-1")).to_contain_text("it keeps its value")
    expect(page.get_by_text("with them: child records")).to_be_visible()
    looked_at(page, "undo-plan", tmp_path)
    assert len(world.accounts()) == 3
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Take this run back").click()
    expect(page.get_by_role("heading", name="Run of customers Completed with errors")).to_be_visible()
    expect(page.get_by_text(re.compile("1 record was edited since"))).to_be_visible()
    expect(page.get_by_text("by Developer on this machine")).to_be_visible()
    expect(page.get_by_role("link", name=f"run {run.run_id[:8]}")).to_be_visible()
    looked_at(page, "undo-run", tmp_path)
    assert world.accounts() == {
        "customers-0": "Account 0",
        "customers-1": "Edited by a person",
        "customers-2": "Account 2",
    }
    page.goto("/syncs/customers")
    expect(page.get_by_text("Paused", exact=True)).to_be_visible()
    looked_at(page, "sync-paused", tmp_path)
    page.get_by_label("accountnumber").fill("customers-0")
    page.get_by_role("button", name="Show its history").click()
    expect(page.get_by_role("heading", name="What happened to customers-0")).to_be_visible()
    expect(page.get_by_role("rowgroup").filter(has_text="Wrong").first).to_contain_text("Account 0")
    looked_at(page, "history", tmp_path)
    page.goto("/syncs/customers")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("Paused", exact=True)).to_have_count(0)
    expect(page).to_have_url(re.compile("/syncs/customers$"))
    assert world.app.run("customers").exit_code == 0


def change(world: World, number: str, name: str) -> None:
    """Rename an account as somebody else."""
    headers = {"Authorization": f"Bearer {world.emulator.token()}"}
    url = f"{world.emulator.service_url}accounts?$select=accountid&$filter=accountnumber eq '{number}'"
    (found,) = requests.get(url, headers=headers, timeout=10).json()["value"]
    one = f"{world.emulator.service_url}accounts({found['accountid']})"
    requests.patch(one, json={"name": name}, headers=headers, timeout=10).raise_for_status()


def test_a_run_is_taken_back_over_http(served_to_many: Served, world: World) -> None:
    """Who may not read sees no value, and who may not execute takes nothing back."""
    world.define("customers", more=RIGHTS)
    run = world.app.run("customers").run_id
    reader, operator = Client(served_to_many, "Readers"), Client(served_to_many, "Operators")
    reader.post(f"/runs/{run}/undo", 403)
    operator.get("/syncs/customers/history?key=customers-0", 403)
    asked = operator.post(f"/runs/{run}/undo-plan", json={"force": True})
    plan = operator.ended(asked["id"])["plan"].removeprefix("/api")
    masked, whole = operator.get(plan), reader.get(plan)
    assert (whole["run"], whole["force"], whole["plan"]["planned"]["delete"]) == (run, True, 3)
    assert "Account 0" in json.dumps(whole)
    assert "customers-" not in json.dumps(masked["plan"]["sample"])
    assert not any(f"Account {number}" in json.dumps(masked) for number in range(3))
    undone = operator.ended(operator.post(f"/runs/{run}/undo")["id"])
    assert (undone["state"], undone["kind"], undone["of"], world.accounts()) == ("Succeeded", "undo", run, {})
    assert reader.get("/syncs/customers/history?key=customers-0")["history"][0]["action"] == "delete"
    reader.get("/syncs/customers/history", 422)
    reader.get("/syncs/customers/history?key=+", 422)
    said = reader.get("/syncs/customers/history?key=&key=Ulm", 422)["detail"]
    assert "value 1 of the key is empty" in said
    refused = operator.post("/syncs/customers/jobs", 422)
    assert "is paused" in refused["detail"]
    again = operator.post(f"/runs/{run}/undo-plan")["id"]
    assert operator.get(operator.ended(again)["plan"].removeprefix("/api"))["plan"]["planned"]["delete"] == 0


def test_a_run_that_cannot_be_taken_back_says_why(served: Served, world: World) -> None:
    """On its page, and where it is asked for."""
    world.define("customers")
    world.app.run("customers")
    run = world.app.run("customers").run_id
    refused = Client(served).post(f"/runs/{run}/undo-plan", 422)
    assert "there is nothing to undo" in refused["detail"]
    text = requests.get(f"{served.url}/runs/{run}", timeout=10).text
    assert "there is nothing to undo" in text
    assert "Undo…" not in text
    origin = {"origin": served.url}
    unsure = requests.post(f"{served.url}/runs/{run}/undo", data={}, headers=origin, timeout=10)
    assert (unsure.status_code, "Say that you are sure" in unsure.text) == (422, True)
    assert world.app.state.open_jobs() == ()


def test_what_a_mirror_has_saved_is_said_in_words(served: Served, world: World) -> None:
    """On the page of the run, and of the sync with the latest comparison."""
    world.define("customers")
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace("  entity: account\n", "  entity: account\n  mirror: true\n"))
    whole = {"read": "whole", "reason": "mirror_verify_every has passed", "changed": 0, "removed": 0, "difference": 2}
    changes = {"read": "changes", "reason": "", "changed": 12, "removed": 3, "difference": None}
    now = datetime.now(UTC)
    for run_id, days, mirror in (("older", 3, whole), ("newer", 1, changes), ("failed", 0, None)):
        moment = now - timedelta(days=days)
        counts = {"strategy": "full", "mirror": mirror}
        row = RunRecord(
            run_id=run_id, sync="customers", version="1", trigger="timer", state="Succeeded", started=moment
        )
        world.app.state.begin_run(replace(row, ended=moment, counts=counts))
    run = requests.get(f"{served.url}/runs/newer", timeout=10).text
    assert "12 records read again, 3 removed" in run
    sync = re.sub(r"<[^>]+>", "", requests.get(f"{served.url}/syncs/customers", timeout=10).text)
    assert "12 records read again, 3 removed, 1 day ago." in sync
    assert "Last compared with the table 3 days ago: 2 records differed." in sync
