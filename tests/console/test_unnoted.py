"""What people do is in the audit log, or it is not done: the state store may be away in between."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from console.local import local_console
from shared.app import App
from shared.errors import RetryLater
from shared.settings import Settings
from tests.console.conftest import LISTENER, Served, World, always_later, serving
from tests.store_in_front import StoreInFront, failing

AWAY = failing(RetryLater("The state store is not available", retry_after=3))


@pytest.fixture
def store(world: World) -> StoreInFront:
    """A state store that takes no entry of the audit log."""
    return StoreInFront(world.app.state, add_audit=AWAY)


@pytest.fixture
def served(world: World, store: StoreInFront) -> Iterator[Served]:
    """The console with that store."""
    variables = world.variables
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=always_later(), state=store)
    with serving(local_console(app)) as made:
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
        AWAY()

    store.before["add_audit"] = saved_elsewhere
    answer = _put(served, before, etag)
    assert answer.status_code == 503
    assert "customers.yaml was changed all the same, and the change may be noted nowhere" in answer.json()["detail"]
    assert "customers.yaml was changed, and the change could not be noted" in caplog.text
    assert file.read_text() == f"{before}# theirs\n"
