"""Lists of a thousand rows in the form: by pages and by a search, without JavaScript, and nothing of them is lost."""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from console.editor.forms.paging import PAGE, Pages
from console.editor.forms.reading import Sent
from console.editor.tabs import tab_named, values_with
from shared.definitions.loading.yaml_loader import read_yaml
from tests.console.conftest import Served, World, pictures, unreachable, violations
from tests.console.editor.pages import Form, form_of

MANY = 1000
LOOKING = "permissions: {read: [Readers], write: [Writers]}\n"


@pytest.fixture
def customers(world: World) -> Path:
    """The file of a sync with a thousand columns, each with a comment, and with other spellings of the same."""
    world.define("customers")
    file = world.folder / "syncs" / "customers.yaml"
    columns = "".join(f"    - {{name: field{n},  trim: 'true'}} # field {n}\n" for n in range(MANY - 2))
    names = ["number", "name", *(f"field{n}" for n in range(MANY - 2)), "telephone1", "emailaddress1"]
    (world.folder / "customers.csv").write_text(f"{','.join(names)}\n")
    text = file.read_text()
    file.write_text(text.replace("destination:\n", f"{columns}\ndestination: # where to\n"))
    return file


def opened(served: Served, tab: str = "columns") -> Form:
    session = served.as_person("Sync.Admin")
    return form_of(session, served.url, session.get(f"{served.url}/syncs/customers/edit/{tab}", timeout=60))


def rows_of(form: Form) -> list[int]:
    """The numbers of the columns that have fields, from 0."""
    found = (re.fullmatch(r"source\.columns\.(\d+)\.name", name) for name in form.fields)
    return [int(each[1]) for each in found if each]


