"""Steps after the sync: each kind, after each kind of run, with what becomes of the run."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shared.cli.boundary import run as type_in
from shared.cli.screen.tables import planned, summary
from shared.dataverse import MetadataCache
from shared.errors import AbortRun, DefinitionError, UnsafePlanError, UserError
from shared.jobs import NoProgress, Phase, RunState, RunSummary
from shared.jobs.batch import cancelling
from shared.views.plan_page import plan_page
from shared.views.run_reports import count_lines
from tests.acceptance.world import World, accounts, world
from tests.api_server import ApiServer, Received, Reply, serving

DEFINITION: Final = (Path(__file__).parent / "definitions" / "post-sync.yaml").read_text("utf-8")
ERP: Final = "kind: connection\nname: erp\ntype: sql\nurl: {env: DATABASE}\n"
ALERTS: Final = (
    "kind: connection\nname: alerts\ntype: rest\nurl: '@hook/v1'\nauth: {type: bearer, token: {env: API_SECRET}}\n"
)
SECRET: Final = "secret-of-the-hook"
ROWS: Final = "number,name,city\n1,One,Paris\n2,Two,Rome\n"
SCHEMA: Final = """
actions:
  new_Look: {bound_to: account, function: true, parameters: {Reason: {type: Edm.String}, At: {type: Edm.DateTimeOffset}}, response: {Seen: 1}}
  new_Number: {parameters: {N: {type: Edm.Int32, required: true}, Id: {type: Edm.Guid}}}
