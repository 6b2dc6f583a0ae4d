"""Who may give a name to a sync: what is kept of a sync belongs to its name, also when the sync is deleted."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from console.editor import naming
from console.editor.asking import DRAFT_ACTIONS
from shared.app.definition_files import Author
from shared.state import AuditEntry, DeadLetter, JobKind, JobRequest, Pause, RunRecord, StateStore
from tests.console.conftest import Served, World

RIGHTS = "permissions: {admin: [Owners], execute: [Runners]}\n"
IN_USE = "he name hr is in use: choose another one"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Console:
    """The console for persons, and the text of the definition `hr`.

    Args:
        served: Answers.
        world: Has no definition `hr` afterwards.
    """

    def __init__(self, served: Served, world: World) -> None:
        self._served = served
        self._files = world.folder / "syncs"
        world.define("hr")
        self.text = (self._files / "hr.yaml").read_text()
        (self._files / "hr.yaml").unlink()

    @property
    def origin(self) -> dict[str, str]:
        """The header by which the console knows its own pages."""
        return {"origin": self._served.url}

    def call(self, roles: tuple[str, ...], method: str, path: str, **sent: Any) -> requests.Response:
        session = self._served.as_person(*roles)
        return session.request(method, f"{self._served.url}{path}", timeout=60, **sent)

    def make(self, *roles: str, more: str = "") -> requests.Response:
        """Make the sync `hr` over the API."""
        return self.call(roles, "POST", "/api/syncs", json={"text": self.text + more})

    def pressed(self, do: str, *roles: str, action: str = "/new/edit", file: str = "hr.yaml") -> requests.Response:
        """Press a button of the editor with a draft of `hr`."""
        fields = {"_text": base64.b64encode(self.text.encode()).decode(), "_file": file, "_tab": "yaml", "do": do}
        if "syncs" in action:
            fields["_version"] = self.call(roles, "GET", f"/api{action[:-4]}definition").headers["etag"].strip('"')
        return self.call(roles, "POST", action, data=fields, headers=self.origin, allow_redirects=False)

    def hide(self, file: str = "hr.yaml") -> None:
        """Give the name to a sync to which only its owners have a right."""
        (self._files / file).write_text(self.text + RIGHTS)

    def delete(self) -> None:
        """Delete the sync, as its owner does it."""
        path = "/api/syncs/hr/definition"
        etag = self.call(("Owners",), "GET", path).headers["etag"]
        assert self.call(("Owners",), "DELETE", path, headers={"if-match": etag}).status_code == 204

    def rename(self, *roles: str, mine: str = "mine") -> requests.Response:
        """Give the name to the sync `mine`, over the API."""
        path = f"/api/syncs/{mine}/definition"
        read = self.call(roles, "GET", path)
        text = read.text.replace(f"name: {mine}\n", "name: hr\n")
        return self.call(roles, "PUT", path, data=text.encode(), headers={"if-match": read.headers["etag"]})


@pytest.fixture
def console(served_to_many: Served, world: World) -> Console:
    return Console(served_to_many, world)


def test_a_new_sync_sees_nothing_of_a_deleted_one(console: Console, world: World) -> None:
    """Its name is as little free as that of a sync that is hidden from the person, with the same answers."""
    answers = []
    for is_deleted in (False, True):
        console.hide()
        run = world.app.run("hr").run_id
        if is_deleted:
            console.delete()
        api = console.make("Sync.Create")
        form = {"name": "hr", "source": "x", "entity": "account", "do": "empty"}
        new = console.call(("Sync.Create",), "POST", "/new", data=form, headers=console.origin)
        saved, asked = (console.pressed(do, "Sync.Create").text for do in ("save:anyway", "preview"))
        answers.append((api.status_code, api.json(), new.text, saved, asked))
        assert console.call(("Sync.Create",), "GET", f"/api/runs/{run}").status_code == 404
    assert answers[0] == answers[1]
    assert (answers[0][0], IN_USE in answers[0][1]["detail"]) == (409, True)
    assert "his name is in use: choose another one" in answers[0][2]
    assert all(IN_USE in page for page in answers[0][3:])
    assert world.app.state.job_files() == ()
    assert not (world.folder / "syncs" / "hr.yaml").exists()


@pytest.mark.parametrize("way", ["api", "editor"])
def test_a_pause_goes_with_the_name(console: Console, world: World, way: str) -> None:
    """Else the next run would write again what the undo has taken back."""
    world.define("mine")
    pause = Pause(sync="mine", run_id="0" * 32, since=NOW, by="someone")
    world.app.state.pause(pause)
    if way == "api":
        assert console.rename("Sync.Admin").status_code == 204
    else:
        saved = console.pressed("save:anyway", "Sync.Admin", action="/syncs/mine/edit", file="mine.yaml")
        assert saved.status_code == 303
    assert dict(world.app.state.pauses()) == {"hr": replace(pause, sync="hr")}
    world.app.state.resume("hr")


@pytest.mark.parametrize("way", ["api", "editor"])
def test_a_sync_is_not_renamed_while_its_run_works(console: Console, world: World, way: str) -> None:
    """A run under the new name would work beside it."""
    world.define("mine")
    lease = world.app.state.acquire_lease("sync/mine", holder="r", seconds=60)
    assert lease is not None
    if way == "api":
        renamed = console.rename("Sync.Admin")
        assert (renamed.status_code, renamed.json()["title"]) == (409, "Not renamed")
    else:
        renamed = console.pressed("save:anyway", "Sync.Admin", action="/syncs/mine/edit", file="mine.yaml")
        assert renamed.status_code == 200
    assert "a run of mine has not ended" in renamed.text
    assert "name: mine" in (world.folder / "syncs" / "mine.yaml").read_text()
    world.app.state.release_lease(lease)


def test_a_sync_is_not_renamed_to_see_a_deleted_one(console: Console, world: World) -> None:
    """Nor is the draft tried out with what is kept of the other one."""
    world.define("mine", more="permissions: {write: [Writers], admin: [Chiefs]}\n")
    answers = []
    for is_deleted in (False, True):
        console.hide()
        world.app.run("hr")
        if is_deleted:
            console.delete()
        for role in ("Writers", "Chiefs"):
            renamed = console.rename(role)
            preview = console.call((role,), "POST", "/api/syncs/mine/preview", json={"text": console.text})
            answers.append([role, renamed.status_code, renamed.json()["problems"], preview.json()])
            saved = console.pressed("save:anyway", "Chiefs", action="/syncs/mine/edit", file="mine.yaml")
            assert (saved.status_code, IN_USE in saved.text) == (200, True)
    assert answers[:2] == answers[2:]
    assert (answers[1][1], answers[1][2][0]["path"], IN_USE in answers[1][2][0]["message"]) == (422, "name", True)
    assert "name: mine" in (world.folder / "syncs" / "mine.yaml").read_text()
    assert world.app.state.job_files() == ()


@pytest.mark.parametrize("role", ["Owners", "Sync.Admin"])
def test_who_could_see_all_of_a_deleted_sync_makes_it_again(console: Console, world: World, role: str) -> None:
    """And sees its runs again; also by renaming another one."""
    console.hide()
    run = world.app.run("hr").run_id
    console.delete()
    assert console.make("Sync.Create", "Runners").status_code == 409
    assert console.make("Sync.Create", role).status_code == 201
    assert console.call((role,), "GET", f"/api/runs/{run}").status_code == 200
    console.hide()
    console.delete()
    world.define("mine", more="permissions: {write: [Owners]}\n")
    assert console.rename(role).status_code == 204


def test_rights_by_a_deleted_text_end_after_seven_days(console: Console, world: World) -> None:
    """As for a page that was open meanwhile; then `Sync.Admin` can make it."""
    console.hide()
    world.app.run("hr")
    console.delete()
    for path in (world.folder / "syncs" / ".versions" / "hr.yaml").iterdir():
        value = json.loads(path.read_text()) | {"at": (datetime.now(UTC) - timedelta(days=8)).isoformat()}
        path.write_text(json.dumps(value))
    assert console.make("Sync.Create", "Owners").status_code == 409
    assert console.make("Sync.Admin").status_code == 201


def entry(action: str, number: int = 0) -> AuditEntry:
    at = NOW + timedelta(minutes=number)
    return AuditEntry(id=f"e{number}", at=at, by="b", name="Bob", action=action, sync="hr")


def _under_lease(state: StateStore, write: Callable[[int], object]) -> None:
    """Write with the fencing number of a lease of the sync."""
    lease = state.acquire_lease("sync/hr", holder="h", seconds=30)
    assert lease is not None
    write(lease.fence)
    state.release_lease(lease)


def _behind_questions(state: StateStore) -> None:
    for number in range(120):
        state.add_audit(entry(min(DRAFT_ACTIONS) if number else "asked for a plan", number))


LETTER = DeadLetter(
    id="1", sync="hr", body=b"{}", partition="0", sequence=1, offset="1", error="E", message="m", enqueued=NOW, kept=NOW
)
RUN = RunRecord(run_id="r", sync="hr", version="", trigger="timer", state="Failed", started=NOW)
JOB = JobRequest(id="j", sync="hr", requested=NOW, requested_by="Bob")
KEPT: dict[str, Callable[[StateStore], object]] = {
    "run": lambda state: state.begin_run(RUN),
    "entry": lambda state: state.add_audit(entry("asked for a plan")),
    "entry behind questions": _behind_questions,
    "job": lambda state: state.request_job(JOB),
    "watermark": lambda state: _under_lease(state, lambda fence: state.set_watermark("hr", "9", fence=fence)),
    "ledger": lambda state: _under_lease(state, lambda fence: state.swap_ledger("hr", [], expected=None, fence=fence)),
    "mirror": lambda state: _under_lease(
        state, lambda fence: state.swap_mirror("hr", "{}", [], expected=None, fence=fence)
    ),
    "letter": lambda state: state.add_dead_letters([LETTER]),
    "pause": lambda state: state.pause(Pause(sync="hr", run_id="r", since=NOW)),
}


@pytest.mark.parametrize("kind", KEPT)
def test_a_name_is_not_free_while_anything_is_kept_of_it(console: Console, world: World, kind: str) -> None:
    """Whatever is left of a sync that was run and deleted elsewhere."""
    KEPT[kind](world.app.state)
    assert console.make("Sync.Create").status_code == 409
    assert console.make("Sync.Admin").status_code == 201


def test_versions_of_a_file_are_not_taken_over(console: Console, world: World) -> None:
    """The sync of the file had another name."""
    files = world.app.wiring.definition_files
    stored = files.write("hr.yaml", console.text.replace("name: hr", "name: other"), expected=None, by=Author())
    files.delete("hr.yaml", expected=stored.version, by=Author())
    assert console.make("Sync.Create").status_code == 409


def test_questions_about_drafts_take_no_name(console: Console, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one's own nor those of others, up to a bound."""
    state = world.app.state
    state.request_job(JobRequest(id="q", sync="hr", requested=NOW, kind=JobKind.TEST))
    for number in range(120):
        state.add_audit(entry(min(DRAFT_ACTIONS), number))
    assert "A run of the first 10 rows" in console.pressed("preview", "Sync.Create").text
    monkeypatch.setattr(naming, "_MOST_READ", 2)
    assert console.make("Sync.Create").status_code == 409
    monkeypatch.undo()
    assert [console.pressed("save", "Sync.Create").status_code for _ in range(2)] == [303, 303]  # sent twice


