"""A definition that is deleted, renamed, moved, broken or closed to a person who edits it: the draft is not lost."""

from __future__ import annotations

import html
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, expect

from shared.app.definition_files import Author
from shared.errors import RetryLater
from tests.console.conftest import (
    PATIENCE,
    Served,
    World,
    console_of,
    pictures,
    principal,
    serving,
    unreachable,
    violations,
)
from tests.console.editor.pages import Form, form_of

PERMISSIONS = "permissions: {admin: [Owners], write: [Writers], read: [Readers]}\n"
BUTTONS = ["save", "save:anyway", "check", "test", "preview", "show:yaml", "tables", "columns", "delete", "look"]


def opened(served: Served, role: str, tab: str = "info") -> Form:
    """The editor of the sync for a person with a role."""
    session = served.as_person(role)
    return form_of(session, served.url, session.get(f"{served.url}/syncs/customers/edit/{tab}", timeout=30))


@pytest.fixture
def customers(world: World) -> Path:
    """The file of a sync with rights."""
    world.define("customers", more=PERMISSIONS)
    return world.folder / "syncs" / "customers.yaml"


def delete(world: World, name: str = "customers.yaml") -> None:
    """Delete a definition as another person does it in the console."""
    files = world.app.wiring.definition_files
    stored = files.read(name)
    assert stored is not None
    files.delete(name, expected=stored.version, by=Author(id="b", name="Bob"))


def keeps_the_draft(answer: requests.Response, text: str) -> bool:
    """Whether a page that refuses has a draft to be copied and to be downloaded."""
    return text in html.unescape(answer.text) and "data:application/yaml;base64," in answer.text


# -- Deleted ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["writers", "owners", "Sync.Admin"])
def test_who_could_write_a_deleted_sync_is_told_and_saves_it_again(
    served_to_many: Served, customers: Path, world: World, role: str
) -> None:
    """With what was typed, under the same name and with the same rights, and not before the second press."""
    form = opened(served_to_many, role)
    delete(world)
    told = form.press("save", description="Mine")
    assert "somebody else has deleted this definition" in told.html
    assert ("description: Mine" in told.text, customers.exists()) == (True, False)
    assert told.send("save").headers["location"] == "/syncs/customers/edit/info?saved=1"
    assert "description: Mine" in customers.read_text()
    assert PERMISSIONS in customers.read_text()
    assert [entry.action for entry in world.app.state.audit("customers")] == ["made the sync"]


@pytest.mark.parametrize("do", [each for each in BUTTONS if not each.startswith("save")])
def test_every_button_keeps_the_draft_of_a_deleted_sync(
    served_to_many: Served, customers: Path, world: World, do: str
) -> None:
    """And does what it always does; nothing is written."""
    form = replace(opened(served_to_many, "owners"), buttons=[do])
    delete(world)
    told = form.press(do, description="Mine")
    assert "Somebody else has deleted this definition since you opened it. Your draft is kept." in told.html
    assert "description: Mine" in told.text
    assert {"test": "Nothing is missing", "preview": "A run of the first 10 rows"}.get(do, "") in told.html
    assert f"{served_to_many.url}/syncs/customers" not in told.html
    assert not customers.exists()


def test_a_writer_makes_no_more_of_a_deleted_sync_than_was_allowed(
    served_to_many: Served, customers: Path, world: World
) -> None:
    """Rights, hosts and secrets stay those of the last text, whatever the draft says."""
    form = opened(served_to_many, "writers", "permissions")
    delete(world)
    told = form.press("save", permissions__admin="Writers")
    assert "may change permissions" in told.html
    assert "may change permissions" in told.press("save:anyway").html
    assert not customers.exists()