"""


@dataclass
class Api:
    """An API that keeps what it gets.

    Attributes:
        answers: Answers that come first.
        held: A request to the path `/held` waits until this is set.
    """

    received: list[Received] = field(default_factory=list)
    answers: list[Reply] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)

    def __call__(self, received: Received) -> Reply:
        self.received.append(received)
        if received.path == "/held":
            self.held.wait()
        return self.answers.pop(0) if self.answers else Reply(body={})


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("steps")
    (folder / "schema.yaml").write_text(SCHEMA, "utf-8")
    with world(folder, schema=[folder / "schema.yaml"]) as made:
        yield made


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def server(api: Api) -> Iterator[ApiServer]:
    with serving(api) as made:
        yield made


@pytest.fixture
def here(shared_world: World, server: ApiServer, tmp_path: Path) -> Iterator[World]:
    """A world with a custom API, a database, connections, and one account."""
    here = shared_world
    here.emulator.reset()
    before = dict(here.environment)
    database = tmp_path / "erp.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE import (done TEXT, made INTEGER, tag TEXT)")
        connection.execute("INSERT INTO import DEFAULT VALUES")
        connection.commit()
    here.environment |= {"DATABASE": f"sqlite:///{database}", "API_URL": server.url, "API_SECRET": SECRET}
    api_id = here.create("customapis", {"uniquename": "new_RefreshRollups", "name": "Refresh", "isprivate": True})
    for name, kind, optional in (("Tag", 10, False), ("Created", 7, False), ("Note", 10, True)):
        row = {"uniquename": name, "name": name, "type": kind, "isoptional": optional}
        here.create("customapirequestparameters", row | {"CustomAPIId@odata.bind": f"/customapis({api_id})"})
    for file in (here.folder / "syncs").iterdir():
        file.unlink()
    here.define(ERP, "erp")
    here.define(ALERTS, "alerts")
    (here.folder / "source.csv").write_text(ROWS, "utf-8")
    yield here
    here.environment.clear()
    here.environment.update(before)


def imported(here: World) -> tuple[Any, ...]:
    with closing(sqlite3.connect(here.environment["DATABASE"].removeprefix("sqlite:///"))) as connection:
        (row,) = connection.execute("SELECT done, made, tag FROM import").fetchall()
    return tuple(row)


def with_steps(here: World, *steps: dict[str, Any], **changes: Any) -> None:
    here.define(accounts(post_sync=[*steps], **changes))
    (here.folder / "source.csv").write_text("number,name,city,revenue\n1,One,Paris,1\n2,Two,Rome,2\n", "utf-8")


def states(done: RunSummary) -> dict[str, str]:
    return {step.name: step.state.value for step in done.post_sync}


def test_each_kind_of_step_runs_after_each_run(here: World, api: Api) -> None:
    """In their order, with the figures of the run as bound values; the second run writes no record again."""
    here.define(DEFINITION, "post-sync")
    account = here.create("accounts", {"accountnumber": "0", "name": "Zero", "address1_city": "Paris"})
    assert here.app.validate() == []
    first = here.run("post-sync", parameters={"account_id": account})
    assert (first.state, first.exit_code, first.message) == (RunState.SUCCEEDED, 0, "")
    assert [step.kind for step in first.post_sync] == ["action", "action", "update", "sql", "http", "http"]
    assert [*states(first).values()] == ["Succeeded"] * 5 + ["Skipped"]
    assert first.post_sync[2].figures == {"updated": 2}
    tag = 'it\'s "42"'
    rollups, look = here.emulator.calls()
    assert rollups["parameters"] == {"Tag": tag, "Created": 2, "Note": "2 of 2"}
    assert (look["target"], look["parameters"]["Reason"]) == (f"accounts({account})", tag)
    assert imported(here) == (first.run_id, 2, tag)
    (told,) = api.received
    assert (told.method, told.path, told.headers["x-token"]) == ("POST", "/teams", SECRET)
    assert told.json == {"text": "2 created, 0 failed", "tags": [tag, 2]}
    second = here.run("post-sync", parameters={"account_id": account})
    assert [*states(second).values()] == ["Succeeded"] * 5 + ["Skipped"]
    assert second.post_sync[2].figures == {"updated": 0}
    assert imported(here) == (second.run_id, 0, tag)
    records = here.records("accounts?$select=description,revenue&$orderby=accountnumber")
    assert [(each["description"], each["revenue"]) for each in records] == [
        ("seen: Zero", 12.5),
        ("seen: One", 12.5),
        (None, None),
    ]


def test_a_run_with_errors_runs_the_steps_that_ask_for_it(here: World, api: Api) -> None:
    """Those for errors and those for each run; their answers do not change that rows were rejected."""
    here.define(DEFINITION, "post-sync")
    (here.folder / "source.csv").write_text(ROWS + ",Nobody,\n", "utf-8")
    done = here.run("post-sync")
    assert (done.state, done.exit_code) == (RunState.COMPLETED_WITH_ERRORS, 2), done.message
    assert [*states(done).values()] == ["Skipped"] * 3 + ["Succeeded", "Skipped", "Succeeded"]
    (told,) = api.received
    assert (told.method, told.path, told.query) == ("PUT", "/v1/alerts", {"sync": "post-sync"})
    assert told.headers["authorization"] == f"Bearer {SECRET}"
    assert told.json == {"state": "Completed with errors", "rejected": 1}
    assert here.emulator.calls() == []


def test_a_plan_lists_the_steps_and_runs_none(here: World, api: Api) -> None:
    """So do `explain` and a plan that is refused."""
    here.define(DEFINITION, "post-sync")
    report = here.plan("post-sync")
    assert [step["name"] for step in report.to_json()["post_sync"]][:2] == ["refresh rollups", "look at the account"]
    assert "tell the team (success): POST @hook/teams" in planned(report).plain
    assert "update account where address1_city eq" in plan_page(report.to_json())
    explained = {step.title: step.sql for step in here.app.explain("post-sync")}
    assert "FROM update_records AS target" in explained["After the sync, on success: mark Paris"]
    assert explained["After the sync, on always: close the import"].startswith("update import set done = @run.id")
    behaviour = yaml.safe_load(DEFINITION)
    behaviour["sync_behaviour"] |= {"dropped": "delete", "safety": {"max_delete": 0, "allow_empty_source": True}}
    for number in range(10):
        here.create("accounts", {"accountnumber": f"x{number}"})
    here.define(yaml.safe_dump(behaviour), "post-sync")
    with pytest.raises(UnsafePlanError):
        here.run("post-sync")
    assert (here.emulator.calls(), api.received, imported(here)) == ([], [], (None, None, None))


def test_the_forecast_has_the_requests_of_the_steps_that_will_run(here: World) -> None:
    """Two calls and an update, of which it is not known how much it will write; with errors, none of the three runs."""
    here.metadata = MetadataCache()
    here.define(DEFINITION, "post-sync")
    account = here.create("accounts", {"accountnumber": "0", "name": "Zero", "address1_city": "Paris"})
    report = here.plan("post-sync", parameters={"account_id": account})
    cost = report.plan.forecast
    assert cost is not None
    assert (cost.steps, cost.open, cost.counted) == (3, True, cost.reads + 2 + 3)
    assert (
        f"at least {cost.requests} ({cost.reads} to read, 1 to write, 3 by steps after the sync)"
        in planned(report).plain
    )
    here.metadata = MetadataCache()
    here.reopen()  # the run reads the metadata anew, as a command of its own does
    done = here.run("post-sync", parameters={"account_id": account})
    # The step reads its records once more in its own way, and writes them with one request.
    assert cost.requests <= done.requests <= cost.requests + 3
    (here.folder / "source.csv").write_text(ROWS + ",Nobody,\n", "utf-8")
    cost = here.plan("post-sync").plan.forecast
    assert cost is not None
    assert (cost.steps, cost.open) == (0, False)


def test_a_step_that_fails_makes_the_run_failed_and_undoes_nothing(
    here: World, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    """Later steps follow their `run_on`: those for errors run, those for success do not."""
    api.answers = [Reply(status=400, body={"error": f"no such room, token {SECRET}"})]
    tell = {"http": {"url": {"env": "HOOK"}, "headers": {"X-T": {"env": "API_SECRET"}}, "body": {"a": 1}}}
    here.environment["HOOK"] = here.environment["API_URL"] + "/hooks/very-secret-path"
    with_steps(
        here,
        {"name": "tell", **tell},
        {"name": "next", **tell},
        {"name": "on errors", "run_on": "errors", **tell},
        {"name": "on all", "run_on": "always", **tell},
    )
    done = here.run()
    assert (done.state, done.completed, done.exit_code, done.created.done) == (RunState.FAILED, False, 1, 2)
    assert [*states(done).values()] == ["Failed", "Skipped", "Succeeded", "Succeeded"]
    url = here.environment["API_URL"]
    assert done.message == (
        f'the step tell failed: POST {url}/… answered 400 Bad Request ({{"error": "no such room, token [hidden]"}})'
    )
    assert "very-secret-path" not in json.dumps(done.to_json())
    assert len(here.records("accounts?$select=name")) == 2
    kept = here.app.state.run(done.run_id)
    assert kept is not None
    assert [step["state"] for step in kept.counts["post_sync"]] == [*states(done).values()]
    lines = dict(count_lines(kept.counts))
    assert lines["Step tell"].startswith("Failed in ")
    assert lines["Step next"] == "Skipped (there are errors, and run_on is success)"
    assert "next: Skipped (there are errors, and run_on is success)" in summary(done).plain
    api.answers = [Reply(status=404)]
    assert type_in(["run", "accounts"], open_app=lambda: here.app) == 1
    assert "Data sync failed: the step tell failed: POST" in capsys.readouterr().out


def test_a_run_that_dataverse_refuses_runs_the_steps_for_errors(here: World, api: Api) -> None:
    """Its writes have ended, so its steps run; a run that fails before its first write has no steps."""
    http = {"url": here.environment["API_URL"], "body": {"state": "@run.state"}}
    with_steps(here, {"name": "a", "http": http}, {"name": "b", "run_on": "errors", "http": http})
    (here.folder / "source.csv").rename(here.folder / "away.csv")
    with pytest.raises(UserError):
        here.run()
    assert api.received == []
    (here.folder / "away.csv").rename(here.folder / "source.csv")
    refused = {"action": "status", "status": 403, "code": "0x80040220", "message": "missing prvCreateAccount privilege"}
    here.emulator.faults({**refused, "match": {"path": "CRM.CreateMultiple"}, "times": 99})
    with pytest.raises(AbortRun):
        here.run()
    here.emulator.clear_faults()
    assert [each.json for each in api.received] == [{"state": "Failed"}]
    (kept, _) = here.app.state.runs("accounts", 2)
    assert kept.state == "Failed"
    assert [step["state"] for step in kept.counts["post_sync"]] == ["Skipped", "Succeeded"]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"action": "new_Number", "body": {"N": "@number"}}, "the parameter N of new_Number is Edm.Int32"),
        (
            {"action": "new_Number", "body": {"N": 1}, "timeout": 5},
            "",
        ),
        (
            {"update": {"entity": "account", "filter": "name ne null", "set": {"name": "'x'"}, "max_update": 1}},
            "2 records would be updated, and max_update is 1; nothing was written",
        ),
        (
            {"update": {"entity": "account", "filter": "name ne null", "set": {"revenue": "target.name"}}},
            "the value for revenue does not fit in 2 records; nothing was written",
        ),
        (
            {"update": {"entity": "account", "filter": "name ne null", "set": {"name": "repeat('x', 5000)"}}},
            "the value for name does not fit in 2 records; nothing was written",
        ),
        (
            {"update": {"entity": "account", "filter": "name ne null", "set": {"accountnumber": "'same'"}}},
            "1 record was updated, 1 was refused (",
        ),
        (
            {"sql": {"connection": "erp", "statement": "update nowhere set a = 1"}},
            "the database of the connection erp: there is no such table or procedure, or the user may not see it",
        ),
        (
            {"sql": {"connection": "erp", "statement": "insert into import values (1)"}},
            "the database of the connection erp: ",
        ),
        ({"http": {"url": "http://127.0.0.1:9/closed", "attempts": 1}}, "127.0.0.1 could not be reached"),
        (
            {"action": "new_Look", "bound_to": {"entity": "account", "id": "@number"}},
            "bound_to.id is not the id of a record",
        ),
        (
            {"action": "new_Look", "bound_to": {"entity": "account", "id": "00000000-0000-0000-0000-000000000001"}},
            "",
        ),
    ],
)
def test_why_a_step_failed_is_reported(here: World, step: dict[str, Any], message: str) -> None:
    """In one sentence, with what to do where that is known; what was written before stays."""
    parameters = {**accounts()["parameters"], "number": {"default": "seven"}}
    with_steps(here, {"name": "one", **step}, parameters=parameters)
    (outcome,) = here.run().post_sync
    assert message in outcome.message
    assert (outcome.state.value == "Succeeded") is (message == "")


def test_a_step_ends_with_its_timeout(here: World, api: Api) -> None:
    """An answer that does not come makes it fail; a request that may have been carried out is not sent again."""
    url = here.environment["API_URL"]
    slow, last = ({"url": each, "body": {}} for each in (f"{url}/held", url))
    with_steps(here, {"name": "slow", "timeout": 2, "http": slow}, {"name": "last", "run_on": "always", "http": last})
    try:
        done = here.run()
    finally:
        api.held.set()
    assert states(done) == {"slow": "Failed", "last": "Succeeded"}
    assert len(api.received) == 2


def test_an_update_ends_with_its_timeout_while_dataverse_throttles(here: World) -> None:
    """A wait that Dataverse asks for is longer: the step fails at once, and its record keeps its value."""
    update = {"entity": "account", "filter": "name eq 'One'", "set": {"description": "'new'"}}
    with_steps(here, {"name": "a", "timeout": 20, "update": update})
    match = {"method": "GET", "path": "filter=name"}
    here.emulator.faults({"action": "status", "status": 429, "retry_after": 60, "times": 9, "match": match})
    done = here.run()
    here.emulator.clear_faults()
    assert states(done) == {"a": "Failed"}
    assert done.throttled == 1


def test_a_redirect_is_not_followed(here: World, api: Api) -> None:
    """The request might reach another host."""
    api.answers = [Reply(status=307, headers={"Location": "https://example.com/"})]
    with_steps(here, {"name": "a", "http": {"url": here.environment["API_URL"], "body": {}}})
    assert "a redirect; write the URL that answers" in here.run().message
    assert len(api.received) == 1


def test_steps_that_do_not_fit_into_the_time_are_left_for_the_next_run(here: World, api: Api) -> None:
    """That run writes nothing itself, so it carries out the rest, with the figures and the id of the first."""
    http = {"url": here.environment["API_URL"], "body": {"id": "@run.id", "made": "@run.created"}}
    with_steps(here, {"name": "short", "timeout": 5, "http": http}, {"name": "long", "timeout": 3600, "http": http})
    first = here.run(deadline=time.monotonic() + 300)
    assert (first.state, first.exit_code) == (RunState.INTERRUPTED, 1)
    assert first.message.startswith("all changes are written; 1 step is left for the next run (its timeout does not")
    assert states(first) == {"short": "Succeeded", "long": "Not run"}
    second = here.run(deadline=time.monotonic() + 300)
    assert (second.state, second.writes) == (RunState.SUCCEEDED, 0)
    assert states(second) == {"short": "Succeeded", "long": "Succeeded"}
    assert [step.run for step in second.post_sync] == [first.run_id, ""]
    assert [each.json for each in api.received] == [{"id": first.run_id, "made": 2}] * 2
    third = here.run()
    assert [each.json["id"] for each in api.received[2:]] == [third.run_id] * 2


def test_a_run_that_fails_before_its_writes_leaves_the_steps_to_the_next_one(here: World, api: Api) -> None:
    """What an earlier run has left is carried out once, with the figures of that run."""
    http = {"url": here.environment["API_URL"], "body": {"id": "@run.id", "made": "@run.created"}}
    with_steps(here, {"name": "short", "timeout": 5, "http": http}, {"name": "long", "timeout": 3600, "http": http})
    first = here.run(deadline=time.monotonic() + 300)
    assert first.state is RunState.INTERRUPTED
    source = here.folder / "source.csv"
    away = source.rename(here.folder / "away.csv")
    with pytest.raises(UserError):
        here.run()
    away.rename(source)
    assert states(here.run()) == {"short": "Succeeded", "long": "Succeeded"}
    assert [each.json for each in api.received] == [{"id": first.run_id, "made": 2}] * 2


def test_a_continued_run_that_writes_again_runs_all_steps(here: World, api: Api) -> None:
    """What was done after the first changes has to be done after the others too."""
    http = {"url": here.environment["API_URL"], "body": {"made": "@run.created"}}
    with_steps(here, {"name": "short", "timeout": 5, "http": http}, {"name": "long", "timeout": 3600, "http": http})
    assert here.run(deadline=time.monotonic() + 300).state is RunState.INTERRUPTED
    (here.folder / "source.csv").write_text("number,name,city,revenue\n1,One,,\n2,Two,,\n3,Three,,\n", "utf-8")
    assert states(here.run()) == {"short": "Succeeded", "long": "Succeeded"}
    assert [each.json for each in api.received] == [{"made": 2}, {"made": 1}, {"made": 1}]


def test_a_run_that_is_stopped_runs_no_steps(here: World, api: Api) -> None:
    """A person stops it before, or while its steps run: the rest of them is left for the next run."""
    http = {"url": here.environment["API_URL"], "body": {"id": "@run.id"}}
    with_steps(here, {"name": "a", "http": http}, {"name": "b", "run_on": "always", "http": http})
    stopped = here.run(cancelled=lambda: True)
    assert (stopped.state, stopped.post_sync) == (RunState.CANCELLED, ())
    later = here.run(cancelled=lambda: bool(api.received))
    assert (later.state, states(later)) == (RunState.CANCELLED, {"a": "Succeeded", "b": "Not run"})
    assert states(here.run()) == {"a": "Succeeded", "b": "Succeeded"}
    assert [each.json for each in api.received] == [{"id": later.run_id}] * 2


def test_cancel_stops_a_run_during_its_steps(here: World, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark in the state store, which `cancel` sets from any machine, counts as Ctrl-C does."""
    monkeypatch.setattr(cancelling, "LOOK_SECONDS", 0.0)
    http = {"url": here.environment["API_URL"], "body": {}}
    with_steps(here, *({"name": name, "run_on": "always", "http": http} for name in "abc"))

    def mark() -> bool:
        if api.received:  # the second step begins, and finds the mark before it sends its request
            here.app.state.cancel_run("r1", "ann")
        return False

    stopped = here.run(run_id="r1", cancelled=mark)
    assert (stopped.state, states(stopped)) == (
        RunState.CANCELLED,
        {"a": "Succeeded", "b": "Failed", "c": "Not run"},
    )
    assert len(api.received) == 1


