"""Asking the deployed app for a run, and stopping one: what is left in the state store, and what its host is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from shared.app import App
from shared.cli.boundary import run
from shared.settings import Settings
from shared.state import RunRecord

DEFINITION: dict[str, Any] = {
    "name": "accounts",
    "parameters": {"day": {"default": "today"}, "secret_place": {"formula": "ENV('ONLY_IN_THE_APP')"}},
    "source": {"type": "delimited", "path": "@day", "columns": [{"name": "number"}]},
    "destination": {
        "type": "dynamics",
        "entity": "account",
        "service_url": "https://org.crm.dynamics.com/api/data/v9.2/",
        "client_id": "app",
        "client_secret": {"env": "SECRET"},
        "id_column": "accountid",
        "mappings": [{"source": "number", "target": "accountnumber"}],
    },
    "sync_behaviour": {"sync_key": ["accountnumber"]},
}
KEY = "the-master-key"


class Typed(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


Type = Callable[..., Typed]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "syncs").mkdir()
    (tmp_path / "syncs" / "accounts.yaml").write_text(yaml.safe_dump(DEFINITION), "utf-8")
    values = {"SYNC_DEFINITIONS": str(tmp_path / "syncs"), "STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}"}
    opened = App(Settings.load(values | {"FUNCTIONS_ADMIN_KEY": KEY}), read_environment=dict)
    yield opened
    opened.state.close()


@pytest.fixture
def typed(app: App, capsys: pytest.CaptureFixture[str]) -> Type:
    def type_in(*arguments: str) -> Typed:
        code = run(["start", *arguments], open_app=lambda: app)
        return Typed(code, *capsys.readouterr())

    return type_in


@pytest.fixture
def cancel(app: App, capsys: pytest.CaptureFixture[str]) -> Type:
    return lambda *arguments: Typed(run(["cancel", *arguments], open_app=lambda: app), *capsys.readouterr())


@contextmanager
def host(status: int) -> Iterator[tuple[str, list[tuple[str, str | None, bytes]]]]:
    """A Functions host that answers everything with one status, and keeps (path, key, body) of what it got."""
    got: list[tuple[str, str | None, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["x-functions-key"], body))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Do nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


def test_a_request_is_left_for_the_next_tick(app: App, typed: Type) -> None:
    """With parameters as they were typed; a formula that only the app can compute does not matter."""
    done = typed("accounts", "-p", "day=2024-01-31", "--force", "--json")
    (request,) = app.state.job_requests()
    assert (request.sync, request.parameters, request.force) == ("accounts", {"day": "2024-01-31"}, True)
    assert request.requested_by.startswith("command line on ")
    value = json.loads(done.out)
    assert (value["request_id"], value["sync"], value["ticked"]) == (request.id, "accounts", False)
    assert value["warning"].startswith("STATE_STORE is a file on this machine: no deployed app reads it")
    assert done.code == 0


def test_with_the_address_of_the_app_its_timer_runs_now(app: App, typed: Type) -> None:
    """The host is asked as an administrator is, and the key appears nowhere else."""
    with host(202) as (url, got):
        done = typed("accounts", "--app", f"{url}/")
    assert got == [("/admin/functions/batch_sync", KEY, b'{"input": ""}')]
    assert done.code == 0
    (request,) = app.state.job_requests()
    assert f"Request {request.id}: the app runs it now." in done.out
    assert f"Next: dynamics-sync runs {request.id[:10]}" in done.out
    assert KEY not in done.out + done.err + repr(app.settings)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "refused the key: set FUNCTIONS_ADMIN_KEY to the app's master key"),
        (403, "refused the key"),
        (404, "has no function batch_sync"),
        (500, "answered with status 500"),
        (307, "answered with status 307"),
    ],
)
def test_a_host_that_refuses_leaves_the_request(app: App, typed: Type, status: int, said: str) -> None:
    """The message says what is wrong and what becomes of the request; a redirect is not followed with the key."""
    with host(status) as (url, got):
        done = typed("accounts", "--app", url)
    assert done.code == 1
    assert said in " ".join(done.err.split())
    assert "the app finds it in a few minutes" in " ".join(done.err.split())
    assert len(app.state.job_requests()) == len(got) == 1


def test_a_host_that_is_not_there_leaves_the_request(app: App, typed: Type) -> None:
    """Nothing listens where something did."""
    with host(202) as (url, _):
        pass
    done = typed("accounts", "--app", url)
    assert "127.0.0.1 cannot be reached (ConnectionError)" in " ".join(done.err.split())
    assert (done.code, len(app.state.job_requests())) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("account",), "accounts"),
        (("accounts", "-p", "dya=1"), "accounts has no parameter dya; it has: day, secret_place"),
        (("accounts", "--app", "my-app.azurewebsites.net"), "write the app's address"),
        (("accounts", "--app", "https://user@my-app.azurewebsites.net"), "write the app's address"),
        (("accounts", "--app", "http://my-app.azurewebsites.net"), "must use https"),
    ],
)
def test_a_mistake_in_the_command_leaves_no_request(
    app: App, typed: Type, arguments: tuple[str, ...], said: str
) -> None:
    """Names and address are looked at before anything is written."""
    done = typed(*arguments)
    assert done.code == 1
    assert said in " ".join(done.err.split())
    assert app.state.job_requests() == ()


def test_without_a_key_the_host_is_not_asked(app: App, typed: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where the key comes from."""
    monkeypatch.setattr(app, "settings", app.settings.model_copy(update={"functions_admin_key": ""}))
    done = typed("accounts", "--app", "https://my-app.azurewebsites.net")
    assert "FUNCTIONS_ADMIN_KEY" in done.err
    assert (done.code, app.state.job_requests()) == (1, ())


