"""What people do is in the audit log, or it is not done: the state store may be away in between."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.app import App
from shared.errors import RetryLater
from shared.settings import Settings
from shared.state import DeadLetter, Pause
from tests.console.conftest import LISTENER, Served, World, always_later, console_of, serving
from tests.store_in_front import StoreInFront


def away(*_: object, **__: object) -> None:
    """Fail a call of the state store."""
    raise RetryLater("The state store is not available", retry_after=3)


@pytest.fixture
def store(world: World) -> StoreInFront:
    """A state store that takes no entry of the audit log."""
    return StoreInFront(world.app.state, add_audit=away)


@pytest.fixture
def served(world: World, store: StoreInFront) -> Iterator[Served]:
    """The console with that store."""
    variables = world.variables
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=always_later(), state=store)
    with console_of(app) as console, serving(replace(console, wake=lambda _: None)) as made:
        yield made


@pytest.fixture
def file(world: World) -> Path:
    """The definition of a sync with a listener."""
    world.define("customers", more=LISTENER)
    return world.folder / "syncs" / "customers.yaml"


def _put(served: Served, text: str, etag: str) -> requests.Response:
    url = f"{served.url}/api/syncs/customers/definition"
    headers = {"if-match": etag, "content-type": "application/yaml"}
    return requests.put(url, data=f"{text}# more\n", headers=headers, timeout=60)


def _rename(served: Served, text: str, etag: str) -> requests.Response:
    return _put(served, text.replace("name: customers", "name: clients"), etag)


def _delete(served: Served, _text: str, etag: str) -> requests.Response:
    return requests.delete(f"{served.url}/api/syncs/customers/definition", headers={"if-match": etag}, timeout=60)


def _make(served: Served, text: str, _etag: str) -> requests.Response:
    new = text.replace("name: customers", "name: others").replace(LISTENER, "")
    return requests.post(f"{served.url}/api/syncs", json={"text": new}, timeout=60)


def _switch(served: Served, _text: str, etag: str) -> requests.Response:
    url, headers = f"{served.url}/api/syncs/customers/listener", {"if-match": etag}
    return requests.put(url, json={"enabled": False}, headers=headers, timeout=60)


def _press(do: str) -> Callable[[Served, str, str], requests.Response]:
    def press(served: Served, text: str, etag: str) -> requests.Response:
        form = {
            "_text": base64.b64encode(f"{text}# more\n".encode()).decode(),
            "_file": "customers.yaml",
            "_version": etag.strip('"'),
            "_tab": "yaml",
            "_sure": "customers.yaml",
            "do": do,
        }
        url, headers = f"{served.url}/syncs/customers/edit", {"origin": served.url}
        return requests.post(url, data=form, headers=headers, timeout=60, allow_redirects=False)

    return press


WAYS = {
    "put": _put,
    "rename": _rename,
    "delete": _delete,
    "make": _make,
    "switch": _switch,
    "save": _press("save:anyway"),
    "remove": _press("delete"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_definition_that_cannot_be_noted_is_not_changed(
    served: Served, world: World, store: StoreInFront, file: Path, way: str
) -> None:
    """The answer says so; the same request succeeds when the store is back, and is noted."""
    before, files = file.read_text(), world.app.wiring.definition_files
    etag = requests.get(f"{served.url}/api/syncs/customers/definition", timeout=60).headers["etag"]
    answer = WAYS[way](served, before, etag)
    assert answer.status_code == (200 if way in {"save", "remove"} else 503)
    assert "The state store is not available; nothing was changed" in answer.text
    assert (file.read_text(), sorted(each.name for each in file.parent.glob("*.yaml"))) == (before, [file.name])
    assert [each.action for each in files.versions("customers.yaml")] in ([], ["found"])
    assert files.versions("others.yaml") == ()
    assert store.audit() == ()
    del store.before["add_audit"]
    assert WAYS[way](served, before, etag).status_code < 400
    assert len(store.audit()) == 1


def test_what_somebody_else_has_saved_since_is_not_taken_back(
    served: Served, store: StoreInFront, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer says that the change may be noted nowhere, and so does the log of the program."""
    before = file.read_text()
    etag = requests.get(f"{served.url}/api/syncs/customers/definition", timeout=60).headers["etag"]

    def saved_elsewhere(*_: object) -> None:
        file.write_text(f"{before}# theirs\n")
        away()

    store.before["add_audit"] = saved_elsewhere
    answer = _put(served, before, etag)
    assert answer.status_code == 503
    assert "customers.yaml was changed all the same, and the change may be noted nowhere" in answer.json()["detail"]
    assert "customers.yaml was changed, and the change could not be noted" in caplog.text
    assert file.read_text() == f"{before}# theirs\n"


LETTER = DeadLetter(
    id="l1", sync="customers", body=b"{}", partition="0", sequence=1, error="E", message="m",
    kept=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip
PAUSE = Pause(sync="customers", run_id="0" * 32, since=datetime(2026, 1, 1, tzinfo=UTC))
DEEDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "start": ("jobs", {"kind": "plan"}, "request_job"),
    "resume": ("resume", {}, "resume"),
    "remove": ("dead-letters/discard", {"all": True}, "remove_dead_letters"),
}


def _left(store: StoreInFront) -> tuple[int, int, int]:
    """What a deed would have changed: open jobs, pauses, dead letters."""
    return len(store.open_jobs()), len(store.pauses()), store.count_dead_letters("customers")


@pytest.mark.parametrize("deed", DEEDS)
def test_what_cannot_be_noted_is_not_done(served: Served, store: StoreInFront, file: Path, deed: str) -> None:
    """No job is made, no pause ends and no dead letter is removed."""
    assert file.exists()
    store.add_dead_letters([LETTER])
    if deed == "resume":
        store.pause(PAUSE)
    before = _left(store)
    path, body, _ = DEEDS[deed]
    url = f"{served.url}/api/syncs/customers/{path}"
    assert requests.post(url, json=body, timeout=60).status_code == 503
    assert (_left(store), store.audit()) == (before, ())
    del store.before["add_audit"]
    assert requests.post(url, json=body, timeout=60).status_code < 300
    assert len(store.audit()) == 1


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_noted_and_then_fails_is_noted_as_failed(
    served: Served, store: StoreInFront, file: Path, deed: str
) -> None:
    """With the reason."""
    assert file.exists()
    store.add_dead_letters([LETTER])
    if deed == "resume":
        store.pause(PAUSE)
    path, body, call = DEEDS[deed]
    store.before = {call: away}
    assert requests.post(f"{served.url}/api/syncs/customers/{path}", json=body, timeout=60).status_code == 503
    failed, noted = store.audit()
    assert (failed.action, failed.after) == (f"failed: {noted.action}", "The state store is not available")
