"""What the pages show: an app without syncs, and one whose syncs have been through everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import requests

from shared.errors import SyncError
from shared.events import Message
from shared.jobs.real_time.events import run_events
from shared.state import DeadLetter, Job, JobRequest, RunRecord
from tests.console.conftest import LISTENER, Served, World
from tests.console.editor.pages import form_of
from tests.console.test_jobs_api import Client
from tests.console.test_real_time import row_of

__all__ = ["LONG", "TAKEN", "WIDE", "filled"]

LONG: Final = "customers-of-all-regions-whose-name-is-as-long-as-somebody-may-choose-it"
"""The longest name of a sync here."""
TAKEN: Final = "customers-partner-key"
"""The name of a secret that is in the vault from the beginning."""
WIDE: Final = 1002
"""Columns of a sync: 25 pages of the form, and two rows on the last one."""
_LISTENS: Final = LISTENER.replace("name: crm", "name: crm, auto_offset_reset: earliest")
_RIGHTS: Final = "permissions: {read: [Readers], execute: [Readers, Operators], write: [Writers]}\n"
_PARAMETERS: Final = """
parameters:
  region: {default: North, description: Rows of this region are read}
  day: {formula: NOW(), description: The day that is read}
  since: {default: 2026-01-31T12:00:00Z}
  most: {default: 100}
  all: {default: true}
  key: {formula: SECRET('partner-key')}