@pytest.mark.parametrize("is_there", [True, False])
def test_a_name_that_cannot_be_one_is_told_as_a_mistake(console: Console, world: World, *, is_there: bool) -> None:
    """With its place, whatever other syncs are called; so are texts that cannot be read."""
    if is_there:
        world.define("new")
    for text, path in (
        (console.text.replace("name: hr", "name: A"), "name"),
        (console.text.replace("name: hr", "name: a_b"), "name"),
        (console.text.replace("name: hr\n", ""), "name"),
        ("name: [", ""),
        ("", ""),
    ):
        made = console.call(("Sync.Create",), "POST", "/api/syncs", json={"text": text})
        assert (made.status_code, "in use" in made.text) == (422, False)
        assert path in [each["path"] for each in made.json()["problems"]]
    console.hide()
    console.text = console.text.replace("name: hr", "name: A")
    for do in ("save", "preview"):
        assert "in use" not in console.pressed(do, "Sync.Create").text


def test_the_file_of_a_hidden_sync_is_not_named(console: Console, world: World) -> None:
    """Its name is in use, and that is all."""
    console.hide("people.yaml")
    checked = console.call(("Sync.Create",), "POST", "/api/definitions/validate", json={"text": console.text})
    pages = [console.pressed(do, "Sync.Create").text for do in ("show:yaml", "save")]
    for text in (checked.text, console.make("Sync.Create").text, *pages):
        assert (IN_USE in text, "people" in text) == (True, False)


