"""Jobs, runs and plans in a browser: start and follow, cancel, plan and apply, mend and retry."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from playwright.sync_api import Page, expect

from shared.app import App
from shared.jobs import noted_progress
from shared.jobs.batch import cancelling
from shared.settings import Settings
from shared.state import RunRecord
from tests.console.conftest import Served, World, console_of, pictures, serving, violations
from tests.quick_clock import HeldClock
from tests.waiting import held_creates, until_true

PARAMETERS = """
parameters:
  region: {default: North, description: Rows of this region are read}
  day: {formula: NOW(), description: The day that is read}
  most: {default: 100}
  all: {default: true}
  key: {formula: SECRET('partner-key')}
"""


def looked_at(page: Page, name: str, folder: Path) -> None:
    """Pictures of a page, in which axe-core finds nothing."""
    assert violations(page) == []
    pictures(page, name, folder)


def test_a_job_is_started_and_followed_to_its_end(page: Page, world: World, tmp_path: Path) -> None:
    """The form has the parameters with their defaults; the page of the job becomes that of its run."""
    world.define("customers", more=PARAMETERS)
    page.goto("/syncs/customers/start")
    expect(page.get_by_label("region")).to_have_value("North")
    expect(page.get_by_text("the moment at which the run starts")).to_be_visible()
    looked_at(page, "job-start", tmp_path)
    page.get_by_label("most").fill("5")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible()
    expect(page).to_have_url(re.compile("/runs/"))
    expect(page.get_by_text("by Developer on this machine")).to_be_visible()
    assert len(world.accounts()) == 3
    (run,) = world.app.state.runs("customers")
    assert (run.given, run.trigger) == ({"most": "5"}, "job")
    looked_at(page, "run-succeeded", tmp_path)
    page.goto("/jobs?state=successful")
    expect(page.get_by_role("row", name="customers")).to_contain_text("Succeeded")
    looked_at(page, "jobs-successful", tmp_path)


def with_a_file(world: World, name: str = "customers", more: str = "") -> None:
    """A sync whose source is the parameter `rows`, which has no default."""
    world.define(name, more=f"parameters: {{rows: {{description: The file that is read}}}}\n{more}")
    file = world.folder / "syncs" / f"{name}.yaml"
    file.write_text(file.read_text().replace(f"path: {world.folder / name}.csv", 'path: "@rows"'))


def with_contacts_as_source(world: World, rows: int) -> None:
    """Let the sync read contacts of a Dataverse."""
    file = world.folder / "syncs" / "customers.yaml"
    definition = yaml.safe_load(file.read_text())
    environment = {key: definition["destination"][key] for key in ("service_url", "client_id", "client_secret")}
    columns = [{"name": "employeeid", "alias": "number", "mandatory": True}, {"name": "lastname", "alias": "name"}]
    definition["source"] = {"type": "dynamics", "entity": "contact", "columns": columns} | environment
    file.write_text(yaml.safe_dump(definition))
    targets = [
        {"@odata.type": "Microsoft.Dynamics.CRM.contact", "employeeid": f"customers-{number}", "lastname": f"Account {number}"}
        for number in range(rows)
    ]  # fmt: skip
    url = f"{world.emulator.service_url}contacts/Microsoft.Dynamics.CRM.CreateMultiple"
    headers = {"Authorization": f"Bearer {world.emulator.token()}"}
    requests.post(url, json={"Targets": targets}, headers=headers, timeout=60).raise_for_status()


def test_a_job_is_started_with_a_file(page: Page, world: World, tmp_path: Path) -> None:
    """The path of the source is a parameter: the file is kept beside the definitions, and its path is the value."""
    with_a_file(world)
    file = tmp_path / "given rows.csv"
    file.write_text("number,name\ncustomers-7,Seven\n")
    page.goto("/syncs/customers/start")
    page.get_by_label("rows: or a file of this machine").set_input_files(file)
    looked_at(page, "job-start-file", tmp_path)
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible()
    assert world.accounts() == {"customers-7": "Seven"}
    (run,) = world.app.state.runs("customers")
    assert run.given == {"rows": str(world.folder / "syncs" / "data" / "given_rows.csv")}
    actions = [entry.action for entry in world.app.state.audit("customers")]
    assert actions == ["asked for a run", "gave the file given_rows.csv"]


def test_a_job_needs_the_file_or_its_path(served: Served, world: World) -> None:
    """Without either, or with an empty file, the form says so, and nothing is started."""
    with_a_file(world)
    url, origin = f"{served.url}/syncs/customers/jobs", {"origin": served.url}
    for file, said in ((None, "Parameter rows: "), (("x.csv", b""), "Choose a file that is not empty")):
        form: dict[str, Any] = {"kind": (None, "run"), "p.rows": (None, "")} | ({"upload": file} if file else {})
        answer = requests.post(url, files=form, headers=origin, timeout=10)
        assert (answer.status_code, said in answer.text) == (422, True)
    assert world.app.state.open_jobs() == ()


def test_a_file_is_kept_beside_a_single_definition(world: World) -> None:
    """The definitions may be one file instead of a folder."""
    with_a_file(world)
    definition = world.folder / "syncs" / "customers.yaml"
    variables = {**world.variables, "SYNC_DEFINITIONS": str(definition)}
    app = App(Settings.load(variables), read_environment=lambda: variables)
    with console_of(app) as console, serving(console) as served:
        form: dict[str, Any] = {
            "kind": (None, "plan"),
            "p.rows": (None, ""),
            "upload": ("given.csv", b"number,name\n1,One\n"),
        }
        url, origin = f"{served.url}/syncs/customers/jobs", {"origin": served.url}
        assert requests.post(url, files=form, headers=origin, timeout=30).status_code == 200
    app.state.close()
    assert (definition.parent / "data" / "given.csv").is_file()


def test_a_value_that_cannot_be_used_is_said_on_the_form(served: Served, world: World) -> None:
    """What was typed stays, and nothing is started."""
    world.define("customers", more="parameters: {size: {default: 1.5}}\n")
    form, origin = {"p.size": "many", "kind": "plan"}, {"origin": served.url}
    answer = requests.post(f"{served.url}/syncs/customers/jobs", data=form, headers=origin, timeout=10)
    assert answer.status_code == 422
    assert "Parameter size: its default is a number, but the given text is not" in answer.text
    assert 'value="many"' in answer.text
    assert world.app.state.open_jobs() == ()


def test_a_job_has_the_defaults_that_nobody_has_touched(page: Page, world: World) -> None:
    """Also those with line breaks, which a field of one line would drop, and characters that a page cannot have."""
    other = r'other: {default: "c\r\nd"}, q: {default: "\x92"}'
    more = rf'parameters: {{lines: {{default: "a\nb\n"}}, blank: {{default: " "}}, {other}}}'
    world.define("customers", more=f"{more}\n")
    page.goto("/syncs/customers/start")
    page.get_by_label("other").fill("e\nf")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible(timeout=30_000)
    (run,) = world.app.state.runs("customers")
    assert dict(run.parameters) == {"lines": "a\nb\n", "blank": " ", "other": "e\nf", "q": "\x92"}


def test_a_running_job_shows_its_progress_and_is_cancelled(
    page: Page, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops between two requests: what was written stays, and the page says by whom."""
    monkeypatch.setattr(cancelling, "LOOK_SECONDS", 0)
    monkeypatch.setattr(noted_progress, "SECONDS", 0)
    world.define("customers", rows=8000)
    with held_creates(world.emulator):
        page.goto("/syncs/customers/start")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_text(re.compile(r"Writing: [\d,]+ of 8,000 rows"))).to_be_visible()
        looked_at(page, "run-running", tmp_path)
        page.goto("/jobs")
        expect(page.get_by_role("row", name="customers")).to_contain_text("Writing")
        looked_at(page, "jobs-active", tmp_path)
        page.get_by_role("button", name="Cancel customers").click()
        until_true(lambda: world.app.state.cancelled_by(world.app.state.runs("customers")[0].run_id) is not None)
    expect(page.get_by_role("heading", name="Run of customers Cancelled")).to_be_visible()
    expect(page.get_by_text("cancelled by Developer on this machine")).to_be_visible()
    assert 0 < len(world.accounts()) < 8000


