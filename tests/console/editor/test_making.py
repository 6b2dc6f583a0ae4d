"""A new sync that is filled in by hand: what was typed is in its first draft."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
import requests
import yaml

from tests.console.conftest import Served, World
from tests.console.editor.pages import form_of


@pytest.fixture
def shop(world: World) -> World:
    """A world with a database and its connection."""
    file = world.folder / "shop.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("create table orders (number text, name text)")
        database.execute("insert into orders values ('1', 'A')")
    world.variables["SHOP"] = f"sqlite:///{file}"  # type: ignore[index]
    folder = world.folder / "syncs"
    (folder / "shop.yaml").write_text("kind: connection\nname: shop\ntype: sql\nurl: {env: SHOP}\n")
    (folder / "broken.yaml").write_text("kind: connection\nname: broken\ntype: sql\n")
    return world


def sent(served: Served, **fields: str) -> requests.Response:
    """The form of a new sync, filled in by hand."""
    data = {"name": "three", "entity": "account", "do": "empty", **fields}
    return requests.post(f"{served.url}/new", data=data, headers={"origin": served.url}, timeout=30)


def made(served: Served, **fields: str) -> Any:
    """The draft that follows."""
    return yaml.safe_load(form_of(requests.Session(), served.url, sent(served, **fields)).text)


def test_a_connection_is_the_source_with_what_is_read_from_it(served: Served, shop: World) -> None:
    """With the columns of the table."""
    source = made(served, source="shop", table="orders")["source"]
    assert {key: source[key] for key in ("type", "connection", "table")} == {
        "type": "sql",
        "connection": "shop",
        "table": "orders",
    }
    assert [each["name"] for each in source["columns"]] == ["number", "name"]
    assert shop.folder.exists()


@pytest.mark.parametrize("table", ["", "nothing"])
def test_what_cannot_be_read_yet_stays_in_the_draft(served: Served, shop: World, table: str) -> None:
    """The tab of the source says what is missing."""
    kept = {"table": table} if table else {}
    expected = {"type": "sql", "connection": "shop", **kept, "columns": []}
    assert made(served, source="shop", table=table)["source"] == expected
    assert shop.folder.exists()


@pytest.mark.parametrize(
    ("source", "table", "said"),
    [
        ("orders.csv", "orders", "this is for a source that is a connection"),
        ("", "orders", "this is for a source that is a connection"),
        ("broken", "orders", "the connection broken has mistakes: correct its file first"),
    ],
)
def test_what_has_no_place_in_a_draft_is_told(served: Served, shop: World, source: str, table: str, said: str) -> None:
    """The form comes again with everything that was typed."""
    page = sent(served, source=source, table=table).text
    assert said in page
    assert f'name="table" value="{table}"' in page
    assert shop.folder.exists()


def test_the_environment_that_the_form_names_is_in_the_draft(served: Served, world: World) -> None:
    """The address of the variables, and the only connection of type dynamics."""
    assert "connection" not in made(served)["destination"]
    world.variables["DYNAMICS_URL"] = world.emulator.service_url  # type: ignore[index]
    draft = made(served)
    assert draft["destination"]["service_url"] == "@service_url"
    assert draft["parameters"] == {"service_url": {"formula": "ENV('DYNAMICS_URL')"}}
    (world.folder / "syncs" / "crm.yaml").write_text(
        f"kind: connection\nname: crm\ntype: dynamics\nservice_url: {world.emulator.service_url}\n"
        "client_id: {env: DATAVERSE_SECRET}\nclient_secret: {env: DATAVERSE_SECRET}\n"
    )
    draft = made(served)
    assert (draft["destination"]["connection"], draft.get("parameters")) == ("crm", None)
    assert made(served, connection="crm")["destination"] == draft["destination"]


def test_a_connection_with_a_parameter_leaves_the_environment_to_the_variables(served: Served, world: World) -> None:
    """Where they are set, and the form says so; else the connection stays, and a person adds the parameter."""
    (world.folder / "syncs" / "crm.yaml").write_text(
        'kind: connection\nname: crm\ntype: dynamics\nservice_url: "@service_url"\n'
        "client_id: {env: DATAVERSE_SECRET}\nclient_secret: {env: DATAVERSE_SECRET}\n"
    )
    assert made(served)["destination"]["connection"] == "crm"
    assert ">the only connection</option>" in requests.get(f"{served.url}/new", timeout=30).text
    world.variables["DYNAMICS_URL"] = world.emulator.service_url  # type: ignore[index]
    assert made(served)["destination"]["service_url"] == "@service_url"
    assert ">that of DYNAMICS_URL</option>" in requests.get(f"{served.url}/new", timeout=30).text