def test_an_equal_request_gets_the_id_of_the_one_that_waits(app: App, typed: Type) -> None:
    """A second `start` makes no second run."""
    first, second = (json.loads(typed("accounts", "--json").out)["request_id"] for _ in range(2))
    assert first == second
    assert [request.id for request in app.state.job_requests()] == [first]


class TestCancel:
    def test_a_request_that_waits_is_taken_back(self, app: App, typed: Type, cancel: Type) -> None:
        """By its id or the beginning of it; it is not there a second time."""
        request_id = json.loads(typed("accounts", "--json").out)["request_id"]
        done = cancel(request_id[:8], "--json")
        assert (done.code, json.loads(done.out)["state"]) == (0, "Cancelled")
        assert app.state.job_requests() == ()
        again = cancel(request_id)
        assert again.code == 1
        assert "has ended (Cancelled): there is nothing to stop" in " ".join(again.err.split())

    def test_a_run_is_marked_and_the_command_says_when_it_stops(self, app: App, cancel: Type) -> None:
        """Whoever started it, at whatever machine."""
        now = datetime.now(UTC)
        app.state.begin_run(
            RunRecord(run_id="r1", sync="accounts", version="1", trigger="command", state="Running", started=now)
        )
        app.state.acquire_lease("sync/accounts", holder="r1", seconds=60)
        done = cancel("r1")
        assert (done.code, done.out.strip()) == (0, "The run stops before its next request.")
        assert str(app.state.cancelled_by("r1")).startswith("command line on ")

    def test_a_run_whose_process_died_cannot_be_stopped(self, app: App, cancel: Type) -> None:
        """Nobody would see the mark."""
        app.state.begin_run(
            RunRecord(
                run_id="r1", sync="accounts", version="1", trigger="job", state="Running", started=datetime.now(UTC)
            )
        )
        done = cancel("r1")
        assert (done.code, "the process of the run r1 ended before the run did" in done.err) == (1, True)

    def test_the_job_of_an_interrupted_run_is_taken_back(self, app: App, typed: Type, cancel: Type) -> None:
        """The run has ended, and its job would go on with it."""
        request_id = json.loads(typed("accounts", "--json").out)["request_id"]
        now = datetime.now(UTC)
        app.state.begin_run(
            RunRecord(run_id="r1", sync="accounts", version="1", trigger="job", state="Interrupted", started=now)
        )
        job = app.state.job(request_id)
        assert job is not None
        app.state.put_job(replace(job, runs=("r1",)))
        assert cancel("r1").code == 0
        assert app.state.open_jobs() == ()

    def test_what_was_taken_back_stays_in_the_list_of_runs(
        self, app: App, typed: Type, cancel: Type, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With who did it; the commands that take a run say that there is none."""
        request_id = json.loads(typed("accounts", "--json").out)["request_id"]
        cancel(request_id)

        def show(*arguments: str) -> Typed:
            return Typed(run([*arguments], open_app=lambda: app), *capsys.readouterr())

        (listed,) = json.loads(show("runs", "accounts", "--json").out)["runs"]
        assert (listed["run_id"], listed["state"], listed["trigger"]) == (request_id, "Cancelled", "taken-back")
        assert listed["message"].startswith("taken back by command line on ")
        assert listed["ended"]
        said = show("errors", request_id[:8]).out
        assert "Cancelled" in said
        assert "the request was taken back" in said
        assert "Not started" in said
        assert "Next: dynamics-sync start accounts" in said
        assert "started nothing, because the request was taken back" in " ".join(show("undo", request_id).err.split())

    def test_what_there_is_not_is_refused(self, cancel: Type) -> None:
        """With the command that lists what there is."""
        done = cancel("nope")
        assert (done.code, "There is no run nope" in done.err) == (1, True)
