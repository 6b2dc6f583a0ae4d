"""Secrets that people write into a vault: in the form of the editor, over the API, and in Chromium."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from azure.keyvault.secrets import SecretClient
from playwright.sync_api import Page, expect

from shared.app import App
from shared.settings import Settings
from shared.state import RunState
from tests.console.conftest import Served, World, always_later, pictures, unreachable, violations
from tests.console.editor.pages import Form, form_of
from tests.unit.secrets.fake_cloud import FakeCloud
from tests.unit.secrets.fixtures import empty_cloud, server, trusted_cloud

__all__ = ["empty_cloud", "server", "trusted_cloud"]

PERMISSIONS = "permissions: {admin: [Owners], write: [Writers], read: [Readers]}\n"
VALUE = "v4lue-that-nobody-sees"
FIELD = "secret:destination.client_secret"
NAME = "customers-client-secret"


@pytest.fixture
def cloud(empty_cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch) -> FakeCloud:
    """An empty vault, which the SDK takes for one of Azure."""
    # The vault's challenge names https://vault.azure.net, which is no domain above localhost.
    monkeypatch.setattr("azure.keyvault.secrets.SecretClient", partial(SecretClient, verify_challenge_resource=False))
    return empty_cloud


@pytest.fixture
def world(world: World, cloud: FakeCloud) -> Iterator[World]:
    """A world with a sync that has rights, and with a vault for the secrets of the console."""
    variables = {**world.variables, "CONSOLE_SECRETS_VAULT": cloud.url}
    app = App(Settings.load(variables), read_environment=lambda: variables, clock=always_later())
    yield replace(world, app=app, variables=variables)
    app.state.close()


@pytest.fixture
def customers(world: World) -> Path:
    """The file of a sync with rights."""
    world.define("customers", more=PERMISSIONS)
    return world.folder / "syncs" / "customers.yaml"


def editor(served: Served, *roles: str, sync: str = "customers", tab: str = "destination") -> Form:
    """The editor of a sync for a person with some roles."""
    session = served.as_person(*roles)
    return form_of(session, served.url, session.get(f"{served.url}/syncs/{sync}/edit/{tab}", timeout=30))


def put(served: Served, role: str, name: str, body: Any, sync: str = "customers") -> requests.Response:
    """A request of a program."""
    return served.as_person(role).put(f"{served.url}/api/syncs/{sync}/secrets/{name}", json=body, timeout=30)


def test_a_secret_goes_into_the_vault_and_its_reference_into_the_field(
    served_to_many: Served, customers: Path, world: World, cloud: FakeCloud
) -> None:
    """Unsaved changes of the draft stay; the saved definition runs with the secret, which only runs read."""
    asked = editor(served_to_many, "Owners").press(FIELD, destination__timeout="55")
    assert asked.fields["_name"] == [NAME]
    assert 'type="password"' in asked.html
    assert 'autocomplete="off"' in asked.html
    after = asked.press("", _value=world.emulator.client_secret)
    reference = f"{cloud.url}/secrets/{NAME}"
    destination = yaml.safe_load(after.text)["destination"]
    assert (destination["client_secret"], destination["timeout"]) == ({"key_vault": reference}, 55)
    assert after.fields["destination.client_secret"] == [reference]
    assert after.fields["destination.client_secret.kind"] == ["key_vault"]
    assert (cloud.vault[NAME], cloud.asked["secret"]) == (world.emulator.client_secret, 0)
    cloud.actions.add("getSecret")
    assert after.send("save").status_code == 303
    assert reference in customers.read_text()
    assert world.app.run("customers").state is RunState.SUCCEEDED
    assert len(world.accounts()) == 3
    assert cloud.asked["secret"] == 1


REST = """
  type: rest
  url: https://api.example.com/rows
  headers: {X-Tenant: a}
  auth: {type: bearer, token: {env: TOKEN}}
  columns: [{name: number}, {name: name}]
