"""A listener is switched on and off."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from shared.app import App
from shared.settings import Settings
from tests.console.conftest import LISTENER, Served, World, always_later, console_of, pictures, serving, violations

PERMISSIONS = "permissions: {write: [Writers], read: [Readers]}  # who\n"


@pytest.fixture
def file(world: World) -> Path:
    """The definition of a sync with a listener, with rights."""
    world.define("customers", rows=0, more=LISTENER + PERMISSIONS)
    return world.folder / "syncs" / "customers.yaml"


def switched(served: Served, role: str, match: str, *, enabled: object) -> requests.Response:
    """The answer to a program."""
    url, headers = f"{served.url}/api/syncs/customers/listener", {"if-match": match} if match else {}
    return served.as_person(role).put(url, json={"enabled": enabled}, headers=headers, timeout=10)


def listening(world: World) -> list[str]:
    """The listeners that take events."""
    return [each.listener for each in world.app.listeners().syncs]


def test_a_program_switches_a_listener_under_a_condition(served_to_many: Served, world: World, file: Path) -> None:
    """Nothing else of the definition changes; without the right, or after another change, nothing happens."""
    before = file.read_text()
    etag = (
        served_to_many.as_person("Writers").get(f"{served_to_many.url}/api/syncs/customers/definition").headers["etag"]
    )
    refused = [switched(served_to_many, role, etag, enabled=False).status_code for role in ("Readers", "Others")]
    assert refused == [403, 404]
    assert switched(served_to_many, "Writers", "", enabled=False).status_code == 428
    assert switched(served_to_many, "Writers", etag, enabled="no").status_code == 422
    assert switched(served_to_many, "Writers", '"another"', enabled=False).status_code == 412
    assert (file.read_text(), world.app.state.audit("customers"), listening(world)) == (before, (), ["crm"])
    done = switched(served_to_many, "Writers", etag, enabled=False)
    off = before.replace("name: crm,", "name: crm, status: disabled,")
    assert (done.json(), file.read_text(), listening(world)) == ({"enabled": False}, off, [])
    assert switched(served_to_many, "Writers", etag, enabled=True).status_code == 412
    again = switched(served_to_many, "Writers", done.headers["etag"], enabled=True)
    assert (again.status_code, file.read_text()) == (200, off.replace("disabled", "enabled"))
    assert listening(world) == ["crm"]
    on, offed = world.app.state.audit("customers")
    assert (offed.action, offed.name, on.action) == ("switched the listener off", "Ann", "switched the listener on")
    assert "status: disabled" in offed.after


def test_a_person_switches_a_listener_on_its_page(page: Page, world: World, file: Path, tmp_path: Path) -> None:
    """The page says what it means."""
    page.goto("/real-time/customers")
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_text("Listener crm (json) is off")).to_be_visible()
    assert violations(page) == []
    pictures(page, "switched-off", tmp_path)
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("Listener crm (json) is on")).to_be_visible()


def test_only_who_may_write_has_the_button(served_to_many: Served, file: Path) -> None:
    """A post is refused without the right, without on or off, and from a page that is older than the definition."""
    url, origin = f"{served_to_many.url}/real-time/customers", {"origin": served_to_many.url}
    shown = {role: "Switch off" in served_to_many.as_person(role).get(url).text for role in ("Writers", "Readers")}
    assert shown == {"Writers": True, "Readers": False}
    version = re.findall(r'name="version" value="([^"]+)"', served_to_many.as_person("Writers").get(url).text)[0]
    form = {"to": "off", "version": version}
    assert served_to_many.as_person("Readers").post(f"{url}/switch", data=form, headers=origin).status_code == 403
    other = served_to_many.as_person("Writers").post(f"{url}/switch", data=form | {"to": "no"}, headers=origin)
    assert other.status_code == 400
    text = file.read_text() + "# of somebody else\n"
    file.write_text(text)
    late = served_to_many.as_person("Writers").post(f"{url}/switch", data=form, headers=origin)
    assert (late.status_code, "Changed meanwhile" in late.text, file.read_text()) == (412, True, text)


def test_what_cannot_be_switched_says_why(served: Served, world: World, file: Path) -> None:
    """A definition that is read only, and a sync without listener."""
    world.define("plain")
    etag = requests.get(f"{served.url}/api/syncs/plain/definition", timeout=10).headers["etag"]
    url = f"{served.url}/api/syncs/plain/listener"
    without = requests.put(url, json={"enabled": False}, headers={"if-match": etag}, timeout=10)
    assert (without.status_code, "has no listener" in without.json()["detail"]) == (409, True)
    variables = {**world.variables, "SYNC_DEFINITIONS": str(file)}
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=always_later())
    with console_of(app) as console, serving(console) as other:
        assert (
            "names one file, so nothing can be changed here"
            in requests.get(f"{other.url}/real-time/customers", timeout=10).text
        )
        url = f"{other.url}/api/syncs/customers/listener"
        refused = requests.put(url, json={"enabled": False}, headers={"if-match": "any"}, timeout=10)
        assert (refused.status_code, "names one file" in refused.json()["detail"]) == (409, True)
    app.state.close()
    assert "disabled" not in file.read_text()