def changed(before: str, after: str) -> list[str]:
    """The lines that differ."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and line[:3] not in {"+++", "---"}]


def test_a_list_that_is_cut_says_how_many_more_there_are(served_to_many: Served, customers: Path) -> None:
    """Of the columns without a mapping the first 200 are shown."""
    session = served_to_many.as_person("Sync.Admin")
    page = session.get(f"{served_to_many.url}/syncs/customers/edit/mapping", timeout=60).text
    listed = page.partition("Source columns without a mapping")[2].partition("</ul>")[0]
    assert listed.count("<li><b>") == 200
    left = re.search(r"… and (\S+) more", listed)
    assert left
    assert int(left[1].replace(",", "")) == MANY - 2 - 200


def test_pages_are_turned_and_what_is_changed_on_each_stays(served_to_many: Served, customers: Path) -> None:
    """The text differs in these lines alone, and all rows are kept."""
    before = customers.read_text()
    form = opened(served_to_many)
    assert rows_of(form) == [*range(PAGE)]
    assert f"Shown: 1 to {PAGE} of 1,000" in form.html
    form = form.press(f"turn:source.columns:{PAGE}", source__columns__3__max_length="7")
    assert rows_of(form) == [*range(PAGE, 2 * PAGE)]
    form = form.press(f"turn:source.columns:{MANY - PAGE}", source__columns__51__alias="other")
    assert rows_of(form) == [*range(MANY - PAGE, MANY)]
    assert "Next page" not in form.html
    form = form.press("turn:source.columns:0", source__columns__999__trim="")
    assert form.send("save").status_code == 303
    assert changed(before, customers.read_text()) == [
        "-    - {name: field1,  trim: 'true'} # field 1",
        "+    - {name: field1,  trim: 'true', max_length: 7} # field 1",
        "-    - {name: field49,  trim: 'true'} # field 49",
        "+    - {name: field49, alias: other,  trim: 'true'} # field 49",
        "-    - {name: field997,  trim: 'true'} # field 997",
        "+    - {name: field997,  trim: false} # field 997",
    ]


def test_whoever_may_only_look_sees_every_tab_and_every_row(served_to_many: Served, customers: Path) -> None:
    """By links alone: nothing of such a page is sent."""
    customers.write_text(customers.read_text() + LOOKING)
    reader, base = served_to_many.as_person("Readers"), f"{served_to_many.url}/syncs/customers/edit"
    first = reader.get(base, timeout=60).text
    tabs = re.findall(r'<a href="(/syncs/customers/edit/\w+)"', first.partition('aria-label="Parts')[2])
    assert [tab.rpartition("/")[2] for tab in tabs[:3]] == ["info", "source", "columns"]
    assert {reader.get(f"{served_to_many.url}{tab}", timeout=60).status_code for tab in tabs} == {200}
    seen, address = list[int](), "/syncs/customers/edit/columns"
    while address:
        page = reader.get(f"{served_to_many.url}{address}", timeout=60)
        seen += rows_of(form_of(reader, served_to_many.url, page))
        found = re.search(r'<a class="button small" href="([^"]+)" aria-label="Next page', page.text)
        address = html.unescape(found[1]) if found else ""
    assert seen == [*range(MANY)]
    assert reader.post(base, data={"do": "show:source"}, headers={"Origin": served_to_many.url}).status_code == 403


def test_a_row_is_found_by_its_name_or_its_number(served_to_many: Served, customers: Path) -> None:
    """What was found can be changed at once; the other rows stay."""
    before = customers.read_text()
    form = opened(served_to_many).press("turn:source.columns:0", _find__source__columns="FIELD73")
    assert rows_of(form) == [75, *range(732, 742)]
    assert "Shown: 1 to 11 of 11 that have “FIELD73”, of 1,000 in all" in form.html
    form = form.press("turn:source.columns:0", source__columns__735__max_length="9", _find__source__columns="1000")
    assert rows_of(form) == [999]
    form = form.press("turn:source.columns:0", _find__source__columns="nothing has this")
    assert (rows_of(form), "None of 1,000 has" in form.html) == ([], True)
    form = form.press("turn:source.columns:0", _find__source__columns="")
    assert rows_of(form) == [*range(PAGE)]
    assert form.send("save").status_code == 303
    assert changed(before, customers.read_text()) == [
        "-    - {name: field733,  trim: 'true'} # field 733",
        "+    - {name: field733,  trim: 'true', max_length: 9} # field 733",
    ]


def test_the_page_follows_a_row_that_is_added_or_moved(served_to_many: Served, customers: Path) -> None:
    """Also from one page to the next; a row that is removed is the only one that goes."""
    form = opened(served_to_many).press(f"down:source.columns.{PAGE - 1}")
    assert rows_of(form) == [*range(PAGE, 2 * PAGE)]
    assert form.fields[f"source.columns.{PAGE}.name"] == [f"field{PAGE - 3}"]
    form = form.press(f"up:source.columns.{PAGE}")
    assert rows_of(form) == [*range(PAGE)]
    assert form.text == customers.read_text()
    form = form.press("add:source.columns")
    assert rows_of(form) == [1000]
    form = form.press("turn:source.columns:0", source__columns__1000__name="added", _find__source__columns="field12")
    form = form.press("remove:source.columns.125")
    assert rows_of(form) == [14, *range(122, 125), *range(125, 131)]
    assert changed(customers.read_text(), form.text) == [
        "-    - {name: field123,  trim: 'true'} # field 123",
        "+    - {name: added}",
    ]


def test_a_mistake_leads_to_its_row(served_to_many: Served, customers: Path) -> None:
    """The list says which row is meant, and the mistake opens its page."""
    customers.write_text(customers.read_text().replace("{name: field733,", "{name: field733, max_length: long,"))
    form = opened(served_to_many)
    assert "736: " in form.html
    form = opened(served_to_many, "info").press("show:columns:source.columns[735].max_length")
    assert rows_of(form) == [*range(720, 760)]
    assert 'aria-invalid="true"' in form.html


def test_many_columns_are_mapped_in_one_step(served_to_many: Served, customers: Path) -> None:
    """Where names fit, whatever was mapped before."""
    text = (
        customers.read_text().replace("{name: field5, ", "{name: telephone1, ").replace("field6, ", "emailaddress1, ")
    )
    customers.write_text(text)
    form = opened(served_to_many, "mapping").press("match")
    assert "2 columns were mapped." in form.html
    assert changed(text, form.text) == [
        "+    - {source: telephone1, target: telephone1}",
        "+    - {source: emailaddress1, target: emailaddress1}",
    ]


def test_a_long_list_in_a_browser(page: Page, world: World, customers: Path, tmp_path: Path) -> None:
    """Its pages and its search are reached by keyboard, and axe-core finds nothing."""
    page.goto("/syncs/customers/edit/columns")
    page.get_by_role("searchbox", name="Find in columns").fill("field99")
    page.get_by_role("searchbox", name="Find in columns").press("Enter")
    expect(page.get_by_text("Shown: 1 to 9 of 9 that have “field99”, of 1,000 in all.")).to_be_visible()
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "editor-found", tmp_path)
    page.get_by_role("searchbox", name="Find in columns").fill("")
    page.get_by_role("button", name="Find", exact=True).click()
    page.get_by_role("button", name="Last page of columns", exact=True).click()
    expect(page.get_by_text("Shown: 961 to 1,000 of 1,000.")).to_be_visible()
    pictures(page, "editor-last-page", tmp_path)


NAMED = {"parameters": {f"p{n}": {"default": n} for n in range(120)}}


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"parameters.p70.key": ["other"]}, {70: "other"}),
        ({"parameters.p70.key": ["p99"]}, {}),
        ({"parameters.p70.key": ["p3"]}, {}),
        ({"parameters.p70.key": ["x"], "parameters.p71.key": ["x"]}, {70: "x"}),
    ],
)
def test_rows_with_names_keep_their_order_and_nothing_is_lost(fields: Mapping[str, Any], names: dict[int, str]) -> None:
    """Also where a new name is taken by a row that the page does not show."""
    sent = Sent(fields)
    values = values_with(tab_named("info"), {"name": "a", **NAMED}, sent)
    expected = {names.get(n, f"p{n}"): {"default": n} for n in range(120)}
    assert [*values["parameters"].items()] == [*expected.items()]
    told = len(fields) - len(names)
    assert [each.message for each in sent.problems] == [
        f"the name {[*fields.values()][-1][0]} is in use: write another one"
    ] * told


@pytest.mark.parametrize("start", ["-1", "x", "9" * 30, "²", "1e3", "999999999"])
def test_a_page_that_does_not_exist_is_the_nearest_one(start: str) -> None:
    """Whatever a browser sends."""
    shown = Pages({"_from.a": [start]}).rows("a", dict.fromkeys(range(120)))
    assert shown.keys == ([*range(80, 120)] if start == "999999999" else [*range(PAGE)])
    assert Pages({"_from.a": [start]}).rows("a", {}).keys == []


def test_a_text_that_was_read_is_not_changed_by_what_is_made_of_it() -> None:
    """Large texts are remembered, so that a page does not read them again."""
    text = "name: a\nsource:\n  columns:\n" + "".join(f"    - {{name: field{n}}}\n" for n in range(MANY))
    first = read_yaml(text)
    assert read_yaml(text) is first
    fields = {"source.columns.5.name": ["other"], "source.columns.5.trim": ["", "true"]}
    values = values_with(tab_named("columns"), first.value, Sent(fields))
    assert values["source"]["columns"][5] == {"name": "other", "trim": True}
    assert first.value["source"]["columns"][5] == {"name": "field5"}  # type: ignore[index]  # it is a mapping
