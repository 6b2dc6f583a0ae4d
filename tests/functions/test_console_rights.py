"""Who may use which route: a table of all of them, so that a new route needs a line here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from starlette.responses import Response

from console.application import ROUTES
from console.deployed import middleware
from console.web.visit import Visit
from shared.state import JobKind, JobRequest
from tests.console.conftest import principal
from tests.functions.conftest import World
from tests.functions.host import FunctionsHost
from tests.functions.payloads import http_request

pytestmark = pytest.mark.runtime

# Who there is: a name of the table -> the app roles of the person; the sync names the first four in its permissions.
PEOPLE: Final = {
    "admin": ["Admins"],
    "execute": ["Operators"],
    "write": ["Writers"],
    "read": ["Readers"],
    "none": ["Others"],
    "create": ["Sync.Create"],
    "events": ["events.send"],
    "all": ["Sync.Admin"],
}
PERMISSIONS: Final = "permissions: {admin: [Admins], execute: [Operators], write: [Writers], read: [Readers]}\n"
ANYBODY: Final = set(PEOPLE)
SOME: Final = {"admin", "execute", "write", "read", "all"}
EXECUTE: Final = {"admin", "execute", "all"}
WRITE: Final = {"admin", "write", "all"}
WRITE_OR_EXECUTE: Final = WRITE | EXECUTE
READ: Final = {"admin", "read", "all"}
ADMIN: Final = {"admin", "all"}
CREATE: Final = {"create", "all"}
EVENTS: Final = {"events", "all"}
EVERYTHING: Final = {"all"}
TABLE: Final = {
    "GET /": ANYBODY,
    "GET /api/status": ANYBODY,
    "GET /api/syncs": ANYBODY,
    "GET /api/openapi.json": ANYBODY,
    "GET /static/{name}": ANYBODY,
    "GET /syncs/{sync}": SOME,
    "POST /syncs/{sync}/check": SOME,
    "GET /syncs/{sync}/history": READ,
    "GET /api/syncs/{sync}/history": READ,
    "POST /syncs/{sync}/resume": EXECUTE,
    "POST /api/syncs/{sync}/resume": EXECUTE,
    "GET /api/syncs/{sync}": SOME,
    "POST /api/syncs/{sync}/check": SOME,
    "GET /real-time": ANYBODY,
    "GET /real-time/_unclaimed": EVERYTHING,
    "GET /real-time/_unclaimed/letter": EVERYTHING,
    "POST /real-time/_unclaimed/replay": EVERYTHING,
    "POST /real-time/_unclaimed/discard": EVERYTHING,
    "GET /real-time/{sync}": SOME,
    "GET /api/syncs/{sync}/partitions": SOME,
    "GET /real-time/{sync}/letter": SOME,
    "POST /real-time/{sync}/replay": EXECUTE,
    "POST /real-time/{sync}/discard": EXECUTE,
    "POST /real-time/{sync}/switch": WRITE,
    "PUT /api/syncs/{sync}/listener": WRITE,
    "GET /api/listeners": ANYBODY,
    "GET /api/dead-letters/unclaimed": EVERYTHING,
    "POST /api/dead-letters/unclaimed/replay": EVERYTHING,
    "POST /api/dead-letters/unclaimed/discard": EVERYTHING,
    "GET /api/syncs/{sync}/dead-letters": SOME,
    "POST /api/syncs/{sync}/dead-letters/replay": EXECUTE,
    "POST /api/syncs/{sync}/dead-letters/discard": EXECUTE,
    "GET /audit": ANYBODY,
    "GET /api/audit": ANYBODY,
    "GET /syncs/{sync}/start": EXECUTE,
    "POST /syncs/{sync}/jobs": EXECUTE,
    "GET /jobs": ANYBODY,
    "GET /jobs/{job}": SOME,
    "POST /jobs/{job}/cancel": EXECUTE,
    "GET /runs/{run}": SOME,
    "POST /runs/{run}/cancel": EXECUTE,
    "POST /runs/{run}/retry": EXECUTE,
    "POST /runs/{run}/undo-plan": EXECUTE,
    "POST /runs/{run}/undo": EXECUTE,
    "GET /undo-plans/{job}": SOME,
    "GET /runs/{run}/files/{name}": READ,
    "GET /plans/{job}": SOME,
    "GET /plans/{job}/confirm": EXECUTE,
    "POST /plans/{job}/apply": EXECUTE,
    "POST /api/syncs/{sync}/jobs": EXECUTE,
    "GET /api/jobs": ANYBODY,
    "GET /api/jobs/{job}": SOME,
    "POST /api/jobs/{job}/cancel": EXECUTE,
    "GET /api/runs/{run}": SOME,
    "GET /api/runs/{run}/errors": SOME,
    "GET /api/runs/{run}/files": SOME,
    "GET /api/runs/{run}/files/{name}": READ,
    "POST /api/runs/{run}/retry": EXECUTE,
    "POST /api/runs/{run}/undo-plan": EXECUTE,
    "POST /api/runs/{run}/undo": EXECUTE,
    "GET /api/undo-plans/{job}": SOME,
    "POST /api/runs/{run}/cancel": EXECUTE,
    "GET /api/plans/{job}": SOME,
    "POST /api/plans/{job}/apply": EXECUTE,
    "POST /api/uploads": CREATE,
    "POST /api/syncs/{sync}/uploads": WRITE_OR_EXECUTE,
    "POST /api/runs/{run}/uploads": EXECUTE,
    "POST /api/syncs/{sync}/files": WRITE,
    "POST /new/secrets": CREATE,
    "POST /syncs/{sync}/secrets": ADMIN,
    "PUT /api/syncs/{sync}/secrets/{name}": ADMIN,
    "POST /api/events/{listener:path}": EVENTS,
    "GET /new": CREATE,
    "POST /new": CREATE,
    "POST /new/edit": CREATE,
    "GET /syncs/{sync}/edit": SOME,
    "GET /syncs/{sync}/edit/{tab}": SOME,
    "POST /syncs/{sync}/edit": WRITE,
    "GET /syncs/{sync}/versions": SOME,
    "GET /api/syncs/{sync}/definition": SOME,
    "PUT /api/syncs/{sync}/definition": WRITE,
    "DELETE /api/syncs/{sync}/definition": ADMIN,
    "POST /api/syncs": CREATE,
    "POST /api/definitions/validate": CREATE,
    "POST /api/syncs/{sync}/validate": WRITE,
    "GET /api/syncs/{sync}/versions": SOME,
    "POST /api/syncs/{sync}/preview": WRITE,
    "POST /api/syncs/{sync}/test": WRITE,
    "GET /api/syncs/{sync}/tables": WRITE,
    "GET /api/syncs/{sync}/tables/{table}": WRITE,
    "GET /api/environments/{connection}/tables": CREATE,
    "GET /api/environments/{connection}/tables/{table}": CREATE,
}


def _done(_visit: Visit) -> Response:
    return Response(status_code=204)


@pytest.fixture
def ids(host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A sync with a run and a job; every route answers 204 to whoever may use it."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    monkeypatch.setattr("console.application.ROUTES", [replace(path, answer=_done) for path in ROUTES])
    middleware.cache_clear()
    world.define("ours", more=PERMISSIONS)
    run = world.app.run("ours")
    job = JobRequest(id="job1", sync="ours", requested=datetime.now(UTC), kind=JobKind.PLAN)
    world.app.state.request_job(job)
    yield {"sync": "ours", "run": run.run_id, "job": job.id}
    middleware.cache_clear()


def status(host: FunctionsHost, method: str, path: str, roles: list[str]) -> int:
    """Of the answer to a request from the console's own pages."""
    headers = {"X-MS-CLIENT-PRINCIPAL": principal(*roles), "origin": "https://app.azurewebsites.net"}
    done = host.fire("console", http_request(path, method=method, headers=headers))
    assert done.succeeded, done.error + done.trace
    return int(done.answer.status_code)


