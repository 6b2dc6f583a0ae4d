"""Editing over HTTP, without JavaScript: who may change what, and that nobody's work is lost."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import yaml

from console.console import Console
from shared.app import App
from shared.settings import Settings
from tests.console.conftest import Served, World, serving
from tests.console.editor.pages import Form, form_of

PERMISSIONS = "permissions: {admin: [Owners], write: [Writers], read: [Readers]}\n"


def opened(served: Served, *roles: str, sync: str = "customers", tab: str = "info", query: str = "") -> Form:
    """The editor of a sync for a person with some roles."""
    session = served.as_person(*roles)
    return form_of(session, served.url, session.get(f"{served.url}/syncs/{sync}/edit/{tab}{query}", timeout=30))


@pytest.fixture
def customers(world: World) -> Path:
    """The file of a sync with rights."""
    world.define("customers", more=f"{PERMISSIONS}# the end\n")
    return world.folder / "syncs" / "customers.yaml"


def test_a_change_in_the_form_keeps_the_rest_of_the_text(served_to_many: Served, customers: Path, world: World) -> None:
    """It is saved, run at once, kept as a version and written into the audit log."""
    before = customers.read_text()
    answer = opened(served_to_many, "writers").send("save", description="From the shop")
    assert (answer.status_code, answer.headers["location"]) == (303, "/syncs/customers/edit/info?saved=1")
    assert customers.read_text() == before.replace("name: customers\n", "name: customers\ndescription: From the shop\n")
    (entry, *_) = world.app.state.audit("customers")
    assert (entry.action, entry.name) == ("saved the definition", "Ann")
    assert "+description: From the shop" in entry.after
    kept = world.app.wiring.definition_files.versions("customers.yaml")
    assert [(each.action, each.by.name) for each in kept] == [("saved", "Ann"), ("found", "")]
    page = opened(served_to_many, "writers", tab="yaml", query=f"?version={kept[1].id}")
    assert page.text == before


def test_of_two_people_the_second_is_told_and_shown_the_difference(served_to_many: Served, customers: Path) -> None:
    """Nothing is overwritten; who presses again replaces knowingly."""
    first, second = (opened(served_to_many, "writers") for _ in range(2))
    assert first.send("save", description="Mine").status_code == 303
    told = second.press("save", version="2.0.0")
    assert "somebody else has changed this definition" in told.html
    assert "-description: Mine" in told.html
    assert "+version: 2.0.0" in told.html
    assert "description: Mine" in customers.read_text()
    assert told.send("save").status_code == 303
    assert "version: 2.0.0" in customers.read_text()


def test_the_difference_of_a_long_definition_has_every_line(served_to_many: Served, customers: Path) -> None:
    """Whoever would replace what somebody else has saved sees all of it, also below thousands of other lines."""
    long = customers.read_text() + "".join(f"# line {number}\n" for number in range(3_000))
    customers.write_text(long)
    first, second = (opened(served_to_many, "writers", tab="yaml") for _ in range(2))
    theirs = "".join(f"# theirs {number}\n" for number in range(600))
    assert first.send("save", _yaml=first.text + theirs).status_code == 303
    told = second.press("save", _yaml=second.text + "# mine\n")
    assert "somebody else has changed this definition" in told.html
    assert all(f"-# theirs {number}\n" in told.html for number in range(600))
    assert "+# mine" in told.html


@pytest.mark.parametrize("change", ["a", "b", "c"])
def test_rights_and_hosts_need_admin(served_to_many: Served, customers: Path, change: str) -> None:
    """The key is named, nothing is saved, and nothing is tried out with it."""
    tab, fields, key = {
        "a": ("permissions", {"permissions__read": "Everyone"}, "permissions"),
        "b": ("destination", {"destination__service_url": "https://org.crm.dynamics.com/"}, "destination.service_url"),
        "c": ("destination", {"destination__client_secret": "OTHER"}, "destination.client_secret"),
    }[change]
    before = customers.read_text()
    page = opened(served_to_many, "writers", tab=tab)
    told = page.press("save", **fields)
    assert f"may change {key}" in told.html
    assert f"try out other {key}" in page.press("test", **fields).html
    assert f"try out other {key}" in page.press("check", **fields).html
    assert customers.read_text() == before
    owner = opened(served_to_many, "owners", tab=tab)
    assert "may change" not in owner.press("save", **fields).html if change == "c" else True


@pytest.mark.parametrize("there", [True, False])
def test_a_check_claims_no_answer_of_a_source_that_was_not_read(
    served_to_many: Served, customers: Path, world: World, there: object
) -> None:
    """A missing file is no mistake of the definition; another button tells whether the source can be read."""
    if not there:
        (world.folder / "customers.csv").unlink()
    told = opened(served_to_many, "owners").press("check").html
    assert "No mistakes were found, also not by Dataverse" in told
    assert "Whether the source can be read was not checked: Test connection tells it." in told
    assert "also not by Dataverse and the source." not in told
    assert customers.exists()


@pytest.mark.parametrize(
    ("field", "text"),
    [("changed__when", "source.name > target.name"), ("dropped__expire", "new_gone"), ("dropped__set", "{x: 1}")],
)
def test_nothing_that_was_filled_in_is_lost(served_to_many: Served, customers: Path, field: str, text: str) -> None:
    """A field of a choice that was not made: not saved, not left for another tab, and the check does not pass."""
    before = customers.read_text()
    page, name = opened(served_to_many, "owners", tab="behaviour"), f"sync_behaviour__{field}"
    for button in ("save", "check", "show:source"):
        told = page.press(button, **{name: text}).html
        assert "empty this field: it does not belong to the other choice" in told, button
        assert text.replace(">", "&gt;") in told, button
        assert "No mistakes were found" not in told
        assert 'name="_tab" value="behaviour"' in told
    assert customers.read_text() == before


def test_one_and_several_are_told_apart(served_to_many: Served, customers: Path) -> None:
    """Of lines that are not saved, and of columns that were found."""
    told = opened(served_to_many, "owners").press("check", description="From the shop").html
    assert "What is not saved yet: 1 line<" in told
    (customers.parents[1] / "customers.csv").write_text("number,name,other\n1,x,y\n")
    assert (
        "3 columns were found, and 1 of them is new."
        in opened(served_to_many, "owners", tab="source").press("columns").html
    )


def test_a_form_that_comes_twice_is_saved_once(served_to_many: Served, customers: Path, world: World) -> None:
    """As after two clicks: nobody else has changed anything."""
    form = opened(served_to_many, "writers")
    answers = [form.send("save", description="From the shop") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert [each.action for each in world.app.state.audit("customers")] == ["saved the definition"]
    assert len(world.app.wiring.definition_files.versions("customers.yaml")) == 2


NUMBER = "9" * 5000


@pytest.mark.parametrize(
    ("text", "do"),
    [
        ("name: customers\nsource: {columns: 5}\n", "name:source.columns"),
        ("name: customers\nsource: {columns: [{name: a}]}\n", f"up:source.columns.{NUMBER}"),
        ("name: customers\nsource: {columns: [{name: a}]}\n", f"remove:source.columns.{NUMBER}"),
    ],
)
def test_a_button_that_fits_nothing_changes_nothing(
    served_to_many: Served, customers: Path, text: str, do: str
) -> None:
    """Whatever a browser sends, the page comes again with the same text."""
    form = opened(served_to_many, "writers", tab="yaml").press("show:yaml", _yaml=text)
    fields = {**form.fields, "source.columns.new": ["b"]}
    assert replace(form, fields=fields, buttons=[do]).press(do).text == text


def test_a_preview_of_too_many_rows_is_one_of_the_most(served_to_many: Served, customers: Path) -> None:
    """However long the number is."""
    form = opened(served_to_many, "owners")
    assert (
        "A run of the first 100 rows" in replace(form, fields={**form.fields, "_rows": [NUMBER]}).press("preview").html
    )


def test_who_may_not_write_sees_the_form_but_has_no_button(served_to_many: Served, customers: Path) -> None:
    """And a post is refused; for others the sync does not exist."""
    page = opened(served_to_many, "readers")
    assert "save" not in page.buttons
    assert "you need the right" in page.html
    assert page.send("save:").status_code == 403
    session = served_to_many.as_person("others")
    assert session.get(f"{served_to_many.url}/syncs/customers/edit", timeout=30).status_code == 404


def test_mistakes_are_not_saved(served_to_many: Served, customers: Path) -> None:
    """They are at their fields; what only Dataverse knows can be saved knowingly."""
    before = customers.read_text()
    told = opened(served_to_many, "writers").press("save", schedule="never")
    assert "Not saved: the definition has mistakes" in told.html
    assert 'id="f-schedule-wrong"' in told.html
    mapping = opened(served_to_many, "writers", tab="mapping")
    online = mapping.press("save", destination__mappings__1__target="nonsense")
    assert "Not saved: Dataverse or the source says" in online.html
    assert customers.read_text() == before
    assert online.send("save:anyway").status_code == 303
    assert "target: nonsense" in customers.read_text()


def test_rows_come_go_and_move_without_javascript(served_to_many: Served, customers: Path) -> None:
    """And the YAML beside them is always the same definition."""
    page = opened(served_to_many, "writers", tab="columns").press("add:source.columns")
    page = page.press("up:source.columns.2", source__columns__2__name="city")
    assert "    - {name: city}\n    - {name: name, max_length: 160}\n" in page.text
    page = page.press("remove:source.columns.1")
    page = page.press("show:yaml")
    assert "city" not in page.fields["_yaml"][0]
    page = page.press(
        "show:info", _yaml=page.text.replace("name: customers\n", "name: customers # ours\nversion: '9'\n")
    )
    assert page.fields["version"] == ["9"]
    assert "name: customers # ours" in page.text


@pytest.mark.parametrize("before", ["", "parameters:\n", "parameters: {}\n", "parameters: # the values\n  a: {}\n"])
def test_a_parameter_is_added_whether_there_are_some_or_none(
    served_to_many: Served, customers: Path, before: str
) -> None:
    """And so it can be filled in."""
    customers.write_text(customers.read_text() + before)
    page = opened(served_to_many, "Sync.Admin").press("name:parameters", parameters__new="day")
    assert "cannot be edited here" not in page.html
    page = page.press("show:info", parameters__day__default="monday")
    found = yaml.safe_load(page.text)["parameters"]
    assert found == ({"a": {}} if "a:" in before else {}) | {"day": {"default": "monday"}}


PARAMETERS = """parameters:
  # the folder of the day
  'a':
    default: 'x'  # see ticket 7
  b: {default: 2}