@pytest.mark.parametrize("do", BUTTONS)
@pytest.mark.parametrize("role", ["readers", "others"])
def test_who_could_not_write_a_deleted_sync_gets_nothing_but_their_own_text(
    served_to_many: Served, customers: Path, world: World, role: str, do: str
) -> None:
    """Also where the draft names them: the answer is that for a sync that there never was."""
    fields = opened(served_to_many, "owners").fields
    session = served_to_many.as_person(role)
    delete(world)
    answers = [_posted(served_to_many, session, name, fields, do) for name in ("customers", "never-there")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert "does not exist any more or cannot be read, or you have no right to it any more" in answers[0].text
    assert answers[0].text == answers[1].text
    assert all(keeps_the_draft(answer, "name: customers") for answer in answers)
    assert not customers.exists()


def test_a_sync_that_is_there_is_as_hidden_as_before(served_to_many: Served, customers: Path) -> None:
    """Whoever has no right to it gets the same answer for it as for none, also with the right to make syncs."""
    fields = {**opened(served_to_many, "owners").fields, "description": ["Mine"]}
    before = customers.read_text()
    for role, status in (("others", 404), ("Sync.Create", 200)):
        session = served_to_many.as_person(role)
        there, none = (_posted(served_to_many, session, name, fields, "save") for name in ("customers", "never-there"))
        assert (there.status_code, there.text) == (status, none.text)
        assert customers.read_text() == before


def test_who_may_make_syncs_goes_on_with_a_new_one(served_to_many: Served, customers: Path, world: World) -> None:
    """That belongs to the person; nothing is made by the press that says so."""
    fields = opened(served_to_many, "owners").fields
    customers.unlink()
    session = served_to_many.as_person("Sync.Create")
    told = form_of(session, served_to_many.url, _posted(served_to_many, session, "customers", fields, "save"))
    assert "does not exist any more, or you have no right to it any more" in told.html
    assert (told.action, customers.exists()) == ("/new/edit", False)
    assert told.send("save").status_code == 303
    assert "admin: [Owners, 00000000-0000-0000-0000-00000000000a]" in customers.read_text()


def test_what_was_deleted_in_the_folder_gives_no_rights(served_to_many: Served, customers: Path, world: World) -> None:
    """Its last text is not known: a version that was kept before may have given other rights."""
    form = opened(served_to_many, "writers")
    assert form.send("save", description="First").status_code == 303
    form = opened(served_to_many, "writers")
    customers.unlink()
    answer = form.send("save", description="Second")
    assert (answer.status_code, keeps_the_draft(answer, "description: Second")) == (404, True)
    assert not customers.exists()


def test_rights_end_some_days_after_the_deletion(served_to_many: Served, customers: Path, world: World) -> None:
    """A page is not open for longer; the text is given back even then."""
    form = opened(served_to_many, "writers")
    delete(world)
    (newest,) = list((customers.parent / ".versions" / "customers.yaml").glob("*.json"))[-1:]
    kept: dict[str, Any] = json.loads(newest.read_text())
    assert "deleted" in form.press("save").html
    for path in newest.parent.glob("*.json"):
        value = json.loads(path.read_text()) | {"at": (datetime.now(UTC) - timedelta(days=8)).isoformat()}
        path.write_text(json.dumps(value))
    assert kept["at"] != json.loads(newest.read_text())["at"]
    answer = form.send("save")
    assert (answer.status_code, keeps_the_draft(answer, "name: customers")) == (404, True)


def test_a_deleted_name_that_another_file_has_now_gives_no_rights(
    served_to_many: Served, customers: Path, world: World
) -> None:
    """The new sync has its own ones, and hides that it is there."""
    form = opened(served_to_many, "writers")
    delete(world)
    text = form.text.replace(PERMISSIONS, "permissions: {write: [Others]}\n")
    (customers.parent / "other.yaml").write_text(text)
    for action in ("/syncs/customers/edit", "/syncs/never-there/edit"):
        answer = replace(form, action=action).send("save")
        assert (answer.status_code, "Others" in answer.text) == (404, False)
    assert not customers.exists()


def test_a_form_names_no_file_of_another_deleted_sync(served_to_many: Served, customers: Path, world: World) -> None:
    """The rights are those of the file that is written."""
    world.define("orders", more="permissions: {write: [Others]}\n")
    form = opened(served_to_many, "writers")
    delete(world)
    delete(world, "orders.yaml")
    for file in ("orders.yaml", "../customers.yaml", "none.yaml", ""):
        answer = replace(form, fields={**form.fields, "_file": [file]}).send("save")
        assert answer.status_code == 404, file
    assert [path.name for path in customers.parent.glob("*.yaml")] == []


# -- Renamed, moved, broken, closed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("do", BUTTONS)
def test_a_sync_that_was_renamed_is_edited_under_its_new_name(
    served_to_many: Served, customers: Path, world: World, do: str
) -> None:
    """And what the other person has changed is not overwritten unawares."""
    form = replace(opened(served_to_many, "owners"), buttons=[do])
    renamed = customers.read_text().replace("name: customers", "name: clients", 1)
    customers.write_text(renamed)
    told = form.press(do, description="Mine")
    assert "Somebody else has renamed this sync since you opened it: customers is clients now." in told.html
    assert ("description: Mine" in told.text, told.action) == (True, "/syncs/clients/edit")
    assert ("somebody else has changed this definition" in told.html) == do.startswith("save")
    assert customers.read_text() == renamed


def test_who_may_not_write_a_renamed_sync_is_not_told_its_name(served_to_many: Served, customers: Path) -> None:
    """Only the text comes back."""
    form = opened(served_to_many, "writers")
    text = customers.read_text().replace("name: customers", "name: secret-name", 1)
    customers.write_text(text.replace("[Writers]", "[Nobody]"))
    answer = form.send("save", description="Mine")
    assert (answer.status_code, keeps_the_draft(answer, "description: Mine")) == (404, True)
    assert "secret-name" not in answer.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda file: file.rename(file.with_name("moved.yaml")), 400),
        (lambda file: file.write_text("name: [\n"), 404),
        (lambda file: file.write_text(file.read_text().replace("[Writers]", "[Nobody]")), 404),
        (lambda file: file.write_text(file.read_text().replace("read: [Readers]", "read: [Writers]").replace("write: [Writers]", "write: []")), 403),
    ],
    ids=["moved", "broken", "closed", "only to be read"],
)  # fmt: skip
@pytest.mark.parametrize("do", ["save", "preview", "show:source"])
def test_a_draft_that_cannot_be_saved_any_more_comes_back(
    served_to_many: Served, customers: Path, change: Any, status: int, do: str
) -> None:
    """On the page that says why."""
    form = opened(served_to_many, "writers")
    change(customers)
    after = {path.name: path.read_text() for path in customers.parent.glob("*.yaml")}
    answer = form.send(do, description="Mine & yours")
    assert (answer.status_code, keeps_the_draft(answer, "Mine & yours")) == (status, True)
    assert {path.name: path.read_text() for path in customers.parent.glob("*.yaml")} == after