"""


def test_a_field_that_the_text_cannot_have_keeps_its_tab_open(
    served_to_many: Served, customers: Path, cloud: FakeCloud
) -> None:
    """Nothing is written, and what was typed is shown with its mistake; once it is right, the form comes."""
    before, _, after = customers.read_text().partition("source:")
    customers.write_text(f"{before}source:{REST}{after[after.index('destination:') :]}")
    field, typed = "secret:source.auth.token", "X-Tenant: b\nX-Other: ["
    page = editor(served_to_many, "Owners", tab="source").press(field, source__headers=typed)
    assert "This tab stays open" in page.html
    assert page.fields["source.headers"] == [typed]
    assert field in page.buttons
    asked = page.press(field, source__headers="X-Tenant: b")
    assert "_name" in asked.fields
    assert yaml.safe_load(asked.text)["source"]["headers"] == {"X-Tenant": "b"}
    assert cloud.vault == {}


def test_the_value_is_nowhere_but_in_the_vault(
    served_to_many: Served, customers: Path, world: World, cloud: FakeCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a page, the log, the audit log or a file of the app, also where the vault refuses; the name is."""
    caplog.set_level(logging.DEBUG)
    asked = editor(served_to_many, "Owners").press(FIELD)
    pages = [asked.press("", _value=VALUE), asked.press("", _value=VALUE)]  # the second one: the name is in use
    cloud.actions = {"readMetadata"}
    pages.append(asked.press("", _value=VALUE, _name="another"))
    assert [each.html.count("Nothing was written") for each in pages] == [0, 1, 1]
    (entry,) = world.app.state.audit("customers")
    assert (entry.action, entry.name, entry.before, entry.after) == (f"wrote the secret {NAME}", "Ann", "", "")
    kept = b"".join(path.read_bytes() for path in world.folder.rglob("*") if path.is_file()).decode("latin1")
    assert NAME in kept
    assert [text for text in (*(each.html for each in pages), caplog.text, kept) if VALUE in text] == []
    assert cloud.vault == {NAME: VALUE}


def test_nothing_is_replaced_without_being_told_to(
    served_to_many: Served, customers: Path, world: World, cloud: FakeCloud
) -> None:
    """The page says that the name is in use; with the box ticked the vault gets a new version."""
    asked = editor(served_to_many, "Owners").press(FIELD)
    asked.press("", _value="first-value")
    told = asked.press("", _value="second-value")
    assert "There is a secret customers-client-secret, written on" in told.html
    assert cloud.vault[NAME] == "first-value"
    after = told.press("", _value="second-value", _replace="1")
    assert "A new version of the secret" in after.html
    assert (cloud.vault[NAME], len(cloud.versions[NAME])) == ("second-value", 2)
    actions = [each.action for each in world.app.state.audit("customers")]
    assert actions == [f"wrote a new version of the secret {NAME}", f"wrote the secret {NAME}"]
    again = after.press(FIELD)  # the field refers to it now
    assert (again.fields["_name"], again.fields["_replace"]) == ([NAME], ["1"])


def test_a_secret_needs_the_right_admin_to_its_sync(
    served_to_many: Served, customers: Path, world: World, cloud: FakeCloud
) -> None:
    """Who may only change the definition sees no button, and the secrets of another sync are not replaced."""
    world.define("others", more="permissions: {admin: [Writers]}\n")
    page = editor(served_to_many, "Writers")
    assert FIELD not in page.buttons
    forged = replace(page, buttons=[FIELD]).send(FIELD)
    assert forged.status_code == 403
    for role, status in (("Writers", 403), ("Readers", 403), ("Nobody", 404)):
        assert put(served_to_many, role, NAME, {"value": VALUE}).status_code == status
    assert put(served_to_many, "Owners", NAME, {"value": VALUE}).status_code == 200
    taken = put(served_to_many, "Writers", NAME, {"value": "stolen", "replace": True}, sync="others")
    assert (taken.status_code, "not of this sync" in taken.json()["detail"]) == (409, True)
    assert cloud.vault == {NAME: VALUE}
    assert put(served_to_many, "Sync.Admin", NAME, {"value": "x", "replace": True}, sync="others").status_code == 200
    assert put(served_to_many, "Owners", NAME, {"value": "y", "replace": True}).status_code == 200  # it is still theirs