"""


def test_another_name_of_a_parameter_changes_its_name_alone(served_to_many: Served, customers: Path) -> None:
    """Its comments, its quotes and its place stay, also where one of its values is changed with it."""
    customers.write_text(text := customers.read_text() + PARAMETERS)
    page = opened(served_to_many, "owners")
    renamed = text.replace("'a':", "'c':")
    assert page.press("show:info", parameters__a__key="c").text == renamed
    both = page.press("show:info", parameters__a__key="c", parameters__a__default="y")
    assert both.text == renamed.replace("'x'", "'y'")
    assert page.press("show:info", parameters__b__key="c").text == text.replace("  b:", "  c:")


def test_a_name_that_is_in_use_is_a_mistake(served_to_many: Served, customers: Path) -> None:
    """Nothing is saved, and what was typed stays in its field."""
    customers.write_text(text := customers.read_text() + PARAMETERS)
    page = opened(served_to_many, "owners")
    for button in ("save", "show:source"):
        told = page.press(button, parameters__a__key="b")
        assert "the name b is in use: write another one" in told.html
        assert (told.fields["parameters.a.key"], told.fields["_tab"], told.text) == (["b"], ["info"], text)
    assert customers.read_text() == text
    assert told.press("show:source", parameters__a__key="d").text == text.replace("'a':", "'d':")


def test_nothing_is_added_to_what_cannot_hold_it(served_to_many: Served, customers: Path) -> None:
    """A value of another kind stays."""
    customers.write_text(text := customers.read_text() + "parameters: [a]\n")
    page = opened(served_to_many, "Sync.Admin")
    page.buttons.append("name:parameters")
    page = page.press("name:parameters", parameters__new="day")
    assert page.text == text


def test_a_text_that_no_edit_knows_is_left_to_the_yaml(served_to_many: Served, customers: Path) -> None:
    """The form says so, and the text stays."""
    text = customers.read_text().replace("name: customers\n", "name: &n customers\n")
    customers.write_text(text)
    page = opened(served_to_many, "writers").press("show:info", description="New")
    assert "edit the YAML instead" in page.html
    assert page.text == text


def test_a_new_sync_belongs_to_who_makes_it(served_to_many: Served, world: World) -> None:
    """A person with `Sync.Create` gets the right `admin`, and may go on; others may not."""
    world.write("orders", [("o-1", "Order")])
    session = served_to_many.as_person("Sync.Create")
    page = form_of(session, served_to_many.url, session.get(f"{served_to_many.url}/new", timeout=30))
    source = str(world.folder / "orders.csv")
    editor = page.press("empty", name="orders", source=source, entity="account")
    assert "admin: [00000000-0000-0000-0000-00000000000a]" in editor.text
    assert "name: number" in editor.text
    world.define("orders")
    text = (world.folder / "syncs" / "orders.yaml").read_text()
    (world.folder / "syncs" / "orders.yaml").unlink()
    assert editor.press("show:yaml").send("save", _yaml=text).status_code == 303
    again = session.get(f"{served_to_many.url}/syncs/orders/edit", timeout=30)
    assert again.status_code == 200
    other = served_to_many.as_person("Other", claims={"oid": "00000000-0000-0000-0000-00000000000b"})
    assert other.get(f"{served_to_many.url}/syncs/orders/edit", timeout=30).status_code == 404
    assert served_to_many.as_person("Writers").get(f"{served_to_many.url}/new", timeout=30).status_code == 403


def test_a_question_about_a_draft_is_for_who_asked(served_to_many: Served, world: World) -> None:
    """Before the sync is saved nobody else sees the job, nor its answer, whatever their form says."""
    world.define("orders")
    text = (world.folder / "syncs" / "orders.yaml").read_text()
    (world.folder / "syncs" / "orders.yaml").unlink()
    code = base64.b64encode(text.encode()).decode()
    fields = {"_text": code, "_file": "orders.yaml", "_tab": "yaml"}
    headers, url = {"origin": served_to_many.url}, served_to_many.url
    mine = served_to_many.as_person("Sync.Create")
    mine.post(f"{url}/new/edit", data=fields | {"do": "preview"}, headers=headers, timeout=60)
    (job,) = {job_id for job_id, _ in world.app.state.job_files()}
    other = served_to_many.as_person("Sync.Create", claims={"oid": "00000000-0000-0000-0000-00000000000b"})
    for path in (f"/jobs/{job}", f"/api/jobs/{job}"):
        assert [each.get(f"{url}{path}", timeout=30).status_code for each in (mine, other)] == [200, 404]
    assert mine.post(f"{url}/jobs/{job}/cancel", headers=headers, timeout=30).status_code == 403
    again = fields | {"_job": job, "_job_kind": "preview", "do": "look"}
    answers = [each.post(f"{url}/new/edit", data=again, headers=headers, timeout=30).text for each in (mine, other)]
    assert ["The question is not there any more" in each for each in answers] == [False, True]
    assert ["orders-1" in each for each in answers] == [True, False]
    world.define("orders")
    assert mine.get(f"{url}/jobs/{job}", timeout=30).status_code == 404


def test_a_new_sync_replaces_no_other(served_to_many: Served, customers: Path) -> None:
    """Whatever a form says about the file and its version; nothing of the other one is shown. Its own file has its name."""
    session = served_to_many.as_person("Sync.Create")
    version = opened(served_to_many, "owners").fields["_version"][-1]
    stored = customers.read_text()
    url, headers = f"{served_to_many.url}/new/edit", {"origin": served_to_many.url}
    for name, said, status in (
        ("customers", "the name customers is in use: choose another one", 200),
        ("mine", "", 303),
    ):
        text = stored.replace(PERMISSIONS, "").replace("name: customers", f"name: {name}").encode()
        fields = {"_text": base64.b64encode(text).decode(), "_file": "customers.yaml", "_version": version}
        parts = [(key, (None, value)) for key, value in {**fields, "_tab": "info", "do": "save:anyway"}.items()]
        answer = session.post(url, files=parts, headers=headers, timeout=60, allow_redirects=False)
        assert (answer.status_code, said in answer.text, "Owners" in answer.text) == (status, True, False)
        assert customers.read_text() == stored
    assert "name: mine" in customers.with_name("mine.yaml").read_text()


def test_a_form_of_one_sync_changes_no_other(served_to_many: Served, customers: Path, world: World) -> None:
    """The rights were checked for the sync of the address."""
    world.define("orders", more="permissions: {write: [Others]}\n")
    page = opened(served_to_many, "writers")
    page.fields = {**page.fields, "_file": ["orders.yaml"]}
    assert page.send("save").status_code == 400
    page.fields = {**page.fields, "_file": ["../customers.yaml"]}
    assert page.send("save").status_code == 400
    page.fields = {**page.fields, "_file": ["customers.yaml"], "_text": ["%%%"]}
    assert page.send("save").status_code == 400


def test_a_sync_is_deleted_by_who_may_do_all_and_is_sure(served_to_many: Served, customers: Path, world: World) -> None:
    """Its last text stays among the versions."""
    assert "delete" not in opened(served_to_many, "writers").buttons
    owner = opened(served_to_many, "owners")
    assert "tick the box" in owner.press("delete").html
    assert owner.send("delete", _sure="customers.yaml").headers["location"] == "/"
    assert not customers.exists()
    assert [each.action for each in world.app.wiring.definition_files.versions("customers.yaml")] == [
        "deleted",
        "found",
    ]
    assert world.app.definitions() == ()


def test_values_of_rows_are_hidden_without_the_right_to_read(served_to_many: Served, customers: Path) -> None:
    """A preview says what would be done, and shows values to those who may see them."""
    hidden = opened(served_to_many, "writers").press("preview")
    assert "A run of the first 10 rows" in hidden.html
    assert "Account 1" not in hidden.html
    assert "•••" in hidden.html
    assert "Account 1" in opened(served_to_many, "owners").press("preview").html


def test_in_a_deployed_package_nothing_can_be_changed(served: Served, customers: Path, world: World) -> None:
    """The page says where the definitions have to be."""
    variables = dict(world.variables) | {"WEBSITE_SITE_NAME": "app", "STATE_STORE": "sqlite:///state.db"}
    app = App(Settings.load(variables), read_environment=lambda: variables)
    deployed = Console(app=app, sign_in=served.console.sign_in, wake=lambda _: None)
    with serving(deployed) as there:
        page = requests.get(f"{there.url}/syncs/customers/edit", timeout=30).text
    app.state.close()
    assert "part of the deployed package" in page
    assert 'value="save"' not in page


def test_an_uploaded_file_is_kept_beside_the_definitions(served: Served, world: World) -> None:
    """Under a safe name; another one of the same name gets another path."""
    session = requests.Session()
    for number, (name, content) in enumerate(
        [
            ("../../a b.csv", b"number,name\n1,x\n"),
            ("a b.csv", b"number;name\n1;x\n"),
            ("a b.csv", b"number,name\n1,x\n"),
        ]
    ):
        files: list[tuple[str, tuple[str | None, str | bytes]]] = [
            ("name", (None, f"sync-{number}")), ("entity", (None, "account")), ("do", (None, "empty")),
            ("upload", (name, content)),
        ]  # fmt: skip
        page = session.post(f"{served.url}/new", files=files, headers={"origin": served.url}, timeout=30)
        assert form_of(session, served.url, page).text.count("name: number") == 1
    assert sorted(path.name for path in (world.folder / "syncs" / "data").iterdir()) == ["a_b-2.csv", "a_b.csv"]