def test_whoever_may_do_everything_replaces_a_broken_file(served_to_many: Served, customers: Path) -> None:
    """After having seen it."""
    form = opened(served_to_many, "Sync.Admin")
    customers.write_text("name: [\n")
    told = form.press("save", description="Mine")
    assert "somebody else has changed this definition" in told.html
    assert told.send("save").status_code == 303
    assert "description: Mine" in customers.read_text()


def test_a_role_that_was_taken_away_takes_no_draft(served_to_many: Served, world: World, customers: Path) -> None:
    """Of a sync that was never saved."""
    form = opened(served_to_many, "owners")
    made = replace(form, action="/new/edit")
    answer = made.send("save", description="Mine")
    assert (answer.status_code, keeps_the_draft(answer, "description: Mine")) == (403, True)


def test_storage_that_is_away_takes_no_draft(world: World, customers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page that asks for patience has it."""

    def away(_name: str) -> None:
        raise RetryLater("the storage is away", retry_after=5.0)

    with console_of(world.app) as console, serving(console) as served:
        form = opened(served, "Sync.Admin")
        monkeypatch.setattr(world.app.wiring.definition_files, "read", away)
        answer = form.send("check", description="Mine")
    assert (answer.status_code, keeps_the_draft(answer, "description: Mine")) == (503, True)


# -- The form of a secret, and programs ------------------------------------------------------------------------------


def test_the_form_of_a_secret_goes_back_to_the_draft(served_to_many: Served, customers: Path, world: World) -> None:
    """Nothing is written into the vault, and the value is in no answer."""
    form = replace(opened(served_to_many, "owners", "destination"), action="/syncs/customers/secrets")
    delete(world)
    told = form_of(form.session, form.url, _posted_secret(form))
    assert ("name: customers" in told.text, "tremendous" in told.html) == (True, False)
    assert "Somebody else has deleted this definition" in told.html


def test_a_program_that_changes_a_deleted_definition_gets_404(
    served_to_many: Served, customers: Path, world: World
) -> None:
    """As RFC 9110, 13.2.1, has it: a condition counts only where the request would succeed without it."""
    session = served_to_many.as_person("Sync.Admin")
    url = f"{served_to_many.url}/api/syncs/customers/definition"
    read = session.get(url, timeout=30)
    delete(world)
    headers = {"if-match": read.headers["etag"], "content-type": "application/yaml"}
    assert session.put(url, data=read.text.encode(), headers=headers, timeout=30).status_code == 404
    assert session.delete(url, headers=headers, timeout=30).status_code == 404


def _posted(served: Served, session: requests.Session, name: str, fields: Any, do: str) -> requests.Response:
    form = Form(session=session, url=served.url, action=f"/syncs/{name}/edit", html="", fields=fields, buttons=[do])
    return form.send(do)


def _posted_secret(form: Form) -> requests.Response:
    fields = {name: values for name, values in form.fields.items() if name in {"_text", "_file", "_version", "_tab"}}
    secret = {"_field": ["destination.client_secret"], "_name": ["x"], "_value": ["tremendous"]}
    parts = [(name, (None, value)) for name, values in (fields | secret).items() for value in values]
    headers = {"origin": form.url}
    return form.session.post(form.url + form.action, files=parts, headers=headers, timeout=30, allow_redirects=False)


# -- In a browser ----------------------------------------------------------------------------------------------------


def test_the_draft_is_seen_and_downloaded(
    browser: Browser, served_to_many: Served, customers: Path, world: World, tmp_path: Path
) -> None:
    """On the page of the editor, and on the one that refuses; both can be used by everybody."""
    headers = {"X-MS-CLIENT-PRINCIPAL": principal("writers")}
    context = browser.new_context(base_url=served_to_many.url, extra_http_headers=headers)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto("/syncs/customers/edit/info")
    page.get_by_label("Description").fill("Mine & yours")
    delete(world)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("somebody else has deleted this definition")
    pictures(page, "editor-deleted", tmp_path)
    assert (violations(page), unreachable(page)) == ([], [])
    shutil.rmtree(customers.parent / ".versions")  # so nobody knows any more who had which right
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Your draft")).to_be_visible()
    pictures(page, "refused-draft", tmp_path)
    assert (violations(page), unreachable(page)) == ([], [])
    with page.expect_download() as download:
        page.get_by_role("link", name="Download it").click()
    assert download.value.suggested_filename == "customers.yaml"
    assert "description: 'Mine & yours'" in download.value.path().read_text()
    context.close()