def test_a_secret_that_was_made_by_other_means_is_for_the_administrator(
    served_to_many: Served, customers: Path, cloud: FakeCloud
) -> None:
    """It belongs to no sync."""
    cloud.versions["shared"] = [
        {"id": f"{cloud.url}/secrets/shared/{1:032x}", "attributes": {"enabled": True, "created": 1, "updated": 1}}
    ]
    assert put(served_to_many, "Owners", "shared", {"value": "x", "replace": True}).status_code == 409
    assert put(served_to_many, "Sync.Admin", "shared", {"value": "x"}).status_code == 409
    assert put(served_to_many, "Sync.Admin", "shared", {"value": "x", "replace": True}).status_code == 200


def test_two_people_do_not_write_one_secret_at_the_same_time(
    served_to_many: Served, customers: Path, world: World, cloud: FakeCloud
) -> None:
    """Between the look whether the name is in use and the write nobody else comes."""
    held = world.app.state.acquire_lease(f"secret/{NAME}", holder="another request", seconds=60)
    assert held is not None
    refused = put(served_to_many, "Owners", NAME.upper(), {"value": VALUE})
    assert (refused.status_code, "try again" in refused.json()["detail"]) == (409, True)
    assert not cloud.vault
    world.app.state.release_lease(held)
    assert put(served_to_many, "Owners", NAME.upper(), {"value": VALUE}).status_code == 200


def test_the_api_says_what_stands_in_the_definition(served_to_many: Served, customers: Path, cloud: FakeCloud) -> None:
    """Lines of a certificate stay; what cannot be a secret is refused in words that do not repeat it."""
    pem = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"
    made = put(served_to_many, "Owners", "certificate", {"value": pem})
    assert made.json() == {"reference": {"key_vault": f"{cloud.url}/secrets/certificate"}, "created": True}
    assert cloud.vault["certificate"] == pem
    again = put(served_to_many, "Owners", "certificate", {"value": "x", "replace": True})
    assert again.json()["created"] is False
    bodies: list[Any] = [{}, {"value": ""}, {"value": VALUE * 2000}, {"value": [VALUE]}, {"value": VALUE, "more": 1}]
    bodies += [{"value": "\ud800" + VALUE}, VALUE, {"value": "ä" * 12_501}]
    for body in bodies:
        refused = put(served_to_many, "Owners", "other", body)
        assert (refused.status_code, VALUE in refused.text) == (422, False)
    for name in ("a_b", "x" * 128, "a%20b", "%C3%A4"):
        assert put(served_to_many, "Owners", name, {"value": VALUE}).status_code == 422
    assert put(served_to_many, "Owners", "other", {"value": "x" * 200_000}).status_code == 413
    assert list(cloud.vault) == ["certificate"]


def test_another_site_writes_nothing(served_to_many: Served, customers: Path, cloud: FakeCloud) -> None:
    """Neither by a form nor by the API."""
    session = served_to_many.as_person("Owners")
    for method, path in (("POST", "/syncs/customers/secrets"), ("PUT", f"/api/syncs/customers/secrets/{NAME}")):
        url, headers = served_to_many.url + path, {"origin": "https://evil.example"}
        answer = session.request(method, url, data={"_name": NAME, "_value": VALUE}, headers=headers, timeout=30)
        assert answer.status_code == 403
    assert not cloud.vault


