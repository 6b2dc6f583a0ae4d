"""Jobs, runs and plans over HTTP: what programs and people with few rights get."""

from __future__ import annotations

import html
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from shared.app import App
from shared.jobs import RunOptions
from shared.settings import Settings
from shared.state import AuditEntry, RunRecord
from tests.console.conftest import Served, World, console_of, serving

RIGHTS = "permissions: {read: [Readers, Both], execute: [Operators, Both]}\n"


class Client:
    """Calls the API as a person with some app roles; None for whoever sits at the machine."""

    def __init__(self, served: Served, *roles: str) -> None:
        self._url = f"{served.url}/api"
        self._session = served.as_person(*roles) if roles else requests.Session()

    def get(self, path: str, status: int = 200) -> Any:
        """The JSON of an answer."""
        return self._checked(self._session.get(f"{self._url}{path}", timeout=60), status)

    def post(self, path: str, status: int = 202, **body: Any) -> Any:
        """The JSON of an answer to a post; without a body it is an empty object."""
        body = body or {"json": {}}
        return self._checked(self._session.post(f"{self._url}{path}", timeout=60, **body), status)

    def raw(self, path: str) -> requests.Response:
        """An answer as it is."""
        return self._session.get(f"{self._url}{path}", timeout=60)

    def ended(self, job: str) -> Any:
        """A job, when it has ended."""
        return until(lambda: found if (found := self.get(f"/jobs/{job}"))["ended"] else None)

    def planned(self, sync: str) -> str:
        """The id of a job that has planned."""
        return str(self.ended(self.post(f"/syncs/{sync}/jobs", json={"kind": "plan"})["id"])["id"])

    @staticmethod
    def _checked(answer: requests.Response, status: int) -> Any:
        assert answer.status_code == status, answer.text
        return answer.json()