class Phases(NoProgress):
    """Knows the phase of a run."""

    def __init__(self) -> None:
        self.now: Phase | None = None

    def phase(self, phase: Phase, total: int | None = None) -> None:
        """A phase begins."""
        self.now = phase


def test_steps_that_two_runs_continue_know_the_figures_of_the_run_that_wrote(here: World) -> None:
    """It carried out none of them, and the first run that continues it is stopped after a step that writes.

    The ids are no other test's, which may have marked its run as cancelled in the state that the tests share.
    """
    update = {"entity": "account", "filter": "name eq 'Two'", "set": {"description": "'seen'"}}
    statement = "insert into import values (@run.id, @run.created, 'new')"
    with_steps(
        here,
        {"name": "first", "update": update},
        {"name": "second", "sql": {"connection": {"env": "DATABASE"}, "statement": statement}},
    )
    phases = Phases()
    wrote = here.run(run_id="wrote1", progress=phases, cancelled=lambda: phases.now is Phase.POST_SYNC)
    assert (wrote.created.done, set(states(wrote).values()), wrote.continues) == (2, {"Not run"}, "")

    def updated() -> bool:
        return any(row["description"] == "seen" for row in here.records("accounts?$select=description"))

    second = here.run(run_id="wrote2", cancelled=updated)
    assert (states(second), second.continues) == ({"first": "Succeeded", "second": "Not run"}, "wrote1")
    third = here.run(run_id="wrote3")
    assert (set(states(third).values()), third.continues) == ({"Succeeded"}, "wrote1")
    with closing(sqlite3.connect(here.environment["DATABASE"].removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT done, made FROM import WHERE tag = 'new'").fetchall() == [("wrote1", 2)]


WRONG: Final[list[tuple[dict[str, Any], str]]] = [
    ({"action": "new_RefreshRolups"}, "post_sync[0].action: the environment has no action, function or custom API"),
    ({"action": "new_Numbe"}, "custom API new_Numbe; did you mean new_Number?"),
    ({"action": "new_Look"}, "new_Look is bound to a record of account: write bound_to: {entity: account, id: …}"),
    (
        {"action": "new_Look", "bound_to": {"entity": "account"}},
        "post_sync[0].bound_to: new_Look is bound to a record of account",
    ),
    (
        {"action": "new_Number", "bound_to": {"entity": "account"}, "body": {"N": 1}},
        "post_sync[0].bound_to: new_Number is not bound: remove bound_to",
    ),
    ({"action": "new_Number"}, "post_sync[0].action: new_Number needs N: write each below body"),
    ({"action": "new_Number", "body": {"N": 1, "M": 1}}, "post_sync[0].body.M: new_Number has no parameter M"),
    (
        {"action": "new_Number", "body": {"N": "one"}},
        "post_sync[0].body.N: this parameter is of type Edm.Int32, and the value does not fit",
    ),
    ({"update": {"entity": "acount", "filter": "a eq 1", "set": {"name": "1"}}}, "post_sync[0].update.entity: "),
    (
        {"update": {"entity": "account", "filter": "name eq 'a'", "set": {"nam": "1"}}},
        "post_sync[0].update.set.nam: account has no column nam; did you mean name?",
    ),
    (
        {"update": {"entity": "account", "filter": "nam eq 'a'", "set": {"name": "target.nam"}}},
        "post_sync[0].update.set.name: unknown column target.nam",
    ),
    (
        {"update": {"entity": "account", "filter": "name eq 'a'", "set": {"createdon": "'2020-01-01'"}}},
        "createdon cannot be changed in an existing record",
    ),
    (
        {"update": {"entity": "account", "filter": "nam eq 'a'", "set": {"name": "'a'"}}},
        "post_sync[0].update.filter: Dataverse refuses this filter",
    ),
    ({"sql": {"connection": "alerts", "statement": "select 1"}}, "one of type sql is needed here"),
    ({"sql": {"connection": "none", "statement": "select 1"}}, "post_sync[0].sql.connection: there is no connection"),
    ({"http": {"connection": "erp"}}, "post_sync[0].http.connection: the connection erp is of type sql"),
]


@pytest.mark.parametrize(("step", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_a_wrong_step_is_found_by_validate_and_before_a_run_writes(
    here: World, step: dict[str, Any], message: str
) -> None:
    """With file, line and column; nothing is written."""
    with_steps(here, {"name": "one", **step}, parameters={**accounts()["parameters"], "hook": {"default": "https://a"}})
    problems = here.app.validate(["accounts"])
    assert any(message in str(problem) for problem in problems), problems
    assert all(problem.file.endswith("accounts.yaml") and problem.line for problem in problems)
    if "filter" not in message:
        with pytest.raises(DefinitionError):
            here.run()
        assert here.records("accounts?$select=name") == []


def test_an_action_that_the_service_refuses_fails_with_its_words(here: World) -> None:
    """And it is called once: a second call might do something twice."""
    with_steps(here, {"name": "one", "action": "new_Number", "body": {"N": 1}})
    here.emulator.faults(
        {"action": "status", "code": "0x80040265", "status": 500, "match": {"method": "POST", "path": "new_Number"}}
    )
    done = here.run()
    assert states(done) == {"one": "Failed"}
    assert here.emulator.calls() == []
    here.emulator.faults({"action": "drop_after", "times": 1, "match": {"method": "POST", "path": "new_Number"}})
    assert states(here.run()) == {"one": "Failed"}
    assert len(here.emulator.calls()) == 1