def test_a_draft_that_was_never_saved_gets_its_secret(served_to_many: Served, world: World, cloud: FakeCloud) -> None:
    """It belongs to the sync of that name from the beginning, and no draft replaces a secret that is there."""
    session = served_to_many.as_person("Sync.Create")
    origin = {"origin": served_to_many.url}
    asked = {"name": (None, "fresh"), "entity": (None, "account"), "do": (None, "empty")}
    first = session.post(f"{served_to_many.url}/new", files=asked, headers=origin, timeout=30)
    draft = form_of(session, served_to_many.url, first).press("show:destination")
    after = draft.press(FIELD).press("", _value=VALUE)
    assert after.fields["destination.client_secret"] == [f"{cloud.url}/secrets/fresh-client-secret"]
    assert cloud.versions["fresh-client-secret"][0]["tags"] == {"dynamics-sync": "fresh"}
    refused = draft.press(FIELD).press("", _value="other", _replace="1")
    assert "choose another name" in refused.html
    assert cloud.vault == {"fresh-client-secret": VALUE}
    (entry,) = world.app.state.audit("")
    assert entry.action == "wrote the secret fresh-client-secret"


def test_a_form_for_no_field_or_another_sync_is_refused(served_to_many: Served, customers: Path, world: World) -> None:
    """The reference goes into a field for secrets of the sync whose rights were checked."""
    world.define("others", more=PERMISSIONS)
    asked = editor(served_to_many, "Owners").press(FIELD)
    assert asked.send("", _value=VALUE, _field="destination.entity").status_code == 404
    assert asked.send("", _value=VALUE, _file="others.yaml").status_code == 400
    assert asked.send("", _value=VALUE, _text="%%%").status_code == 400


def test_without_the_setting_there_is_no_such_page(served_to_many: Served, customers: Path, world: World) -> None:
    """Nothing is shown, and every address answers 404."""
    world.app.wiring.__dict__["secret_writer"] = None
    page = editor(served_to_many, "Owners")
    assert "Write a secret" not in page.html
    assert "az keyvault secret set" in page.html
    assert replace(page, buttons=[FIELD]).send(FIELD).status_code == 404
    assert put(served_to_many, "Owners", NAME, {"value": VALUE}).status_code == 404
    origin = {"origin": served_to_many.url}
    for role, path in (("Owners", "/syncs/customers/secrets"), ("Sync.Create", "/new/secrets")):
        url = served_to_many.url + path
        assert served_to_many.as_person(role).post(url, data={}, headers=origin, timeout=30).status_code == 404


def test_a_person_writes_a_secret_in_the_browser(
    page: Page, customers: Path, world: World, cloud: FakeCloud, tmp_path: Path
) -> None:
    """From the field to the form and back; the value is covered, and the browser keeps nothing of it."""
    page.goto("/syncs/customers/edit/destination")
    page.get_by_label("Entity").fill("contact")
    page.get_by_role("button", name="Write a secret for Client secret").click()
    expect(page.get_by_role("heading", name="Write a secret")).to_be_visible()
    value = page.get_by_label("Value")
    expect(value).to_have_attribute("type", "password")
    expect(value).to_have_attribute("autocomplete", "off")
    value.fill(VALUE)
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "secret", tmp_path)
    page.get_by_label("Value").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text(f"The secret {NAME} is in the vault")
    expect(page.locator("#f-destination-client_secret")).to_have_value(f"{cloud.url}/secrets/{NAME}")
    expect(page.get_by_label("Entity")).to_have_value("contact")
    assert VALUE not in page.content()
    assert violations(page) == []
    pictures(page, "secret-written", tmp_path)
    page.get_by_role("button", name="Write a secret for Client secret").click()
    page.get_by_label("Value").fill("typed and not sent")
    page.get_by_role("button", name="Back to the definition").click()
    expect(page.get_by_label("Entity")).to_have_value("contact")
    assert cloud.vault == {NAME: VALUE}