def until(found: Callable[[], Any], seconds: float = 100) -> Any:
    """What a function gives, when it gives something."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)
    return value


def test_a_run_is_started_followed_and_read(served: Served, world: World) -> None:
    """The answer says where the job is, and the job where its run is; the audit log says who asked."""
    world.define("customers", more="parameters: {size: {default: 1}}\n")
    asked = requests.post(f"{served.url}/api/syncs/customers/jobs", json={"parameters": {"size": 5}}, timeout=60)
    assert asked.status_code == 202
    client, job = Client(served), asked.json()
    assert asked.headers["location"] == f"/api/jobs/{job['id']}"
    ended = client.ended(job["id"])
    assert (ended["state"], ended["parameters"], ended["requested_by"]) == (
        "Succeeded",
        {"size": "5"},
        "Developer on this machine",
    )
    run = client.get(ended["run"].removeprefix("/api"))
    assert (run["run"]["given"], run["run"]["counts"]["created"]["done"]) == ({"size": "5"}, 3)
    assert run["by"] == "by Developer on this machine"
    (entry,) = world.app.state.audit("customers")
    assert (entry.action, entry.by, job["id"] in entry.after) == ("asked for a run", "developer", True)
    (listed,) = client.get("/jobs?state=successful&sync=customers")["jobs"]
    assert (listed["id"], listed["state"]) == (run["run"]["run_id"], "Succeeded")


def test_a_definition_that_was_changed_in_its_file_counts_at_once(world: World) -> None:
    """For the page, the API, a run and a plan; the minute after which a folder is looked at anew has not passed."""
    world.define("customers")
    variables = world.variables
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=lambda: 0.0)
    with console_of(app) as console, serving(console) as served:
        client = Client(served)
        client.ended(client.post("/syncs/customers/jobs")["id"])
        assert "are deleted" in requests.get(f"{served.url}/syncs/customers", timeout=60).text
        world.write("customers", [("customers-0", "Account 0")])
        file = world.folder / "syncs" / "customers.yaml"
        file.write_text(file.read_text().replace("dropped: delete", "dropped: ignore"))
        assert "are deleted" not in requests.get(f"{served.url}/syncs/customers", timeout=60).text
        assert client.ended(client.post("/syncs/customers/jobs")["id"])["state"] == "Succeeded"
        assert len(world.accounts()) == 3
        world.define("other")
        client.get("/syncs/other")
    app.state.close()


def test_the_limits_are_overridden_only_by_true(idle: Served, world: World) -> None:
    """A text that looks like it is refused, wherever a body has `force`."""
    world.define("customers")
    run, client = world.app.run("customers").run_id, Client(idle)
    for path in ("syncs/customers/jobs", f"runs/{run}/undo", f"runs/{run}/undo-plan"):
        for value in ("yes", 1):
            assert "force" in client.post(f"/{path}", 422, json={"force": value})["detail"]
    assert world.app.state.open_jobs() == ()


def test_moments_have_one_form(served: Served, world: World) -> None:
    """Wherever the API names one: as in the JSON of the command line, with the offset `+00:00`."""
    world.define("customers")
    client = Client(served)
    job = client.ended(client.post("/syncs/customers/jobs")["id"])
    paths = (f"/jobs/{job['id']}", "/jobs?state=successful", job["run"].removeprefix("/api"), "/status", "/audit")
    for path in (*paths, "/syncs/customers"):
        texts = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', client.raw(path).text)
        assert texts, path
        assert all(text.endswith("+00:00") for text in texts), (path, texts)


@pytest.fixture
def idle(world: World) -> Iterator[Served]:
    """A console whose jobs are begun by nobody."""
    with console_of(world.app) as console, serving(replace(console, wake=lambda _: None)) as made:
        yield made


def test_a_job_that_waits_is_joined_and_taken_back(idle: Served, world: World) -> None:
    """Who joins it is told so, and nothing new is in the audit log."""
    world.define("customers")
    client = Client(idle)
    jobs = [client.post("/syncs/customers/jobs") for _ in range(2)]
    assert jobs[0]["id"] == jobs[1]["id"]
    assert [job["joined"] for job in jobs] == [False, True]
    assert len(world.app.state.audit()) == 1
    page = requests.get(f"{idle.url}/jobs/{jobs[0]['id']}?joined=yes", timeout=60).text
    assert "no second one was made" in page
    assert client.post(f"/jobs/{jobs[0]['id']}/cancel")["state"] == "Cancelled"
    assert client.get("/jobs")["jobs"] == []
    client.post(f"/jobs/{jobs[0]['id']}/cancel", 422)


def test_a_plan_is_applied_once_and_refused_when_the_target_moved(served: Served, world: World) -> None:
    """Applied by its job; a second time, and another plan that is old, are refused runs."""
    world.define("customers")
    client = Client(served)
    first, second = client.planned("customers"), client.planned("customers")
    done = client.ended(client.post(f"/plans/{first}/apply")["id"])
    assert (done["state"], done["kind"], done["of"]) == ("Succeeded", "apply", first)
    assert client.get(f"/plans/{first}")["applied_by"] == done["runs"][-1]
    states = [client.ended(client.post(f"/plans/{plan}/apply")["id"])["state"] for plan in (first, second)]
    assert states == ["Refused", "Refused"]
    assert len(client.get("/jobs?state=failed")["jobs"]) == 2
    assert [job["id"] for job in client.get("/jobs?state=plans")["jobs"]] == [second, first]


def test_a_plan_whose_entry_in_the_audit_log_was_cut_is_left_out_of_the_list(served: Served, world: World) -> None:
    """Its parameters were too long to be kept; the other plans are listed."""
    world.define("customers")
    client = Client(served)
    plan = client.planned("customers")
    (asked,) = world.app.state.audit("customers", 1)
    cut = json.dumps({"job": "other", "parameters": {"a": "x" * 200_000}})
    world.app.state.add_audit(replace(asked, id="cut", after=cut))
    assert [job["id"] for job in client.get("/jobs?state=plans")["jobs"]] == [plan]
    assert client.raw("/../jobs?state=plans").status_code == 200


def test_a_plan_is_listed_behind_many_entries_of_the_audit_log(served: Served, world: World) -> None:
    """Each request with events is an entry."""
    world.define("customers")
    client = Client(served)
    plan = client.planned("customers")
    (asked,) = world.app.state.audit("customers", 1)
    for number in range(450):
        at = asked.at + timedelta(milliseconds=number + 1)
        world.app.state.add_audit(replace(asked, id=f"sent-{number}", at=at, action="sent 1 events", after=""))
    assert [job["id"] for job in client.get("/jobs?state=plans")["jobs"]] == [plan]


def test_a_run_that_goes_on_is_listed_behind_many_newer_runs(served: Served, world: World) -> None:
    """Whoever started it: a run of the command line can be seen and cancelled."""
    for name in ("customers", "others"):
        world.define(name)
    state, now = world.app.state, datetime.now(UTC)
    long = RunRecord(
        run_id="long",
        sync="customers",
        version="",
        trigger="command",
        state="Running",
        started=now - timedelta(hours=2),
    )
    assert state.acquire_lease("sync/customers", holder="long", seconds=600)
    state.begin_run(long)
    for number in range(120):
        short = replace(long, run_id=f"short-{number}", sync="others", trigger="timer", state="Succeeded", ended=now)
        state.begin_run(replace(short, started=now - timedelta(minutes=number / 2)))
    client = Client(served)
    assert [job["sync"] for job in client.get("/jobs")["jobs"]] == ["customers"]
    assert [job["sync"] for job in client.get("/jobs?sync=customers")["jobs"]] == ["customers"]
    assert client.get("/jobs?sync=others")["jobs"] == []


def test_a_plan_that_breaks_a_limit_is_applied_with_force_alone(served: Served, world: World) -> None:
    """The refusal says so at once; nobody waits for a run that is refused."""
    world.define("customers")
    world.app.run("customers")
    world.write("customers", [])
    client = Client(served)
    plan = client.planned("customers")
    assert "force" in client.post(f"/plans/{plan}/apply", 422)["detail"]
    assert client.ended(client.post(f"/plans/{plan}/apply", json={"force": True})["id"])["state"] == "Succeeded"
    assert world.accounts() == {}


def test_values_are_masked_unless_a_person_may_read_them(served_to_many: Served, world: World) -> None:
    """Plan and errors, as page and as JSON; files need the right."""
    world.define("customers", more=RIGHTS)
    world.write("customers", [("customers-1", "Zebra GmbH"), ("customers-2", ""), ("customers-2", "Twice")])
    both, operator = Client(served_to_many, "Both"), Client(served_to_many, "Operators")
    plan = both.planned("customers")
    run = both.ended(both.post("/syncs/customers/jobs")["id"])["runs"][-1]
    for client, sees in ((both, True), (operator, False)):
        texts = [str(client.get(path)) for path in (f"/plans/{plan}", f"/runs/{run}/errors")]
        assert ["Zebra GmbH" in texts[0], "customers-2" in texts[1]] == [sees, sees]
        page = client.raw(f"/../plans/{plan}").text
        assert ("Zebra GmbH" in page, "customers-1" in page, "••••" in page) == (sees, sees, not sees)
        assert ("customers-2" in client.raw(f"/../runs/{run}").text) == sees
    (name,) = [name for name in both.get(f"/runs/{run}/files")["files"] if name.endswith("_to_mend.csv")]
    assert b"Twice" in both.raw(f"/runs/{run}/files/{name}").content
    assert operator.raw(f"/runs/{run}/files/{name}").status_code == 403


def test_values_that_were_kept_with_a_run_are_not_in_its_messages_either(served_to_many: Served, world: World) -> None:
    """`run --values` has them in messages too: for who may read them. What else a message says stays."""
    world.define("customers", more=RIGHTS)
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace("max_length: 160", "type: number, validate: true"))
    world.write("customers", [("customers-1", "95k-Secret"), ("customers-2", "96k-Secret")])
    run = world.app.run("customers", options=RunOptions(values=True)).run_id
    both, operator = Client(served_to_many, "Both"), Client(served_to_many, "Operators")
    paths = (f"/runs/{run}/errors", f"/runs/{run}", f"/../runs/{run}", "/../syncs/customers", "/status", "/../")
    for client, sees in ((both, True), (operator, False)):
        texts = [client.raw(path).text for path in paths]
        assert ["95k-Secret" in text for text in texts] == [sees, False, sees, False, False, False]
        assert "not a number" in texts[0]
        assert "not a number" in texts[2]
    (error,) = operator.get(f"/runs/{run}/errors")["errors"]
    (kept,) = world.app.state.errors(run)
    assert (error["message"], error["examples"]) == (kept.message, [{"row": 1, "line": 2}, {"row": 2, "line": 3}])


def test_who_may_not_execute_sees_no_button_and_starts_nothing(served_to_many: Served, world: World) -> None:
    """A sync of others does not exist, also not in the lists."""
    world.define("customers", more=RIGHTS)
    run = world.app.run("customers")
    reader, stranger = Client(served_to_many, "Readers"), Client(served_to_many, "Others")
    page = reader.raw(f"/../runs/{run.run_id}").text
    assert "Run of customers" in page
    assert "<button" not in page
    reader.post("/syncs/customers/jobs", 403)
    stranger.get(f"/runs/{run.run_id}", 404)
    world.app.state.add_audit(
        AuditEntry(id="e", at=datetime.now(UTC), by="x", name="X", action="asked for a plan", sync="customers")
    )
    for state in ("active", "successful", "failed", "plans"):
        assert stranger.get(f"/jobs?state={state}")["jobs"] == []
    stranger.get("/jobs?sync=customers", 404)
    assert world.app.state.open_jobs() == ()


def test_mended_rows_are_sent_as_csv(served: Served, world: World) -> None:
    """The file to mend has values as they are, those for looking at have no formulas; both are only downloaded."""
    world.define("customers")
    world.write("customers", [("customers-1", "One"), ("", "=cmd()")])
    run, client = world.app.run("customers").run_id, Client(served)
    names = client.get(f"/runs/{run}/files")["files"]
    answers = {name.rpartition("_")[2]: client.raw(f"/runs/{run}/files/{name}") for name in names}
    mend = answers["mend.csv"]
    assert mend.headers["content-type"] == "text/csv; charset=utf-8"
    assert mend.headers["content-disposition"] == f'attachment; filename="{run}_to_mend.csv"'
    assert '"=cmd()"' in mend.text
    assert "\n=" not in answers["SourceErrors.csv"].text
    data = mend.content.replace(b'"","=cmd()"', b'"customers-2","Two"')
    for wrong in (
        b"garbage",
        data.decode().encode("utf-16"),
        data.replace(b'"Two","2"', b'"Two","2.0"'),
        data.partition(b"\n")[0],
    ):
        refused = client.post(f"/runs/{run}/retry", 422, data=wrong, headers={"content-type": "text/csv"})
        assert "mended.csv" in refused["detail"]
    form, headers = {"file": ("mended.csv", b"garbage")}, {"origin": served.url}
    page = requests.post(f"{served.url}/runs/{run}/retry", files=form, headers=headers, timeout=60)
    assert (page.status_code, "does not have the column" in page.text) == (422, True)
    assert (len(world.app.state.runs("customers")), world.app.state.open_jobs()) == (1, ())
    job = client.post(f"/runs/{run}/retry", data=data, headers={"content-type": "text/csv"})
    assert client.ended(job["id"])["state"] == "Succeeded"
    assert world.accounts() == {"customers-1": "One", "customers-2": "Two"}
    client.post(f"/runs/{run}/retry", 422, data=b" ", headers={"content-type": "text/csv"})
    again = client.post(f"/runs/{run}/retry", 422, data=data, headers={"content-type": "text/csv"})
    assert "all of them are mended" in again["detail"]
    for name in ("none.csv", "..%2f..%2fstate.db", "%00"):
        assert client.raw(f"/runs/{run}/files/{name}").status_code == 404


def test_a_file_that_is_too_large_is_refused_before_it_is_read(served: Served, world: World) -> None:
    """By what its header says."""
    world.define("customers")
    run = world.app.run("customers").run_id
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
    connection.putrequest("POST", f"/api/runs/{run}/retry")
    connection.putheader("content-type", "text/csv")
    connection.putheader("content-length", "50000001")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_long_values_are_shortened_on_pages_alone(served: Served, world: World) -> None:
    """The answer of the API and what is written have them whole; the page of the plan is small and says how long they are."""
    world.define("customers", rows=0)
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace(", max_length: 160", "").replace("target: name}", "target: description}"))
    long = [f"{number}{'x' * 1_900}" for number in range(50)]
    world.write("customers", [(f"customers-{number}", text) for number, text in enumerate(long)])
    client = Client(served)
    plan = client.planned("customers")
    page = requests.get(f"{served.url}/plans/{plan}", timeout=60).text
    assert page.count("shortened: it has 1,90") == 50
    assert len(page) < 1_000 * 50 + 20_000
    whole = [column["after"] for each in client.get(f"/plans/{plan}")["plan"]["sample"] for column in each["columns"]]
    assert {*long} <= {*whole}
    applied = client.ended(client.post(f"/plans/{plan}/apply")["id"])
    run = applied["run"].removeprefix("/api/runs/")
    undo = client.ended(client.post(f"/runs/{run}/undo-plan")["id"])["id"]
    for path in (f"/undo-plans/{undo}", "/syncs/customers/history?key=customers-7"):
        assert "shortened: it has 1,901 characters" in requests.get(f"{served.url}{path}", timeout=60).text, path


def test_hostile_values_are_text_on_the_pages(served: Served, world: World) -> None:
    """Of rows, of parameters, and of the query."""
    world.define("customers", more="parameters: {size: {default: x}}\n")
    hostile = "<script>alert(1)</script>"
    world.write("customers", [("customers-1", hostile)])
    client = Client(served)
    plan = client.planned("customers")
    run = client.ended(client.post("/syncs/customers/jobs", json={"parameters": {"size": hostile}})["id"])["runs"][-1]
    for path in (
        f"/plans/{plan}",
        f"/runs/{run}",
        f"/syncs/customers/start?p.size={hostile}",
        f"/jobs?state={hostile}",
    ):
        page = requests.get(f"{served.url}{path}", timeout=60).text
        assert hostile not in page


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"kind": "apply"}', b'{"parameters": {"none": 1}}', b'{"kind": "plan", "force": true}', b'{"x": 1}'],
)
def test_what_cannot_be_asked_for_is_refused(served: Served, world: World, body: bytes) -> None:
    """With problem details, and nothing is started."""
    world.define("customers")
    answer = requests.post(
        f"{served.url}/api/syncs/customers/jobs", data=body, headers={"content-type": "application/json"}, timeout=10
    )
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert world.app.state.open_jobs() == ()


def test_a_file_whose_name_cannot_be_one_is_told_as_such(served: Served, world: World) -> None:
    """Any text is JSON; the run says what is wrong with it, and is no error of the program."""
    world.define("customers", more="parameters: {file: {default: customers.csv}}\n")
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace(f"path: {world.folder / 'customers.csv'}", 'path: "@file"'))
    client = Client(served)
    job = client.ended(client.post("/syncs/customers/jobs", json={"parameters": {"file": "a\0b.csv"}})["id"])
    run = client.get(f"/runs/{job['runs'][-1]}")["run"]
    assert (run["state"], "cannot be a path: it has a character that no path has" in run["message"]) == ("Failed", True)


def test_what_is_not_there_is_not_found(served: Served, world: World) -> None:
    """Jobs, runs and plans; a job that has not planned has no plan."""
    world.define("customers")
    client = Client(served)
    for path in ("/jobs/none", "/runs/none", "/runs/none/errors", "/plans/none"):
        client.get(path, 404)
    job = client.post("/syncs/customers/jobs")["id"]
    client.get(f"/plans/{job}", 404)
    client.ended(job)
    assert client.get(f"/runs/{job}")["run"]["state"] == "Succeeded"  # by the id of its job


def test_the_lists_have_pages(served: Served, world: World) -> None:
    """Fifty runs each, newest first; a page that is not there is the nearest one."""
    world.define("customers")
    begin = datetime.now(UTC) - timedelta(days=1)
    for number in range(120):
        started = begin + timedelta(seconds=number)
        state = "Failed" if number % 2 else "Succeeded"
        world.app.state.begin_run(
            RunRecord(
                run_id=f"run{number}",
                sync="customers",
                version="1",
                trigger="command",
                state=state,
                started=started,
                ended=started,
            )
        )
    client = Client(served)
    first, last = client.get("/jobs?state=failed"), client.get("/jobs?state=failed&page=9")
    assert (len(first["jobs"]), first["pages"], len(last["jobs"]), last["page"]) == (50, 2, 10, 2)
    assert [first["jobs"][0]["id"], last["jobs"][-1]["id"]] == ["run119", "run1"]
    assert client.get("/jobs?state=failed&page=x")["page"] == 1
    client.get("/jobs?state=other", 400)
    page = requests.get(f"{served.url}/jobs?state=failed", timeout=60).text
    assert "Page 1 of 2" in page
    assert "Older" in page


def elsewhere(world: World, more: str = RIGHTS) -> str:
    """A sync whose file and environment are parameters with defaults; gives the path of the file."""
    world.define("customers", more=f"{more}PARAMETERS")
    file, rows = world.folder / "syncs" / "customers.yaml", str(world.folder / "customers.csv")
    text, url = file.read_text(), world.emulator.service_url
    text = text.replace(f"path: {rows}", 'path: "@rows"').replace(f"service_url: {url}", 'service_url: "@url"')
    known = f"rows: {{default: {rows}}}, url: {{default: {url}}}, region: {{default: North}}"
    file.write_text(text.replace("PARAMETERS", f"parameters: {{{known}}}\n"))
    return rows


@pytest.mark.parametrize("kind", ["run", "plan"])
def test_other_addresses_need_admin(served_to_many: Served, world: World, kind: str) -> None:
    """Their defaults and other parameters do not; nothing is started, and the answer names the parameters."""
    rows = elsewhere(world, "permissions: {admin: [Owners], execute: [Operators]}\n")
    operator, owner = Client(served_to_many, "Operators"), Client(served_to_many, "Owners")
    for name, value in (("rows", "/etc/hostname"), ("url", "https://other.example.com/api/data/v9.2/")):
        said = operator.post("/syncs/customers/jobs", 403, json={"kind": kind, "parameters": {name: value}})
        assert said["detail"] == f"Only a person with the right `admin` may give another value for {name}."
    assert world.app.state.open_jobs() == ()
    usual = {"kind": kind, "parameters": {"rows": rows, "region": "South"}}
    assert operator.ended(operator.post("/syncs/customers/jobs", json=usual)["id"])["state"] == "Succeeded"
    (world.folder / "other.csv").write_text("number,name\ncustomers-9,Nine\n")
    other = {"kind": "run", "parameters": {"rows": str(world.folder / "other.csv")}, "force": True}
    run = owner.ended(owner.post("/syncs/customers/jobs", json=other)["id"])["runs"][-1]
    assert world.accounts() == {"customers-9": "Nine"}
    assert ["Make a new plan" in each.raw(f"/../runs/{run}").text for each in (owner, operator)] == [True, False]


def test_values_that_lead_out_of_the_folder_together_need_admin(served_to_many: Served, world: World) -> None:
    """Neither of them does alone; what stays in the folder is taken."""
    world.define("customers", more="permissions: {execute: [Operators]}\nPARAMETERS")
    file, rows = world.folder / "syncs" / "customers.yaml", str(world.folder / "customers.csv")
    text = file.read_text().replace(f"path: {rows}", f'path: "{world.folder}/@{{name}}.@{{ending}}"')
    file.write_text(text.replace("PARAMETERS", "parameters: {name: {default: customers}, ending: {default: csv}}\n"))
    operator = Client(served_to_many, "Operators")
    leading = {"name": ".", "ending": f"/{world.folder.name}/customers.csv"}
    said = operator.post("/syncs/customers/jobs", 403, json={"kind": "plan", "parameters": leading})
    assert said["detail"] == "Only a person with the right `admin` may give another value for ending, name."
    inside = {"kind": "plan", "parameters": {"name": "./customers", "ending": "csv"}}
    assert operator.ended(operator.post("/syncs/customers/jobs", json=inside)["id"])["state"] == "Succeeded"


def test_a_plan_is_only_offered_again_with_values_that_the_person_may_give(
    served_to_many: Served, world: World
) -> None:
    """With a file of the person it is made on the form, where the file is given again; the button would be refused."""
    elsewhere(world, "permissions: {admin: [Owners], execute: [Operators]}\n")
    operator, owner = Client(served_to_many, "Operators"), Client(served_to_many, "Owners")
    session, url = served_to_many.as_person("Operators"), f"{served_to_many.url}/syncs/customers"
    files: dict[str, Any] = {"kind": (None, "plan"), "upload": ("mine.csv", b"number,name\ncustomers-7,Seven\n")}
    origin = {"origin": served_to_many.url}
    sent = session.post(f"{url}/jobs", files=files, headers=origin, timeout=60, allow_redirects=False)
    job = operator.ended(sent.headers["location"].rpartition("/")[2])["id"]
    pages = [each.raw(f"/../plans/{job}").text for each in (owner, operator)]
    assert [("Plan again" in page, "Start again" in page) for page in pages] == [(True, False), (False, True)]
    (link,) = re.findall(r'href="(/syncs/customers/start[^"]*)">Start again', pages[1])
    assert 'name="upload"' in operator.raw(f"/..{html.unescape(link)}").text
    south = operator.post("/syncs/customers/jobs", json={"kind": "plan", "parameters": {"region": "South"}})["id"]
    assert "Plan again" in operator.raw(f"/../plans/{operator.ended(south)['id']}").text


def test_the_form_offers_no_value_that_is_refused(served_to_many: Served, world: World) -> None:
    """It says who may give one; a file of the machine can be given, and the path that comes with it is refused."""
    elsewhere(world)
    session, url = served_to_many.as_person("Operators"), f"{served_to_many.url}/syncs/customers"
    text = session.get(f"{url}/start?p.rows=/etc/hostname", timeout=60).text
    assert [name for name in ("rows", "url", "region") if f'name="p.{name}"' in text] == ["region"]
    for what in ("path", "value"):
        assert text.count(f"Only a person with the right admin may give another {what}.") == 1
    assert "/etc/hostname" not in text

    def sent(**form: str) -> requests.Response:
        files: dict[str, Any] = {name.replace("_", "."): (None, value) for name, value in form.items()}
        files["upload"] = ("mine.csv", b"number,name\ncustomers-7,Seven\n")
        return session.post(f"{url}/jobs", files=files, headers={"origin": served_to_many.url}, timeout=60)

    assert sent(p_url="https://other.example.com/api/data/v9.2/").status_code == 403
    assert world.app.state.open_jobs() == ()
    assert sent(kind="run", p_region="South").status_code == 200
    until(lambda: world.app.state.runs("customers"))
    until(lambda: world.accounts() == {"customers-7": "Seven"})


def test_nothing_is_started_when_the_state_file_was_removed(served: Served, world: World) -> None:
    """A job would be lost with its run; the same file may come back."""
    world.define("customers")
    client = Client(served)
    files = [file for file in world.folder.glob("state.db*") if file.is_file()]
    (world.folder / "away").mkdir()
    for file in files:
        file.rename(world.folder / "away" / file.name)
    refused = client.post("/syncs/customers/jobs", 502, json={"kind": "run"})
    assert "was removed while this program had it open" in refused["detail"]
    assert client.get("/status", 502)["detail"] == refused["detail"]
    assert not (world.folder / "state.db").exists()
    assert world.accounts() == {}
    for file in files:
        (world.folder / "away" / file.name).rename(file)
    assert client.ended(client.post("/syncs/customers/jobs", json={"kind": "run"})["id"])["state"] == "Succeeded"