"""
_BY_FILE: Final = "parameters: {file_path: {description: The export of the shop}, region: {default: North}}\n"
_DETAILS: Final = """
description: All customers of the shop, with their names, from the nightly export.
schedule: "0 3 * * *"
time_zone: Europe/Berlin
quiet: "22:00-02:00"
post_sync: [{name: refresh rollups, timeout: 60, action: new_RefreshRollups, body: {Tag: "@run.created"}}]
"""
_COURSE: Final = {
    "seconds": [2, 4, 6, 8, 10, 12],
    "rows": [0, 2000, 9000, 11000, 20000, 30000],
    "parallel": [4, 4, 8, 8, 16, 16],
    "throttled": [0, 0, 0, 3, 3, 3],
}


def filled(world: World, served: Served) -> Mapping[str, str]:
    """Fill a world; runs, plans and undos are real ones.

    Returns:
        The ids of what the pages are about, each with a name.
    """
    client = Client(served, "Sync.Admin")
    found = _customers(world, client) | _taken_back(world, client) | _of_moments(world)
    _without_runs(world)
    _versions(served)
    _partitions(world)
    return found | _letters(world) | _failures(world, client)


def _customers(world: World, client: Client) -> dict[str, str]:
    """A sync with several runs, with rows to mend, plans of each kind, and entries in the audit log."""
    world.define("customers", rows=12, more=_LISTENS + _RIGHTS + _PARAMETERS + _DETAILS.replace("post_sync", "#"))
    first = _run(world, "customers")
    rows = [(f"customers-{number}", f"A new name of account {number} that is rather long") for number in range(3, 14)]
    world.write("customers", [*rows, ("", "No number"), ("", "No number either"), ("customers-99", "Long " * 40)])
    errors = _run(world, "customers")
    world.write("customers", [*rows[:9], ("customers-11", ""), ("customers-20", "Twenty")])
    plan = client.planned("customers")
    applied = client.planned("customers")
    client.ended(client.post(f"/plans/{applied}/apply")["id"])
    nothing = client.planned("customers")
    file = client.get(f"/runs/{errors}/files")["files"][-1]
    mended = client.raw(f"/runs/{errors}/files/{file}").text.replace("Long " * 40, "Mended").encode()
    retried = client.post(f"/runs/{errors}/retry", data=mended, headers={"content-type": "text/csv"})["id"]
    retry = client.ended(retried)["run"].removeprefix("/api/runs/")
    world.write("customers", [])
    unsafe = client.planned("customers")
    return {
        "file": file, "first": first, "errors": errors, "plan": plan, "applied": applied, "retry": retry, "nothing": nothing,
        "unsafe": unsafe,
    }  # fmt: skip


def _taken_back(world: World, client: Client) -> dict[str, str]:
    """A sync whose run was taken back, so that it is paused; somebody had changed one of its records."""
    world.define("contacts", rows=4)
    _run(world, "contacts")
    world.write("contacts", [("contacts-0", "Wrong"), ("contacts-1", "Worse"), ("contacts-7", "New")])
    run = _run(world, "contacts")
    _rename(world, "contacts-1", "Edited by a person")
    undo_plan = client.ended(client.post(f"/runs/{run}/undo-plan")["id"])["id"]
    undo = client.ended(client.post(f"/runs/{run}/undo")["id"])["run"].removeprefix("/api/runs/")
    none_left = client.ended(client.post(f"/runs/{run}/undo-plan")["id"])["id"]
    return {"undo_plan": undo_plan, "undone": run, "undo": undo, "undone_plan": none_left}


def _run(world: World, sync: str) -> str:
    """Run a sync; it may fail."""
    with suppress(SyncError):
        world.app.run(sync)
    return world.app.state.runs(sync)[0].run_id


def _rename(world: World, number: str, name: str) -> None:
    headers = {"Authorization": f"Bearer {world.emulator.token()}"}
    url = f"{world.emulator.service_url}accounts?$select=accountid&$filter=accountnumber eq '{number}'"
    (found,) = requests.get(url, headers=headers, timeout=10).json()["value"]
    one = f"{world.emulator.service_url}accounts({found['accountid']})"
    requests.patch(one, json={"name": name}, headers=headers, timeout=10).raise_for_status()


def _of_moments(world: World) -> dict[str, str]:
    """What a run or a job is like while it goes on; the log of a large run, and of one whose process has ended."""
    world.define(LONG, more=_DETAILS)
    world.define("moving")
    world.define("waiting")
    state, now = world.app.state, datetime.now(UTC)
    run = RunRecord(run_id="a1" * 16, sync="moving", version="1", trigger="command", state="Running", started=now)
    state.begin_run(run)
    assert state.acquire_lease("sync/moving", holder=run.run_id, seconds=3600)
    state.note_progress(run.run_id, {"phase": "write", "rows": 1_250_000, "total": 2_000_000, "seconds": 800.0})
    lost = replace(run, run_id="b2" * 16, sync=LONG, started=now - timedelta(hours=3), trigger="timer")
    state.begin_run(lost)
    large = replace(lost, run_id="c3" * 16, started=now - timedelta(days=2), state="Completed with errors")
    for days in range(3, 12):
        older = replace(large, run_id=f"{days:02}" * 16, started=now - timedelta(days=days))
        state.begin_run(replace(older, ended=older.started + timedelta(minutes=9), duration=540, counts=_counts(days)))
    state.begin_run(replace(large, ended=large.started + timedelta(hours=2), duration=7200, counts=_counts(20)))
    held = _asked(now, "0d" * 16, "first")
    waiting = _asked(now, "1d" * 16, "second")
    for request in (held, waiting):
        state.request_job(request)
    away = now + timedelta(minutes=4)
    state.put_job(Job(request=held, since=held.requested, message="Dataverse is away", not_before=away, attempts=2))
    return {"running": run.run_id, "lost": lost.run_id, "large": large.run_id, "waiting": waiting.id, "held": held.id}


def _asked(now: datetime, job: str, part: str) -> JobRequest:
    """A run that the schedule asked for; the console leaves it to the timer."""
    asked = now - timedelta(minutes=5)
    return JobRequest(id=job, sync="waiting", requested=asked, trigger="timer", parameters={"part": part})


def _counts(size: int) -> dict[str, Any]:
    """The counts of a run of many rows."""
    done = {"created": 98_765, "updated": 12_345, "deleted": 1_234, "upserted": 0}
    return {
        "strategy": "full",
        "environment": "https://an-organisation-with-a-long-name.crm4.dynamics.com",
        "source": {"processed": 1_234_567 * size, "verified": 1_234_000 * size, "rejected": 567 * size, "filtered": 0},
        "unchanged": 1_111_111 * size,
        "failed": 89 * size,
        "requests": 54_321,
        "throttled": 12,
        "course": _COURSE,
        "rows_in_error": 656,
    } | {name: {"planned": count * size, "done": count * size} for name, count in done.items()}


def _without_runs(world: World) -> None:
    """Syncs that never ran: some that can, and some with mistakes."""
    for name in ("fresh", "leaving", "short"):
        world.define(name)
    world.define("broken", more="nonsense: true\nschedule: 61 * * * *\n")
    world.define("misfit")
    file = world.folder / "syncs" / "misfit.yaml"
    file.write_text(file.read_text().replace("target: name}", "target: nickname_of_it}"))

    (world.folder / "syncs" / "unreadable.yaml").write_text("name: unreadable\nsource: [")
    world.define("by-file", more=_BY_FILE + _RIGHTS)
    file = world.folder / "syncs" / "by-file.yaml"
    file.write_text(file.read_text().replace(f"path: {world.folder / 'by-file.csv'}", 'path: "@file_path"'))
    _wide(world, "wide", "true")
    _wide(world, "wide-broken", "true, max_length: long")


def _wide(world: World, name: str, last: str) -> None:
    """A sync of many columns; `last` is the trim of the last one, with what follows it."""
    world.define(name)
    fields = [f"field{number}" for number in range(WIDE - 2)]
    columns = "".join(f"    - {{name: {field}, trim: true}}\n" for field in fields[:-1])
    columns += f"    - {{name: {fields[-1]}, trim: {last}}}\n"
    file = world.folder / "syncs" / f"{name}.yaml"
    file.write_text(file.read_text().replace("destination:\n", f"{columns}destination:\n"))
    (world.folder / f"{name}.csv").write_text(",".join(["number", "name", *fields]) + "\n")


def _versions(served: Served) -> None:
    """Versions of a definition: one that was there, and two that a person saved."""
    session = served.as_person("Sync.Admin")
    for text in ("Customers of the shop", "All customers of the shop, with their names, from the nightly export."):
        form = form_of(session, served.url, session.get(f"{served.url}/syncs/customers/edit/info", timeout=30))
        assert form.send("save", description=text).status_code == 303


def _partitions(world: World) -> None:
    """Partitions of which a sync has had events, a part of them hours ago."""
    now = datetime.now(UTC)
    for hours, partitions in (
        (5, {"accounts/0": (12_000, 2.0), "accounts/1": (7, 4.5)}),
        (3, {"accounts/2": (88, 75.0)}),
    ):
        world.app.state.begin_run(row_of("customers", now - timedelta(hours=hours), partitions))


def _letters(world: World) -> dict[str, str]:
    """Events that could not be applied: of a sync, of none, and one that is no text."""
    messages = [_event("customers-1", "Good", 1), _event("customers-2", "Too long " * 30, 2), _event("", "No key", 3)]
    run_events(messages, world.app.listeners(), world.app.event_tools)
    binary = DeadLetter(
        id="unclaimed/hub/0/7", sync="", body=bytes(range(256)) * 8, partition="0", sequence=7, error="Unclaimed",
        message="no listener takes this event", kept=datetime.now(UTC) - timedelta(hours=5),
    )  # fmt: skip
    world.app.state.add_dead_letters([binary])
    letter = next(each for each in world.app.state.dead_letters("customers") if each.sequence == 2)
    return {"letter": letter.id, "binary": binary.id}


def _event(number: str, name: str, sequence: int) -> Message:
    body = json.dumps({"op": "insert", "row": {"number": number, "name": name}}).encode()
    properties = {"origin": "crm", "correlation": "5c1f5b0a-6a43-4d0e-9a57-0d5f0f1f9d11"}
    return Message(body=body, partition="0", sequence=sequence, key=number, properties=properties, hub="accounts")


def _failures(world: World, client: Client) -> dict[str, str]:
    """A run and a plan that failed because there is no file, and a run that broke a limit."""
    world.define("lost-file")
    (world.folder / "lost-file.csv").unlink()
    failed = _run(world, "lost-file")
    plan = client.ended(client.post("/syncs/lost-file/jobs", json={"kind": "plan"})["id"])["id"]
    refused = _run(world, "customers")
    return {"failed": failed, "failed_plan": plan, "refused": refused}