def test_the_table_has_every_route() -> None:
    """And no other."""
    assert sorted(TABLE) == sorted(f"{path.method} {path.path}" for path in ROUTES)


def test_each_person_may_use_the_routes_of_their_rights_and_no_other(host: FunctionsHost, ids: dict[str, str]) -> None:
    """A sync without any right does not exist; with another right, the answer says which one is missing."""
    wrong = []
    for line, allowed in TABLE.items():
        method, path = line.split(" ")
        about_a_sync = re.search(r"\{(sync|run|job)\}", path) is not None
        filled = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: ids.get(found[1], "x"), path)
        for person, roles in PEOPLE.items():
            expected = 204 if person in allowed else 404 if about_a_sync and person not in SOME else 403
            if (found := status(host, method, filled, roles)) != expected:
                wrong.append(f"{line}: {person} gets {found}, and not {expected}")
    assert wrong == []


def test_what_there_is_not_is_answered_as_what_nobody_may_see(host: FunctionsHost, ids: dict[str, str]) -> None:
    """So that a person cannot find out the names of syncs."""
    for line in TABLE:
        method, path = line.split(" ")
        if re.search(r"\{(sync|run|job)\}", path):
            assert status(host, method, re.sub(r"\{\w+\}", "missing", path), ["Sync.Admin"]) == 404


def test_a_person_in_too_many_groups_is_told_so(host: FunctionsHost, ids: dict[str, str]) -> None:
    """Their token names no group; with an app role they get in."""
    for roles, expected in (([], 403), (["Readers"], 204)):
        headers = {"X-MS-CLIENT-PRINCIPAL": principal(*roles, claims={"hasgroups": "true"})}
        done = host.fire("console", http_request("/syncs/ours", headers=headers))
        if "GET /syncs/{sync}" in TABLE:
            assert done.answer.status_code == str(expected)