@pytest.mark.parametrize(("method", "path"), [("POST", "CreateMultiple"), ("GET", "accounts"), ("GET", "contacts")])
def test_a_throttled_run_says_how_long_it_waits(
    page: Page, served: Served, world: World, tmp_path: Path, method: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it reads its source or the table and while it writes, on its page and to programs; afterwards the number stays."""
    clock = HeldClock()
    monkeypatch.setattr("shared.dataverse.client.SystemClock", lambda: clock)
    world.define("customers", rows=300)
    if path == "contacts":
        with_contacts_as_source(world, 300)
    throttled = {"action": "status", "status": 429, "retry_after": 100}
    world.emulator.faults(throttled | {"match": {"method": method, "path": path}, "times": 1})
    page.goto("/syncs/customers/start")
    page.get_by_role("button", name="Run").click()
    said = page.get_by_text(
        re.compile(r"1 request was throttled so far. The next one waits until 20..-..-.. ..:..:.. UTC")
    )
    expect(said).to_be_visible()
    looked_at(page, f"run-throttled-{method.lower()}", tmp_path)
    (job,) = requests.get(f"{served.url}/api/jobs?state=active", timeout=10).json()["jobs"]
    assert job["progress"]["throttled"] == 1
    assert job["progress"]["waits_until"].startswith("20")
    clock.release()
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible()
    assert len(world.accounts()) == 300
    (run,) = world.app.state.runs("customers")
    assert run.counts["throttled"] == 1


def test_a_plan_is_looked_at_and_applied_once(page: Page, world: World, tmp_path: Path) -> None:
    """Exactly what it shows is written, and its page says which run did it."""
    world.define("customers")
    world.app.run("customers")
    world.write("customers", [("customers-0", "New name"), ("customers-1", "Account 1"), ("customers-9", "Nine")])
    page.goto("/syncs/customers/start")
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("heading", name="Plan of customers")).to_be_visible()
    expect(page).to_have_url(re.compile("/plans/"))
    expect(page.get_by_role("row", name="customers-0")).to_contain_text("New name")
    looked_at(page, "plan", tmp_path)
    plan = page.url
    page.get_by_role("button", name="Apply exactly this plan").click()
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible()
    assert world.accounts() == {"customers-0": "New name", "customers-1": "Account 1", "customers-9": "Nine"}
    page.goto("/jobs?state=plans")
    looked_at(page, "jobs-plans", tmp_path)
    page.get_by_role("row", name="customers").get_by_role("link").click()
    expect(page).to_have_url(plan)
    expect(page.get_by_text("This plan was applied")).to_be_visible()
    expect(page.get_by_role("button", name="Apply exactly this plan")).to_have_count(0)


def test_a_plan_is_refused_when_the_target_moved(page: Page, world: World, tmp_path: Path) -> None:
    """The page of the run says so, and leads to a new plan."""
    world.define("customers")
    page.goto("/syncs/customers/start")
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("button", name="Apply exactly this plan")).to_be_visible()
    world.app.run("customers")
    before = world.accounts()
    page.get_by_role("button", name="Apply exactly this plan").click()
    expect(page.get_by_role("heading", name="Run of customers Refused")).to_be_visible()
    expect(page.get_by_text("source, target or definition changed since the plan was made")).to_be_visible()
    looked_at(page, "run-refused", tmp_path)
    assert world.accounts() == before
    page.get_by_role("button", name="Make a new plan").click()
    expect(page.get_by_text("There is nothing to write.")).to_be_visible()


def test_a_plan_that_breaks_a_limit_is_applied_after_a_second_look(page: Page, world: World, tmp_path: Path) -> None:
    """The button is off and says why; another page asks first."""
    world.define("customers")
    world.app.run("customers")
    world.write("customers", [])
    page.goto("/syncs/customers/start")
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("heading", name="A run would refuse this plan as unsafe")).to_be_visible()
    expect(page.get_by_role("button", name="Apply exactly this plan")).to_be_disabled()
    looked_at(page, "plan-unsafe", tmp_path)
    page.get_by_role("link", name="Apply anyway").click()
    looked_at(page, "plan-confirm", tmp_path)
    page.get_by_role("button", name="Apply it and override the limits").click()
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible()
    assert world.accounts() == {}


def test_a_rejected_row_is_mended_and_retried(page: Page, world: World, tmp_path: Path) -> None:
    """Download the file, correct it, send it: the row is written and leaves the list."""
    world.define("customers")
    world.write("customers", [("customers-1", "One"), ("", "=No number")])
    world.app.run("customers")
    (run,) = world.app.state.runs("customers")
    page.goto(f"/runs/{run.run_id}")
    expect(page.get_by_text("1 row is left to mend")).to_be_visible()
    looked_at(page, "run-errors", tmp_path)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file to mend").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert '"=No number"' in file.read_text()  # as the source has it: the file is read again
    file.write_text(file.read_text().replace('"","=No number"', '"customers-2","Two"'))
    page.get_by_label("Send the mended file").set_input_files(file)
    page.get_by_role("button", name="Retry these rows").click()
    expect(page.get_by_role("heading", name="Run of customers Succeeded")).to_be_visible()
    assert world.accounts() == {"customers-1": "One", "customers-2": "Two"}
    page.get_by_role("link", name=f"run {run.run_id[:8]}").first.click()
    expect(page.get_by_text("No row is left to mend")).to_be_visible()


def test_where_nothing_runs_the_page_says_what_to_do(page: Page, world: World, tmp_path: Path) -> None:
    """Each of the three lists."""
    for state, said in (
        ("successful", "No run succeeded yet"),
        ("failed", "No run failed"),
        ("plans", "No plan yet"),
        ("active", "Nothing is running"),
    ):
        page.goto(f"/jobs?state={state}")
        expect(page.get_by_text(said)).to_be_visible()
        assert violations(page) == []
    expect(page.get_by_role("link", name="Choose a sync to start")).to_be_visible()
    pictures(page, "jobs-empty", tmp_path)


def test_a_long_value_leaves_the_words_beside_it_whole(page: Page, world: World) -> None:
    """A value without blanks is broken anywhere; names of columns and `empty` are not, in windows that have tables."""
    world.define("customers", rows=0)
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace(", max_length: 160", "").replace("target: name}", "target: description}"))
    world.write("customers", [("customers-1", "")])
    world.app.run("customers")
    world.write("customers", [("customers-1", "x" * 1_900)])
    page.goto("/syncs/customers/start")
    page.get_by_role("button", name="Plan", exact=True).click()
    words = page.locator(".changes :is(code, .quiet:not(.sub))")
    expect(words.first).to_be_visible()
    assert {*words.all_inner_texts()} >= {"description", "empty"}
    for width in (1200, 800):
        page.set_viewport_size({"width": width, "height": 900})
        assert words.evaluate_all("all => all.filter(each => each.getClientRects().length > 1).length") == 0, width
    page.set_viewport_size({"width": 360, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_enter_in_a_field_of_the_form_plans_and_writes_nothing(page: Page, world: World) -> None:
    """Whichever link led to the form: the first button of a form is what Enter presses."""
    world.define("customers", more="parameters:\n  note: {default: a}\n")
    page.goto("/syncs/customers")
    page.get_by_role("link", name="Plan", exact=True).click()
    expect(page.get_by_role("button", name="Plan", exact=True)).to_have_class("primary")
    page.get_by_label("note").press("Enter")
    expect(page.get_by_role("heading", name="Plan of customers")).to_be_visible()
    assert [job.request.kind for job in world.app.state.jobs()] == ["plan"]
    assert not world.accounts()


def test_a_list_that_renews_itself_moves_the_keyboard_to_no_other_job(page: Page, world: World) -> None:
    """Enter would cancel it. The place stays with its job, and is on no button when that has ended."""
    state, now = world.app.state, datetime.now(UTC)
    runs = {name: begun(name, now - timedelta(minutes=age)) for age, name in enumerate(("newest", "mine", "oldest"))}
    for name, run in runs.items():
        world.define(name, rows=0)
        assert state.acquire_lease(f"sync/{name}", holder=name, seconds=600)
        if name != "newest":
            state.begin_run(run)
    page.goto("/jobs")
    mine = page.get_by_role("button", name="Cancel mine")
    mine.focus()
    state.begin_run(runs["newest"])
    expect(page.get_by_role("button", name="Cancel newest")).to_be_visible()
    expect(mine).to_be_focused()
    state.finish_run(replace(runs["mine"], state="Succeeded", ended=now))
    expect(mine).to_have_count(0)
    assert page.evaluate("() => document.activeElement.id") == "live"
    page.keyboard.press("Enter")
    assert [run.state for run in state.runs(None, 10) if run.sync != "mine"] == ["Running", "Running"]


def begun(sync: str, started: datetime) -> RunRecord:
    """A run of the command line that goes on."""
    return RunRecord(run_id=sync, sync=sync, version="", trigger="command", state="Running", started=started, counts={})