def _at_once(*requests_: Callable[[], requests.Response]) -> list[int]:
    """The statuses of requests that are sent at the same time, in order."""
    begin = threading.Barrier(len(requests_))

    def sent(request: Callable[[], requests.Response]) -> int:
        begin.wait()
        return request().status_code

    with ThreadPoolExecutor(len(requests_)) as pool:
        return sorted(pool.map(sent, requests_))


def test_one_name_is_not_given_twice_at_the_same_time(console: Console, world: World) -> None:
    """Neither to two syncs that exist, nor to one of them and a new one: both could not run any more."""
    for way in ("rename", "rename", "make", "make"):
        for mine in ("mine", "theirs"):
            world.define(mine)
        others = {
            "rename": lambda: console.rename("Sync.Admin", mine="theirs"),
            "make": lambda: console.make("Sync.Admin"),
        }
        statuses = _at_once(lambda: console.rename("Sync.Admin"), others[way])
        assert statuses in ([201, 422], [204, 409], [204, 422])
        files = [*(world.folder / "syncs").glob("*.yaml")]
        assert sum("name: hr\n" in file.read_text() for file in files) == 1
        for file in files:
            file.unlink()


@pytest.mark.parametrize("way", ["rename", "make", "save", "save new"])
def test_a_name_that_is_taken_meanwhile_is_not_given(console: Console, world: World, way: str) -> None:
    """Between the check and the writing: here another one has the name under way, and then gives it."""
    world.define("mine")
    before, state = (world.folder / "syncs" / "mine.yaml").read_text(), world.app.state
    editor = {"action": "/syncs/mine/edit", "file": "mine.yaml"}
    ways: dict[str, Callable[[], requests.Response]] = {
        "rename": lambda: console.rename("Sync.Admin"),
        "make": lambda: console.make("Sync.Admin"),
        "save": lambda: console.pressed("save:anyway", "Sync.Admin", **editor),
        "save new": lambda: console.pressed("save:anyway", "Sync.Admin"),
    }
    lease = state.acquire_lease("sync/hr", holder="naming-x", seconds=60)
    assert lease is not None
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ways[way])
        time.sleep(2)
        console.hide("people.yaml")
        state.release_lease(lease)
        answer = asked.result(timeout=60)
    assert answer.status_code == {"rename": 422, "make": 409}.get(way, 200)
    assert "he name hr is " in answer.text
    assert (world.folder / "syncs" / "mine.yaml").read_text() == before
    assert not (world.folder / "syncs" / "hr.yaml").exists()


def test_a_new_sync_that_is_sent_twice_at_once_is_made_once(console: Console) -> None:
    """Both answers show it."""
    assert _at_once(*[lambda: console.pressed("save:anyway", "Sync.Create")] * 2) == [303, 303]
