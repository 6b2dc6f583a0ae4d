"""The page of one sync."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import requests
import yaml
from playwright.sync_api import Page, expect

from console.syncs.checks import checked_online
from shared.sources.watermarks.identity import identity_of
from shared.sources.watermarks.marks import Mark, Marks
from shared.state import Pause
from tests.console.conftest import Served, World, pictures, unreachable, violations

PERMISSIONS = "permissions: {execute: [Operators], read: [Readers]}\n"


def test_the_page_has_facts_history_and_a_check(page: Page, world: World, tmp_path: Path) -> None:
    """What the definition says in words, what its runs did, and whether the environment fits it."""
    world.define(
        "customers",
        more='schedule: "0 3 * * *"\ntime_zone: Europe/Berlin\nquiet: "22:00-02:00"\n' + PERMISSIONS,
    )
    world.app.run("customers")
    world.write("customers", [("customers-1", "Changed"), ("", "No number")])
    world.app.run("customers")
    page.goto("/")
    page.get_by_role("link", name="customers", exact=True).click()
    for text in (
        "Text files: ",
        "account in 127.0.0.1",
        "accountnumber",
        "By the clock of Europe/Berlin, and not within",
    ):
        expect(page.get_by_text(text).first).to_be_visible()
    expect(page.get_by_text("Records that the source does not have are deleted.")).to_be_visible()
    expect(page.get_by_role("table").filter(has_text="Operators")).to_be_visible()
    expect(page.get_by_role("img", name="Rows by outcome")).to_be_visible()
    expect(page.locator("#runs tbody tr")).to_have_count(2)
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "sync", tmp_path)
    page.get_by_role("button", name="Check against the environment").click()
    expect(page.get_by_text("The definition fits its environment")).to_be_visible()
    assert violations(page) == []


def test_a_definition_that_does_not_fit_its_environment_is_told_apart(page: Page, world: World, tmp_path: Path) -> None:
    """By itself it has no mistake; against the environment a column is missing."""
    world.define("customers")
    file = world.folder / "syncs" / "customers.yaml"
    file.write_text(file.read_text().replace("target: name}", "target: nickname_of_it}"))
    page.goto("/syncs/customers")
    expect(page.get_by_text("The definition has no mistake in itself.")).to_be_visible()
    expect(page.get_by_text("No run yet")).to_be_visible()
    page.get_by_role("button", name="Check against the environment").click()
    expect(page.get_by_text("nickname_of_it").first).to_be_visible()
    pictures(page, "sync-problems", tmp_path)
    assert violations(page) == []


def test_a_check_that_takes_too_long_is_given_up(world: World) -> None:
    """The page says so, and does not wait: here the environment would not answer for ten minutes."""
    world.define("customers")
    world.emulator.faults({"action": "delay", "seconds": 600, "times": 1000})
    (loaded,) = world.app.definitions()
    check = checked_online(loaded, world.app, seconds=0.001)
    assert (check.late, check.problems) == (True, ())
    world.emulator.clear_faults()


def read_by_name(world: World, name: str, value: str) -> None:
    """Let a sync read a database, in which it has read the names up to a value."""
    file = world.folder / "syncs" / f"{name}.yaml"
    document = yaml.safe_load(file.read_text())
    document["source"] = {"type": "sql", "connection": {"env": "ERP"}, "table": "t", "watermark": {"column": "name"}}
    document["sync_behaviour"] = {"sync_key": ["accountnumber"], "strategy": "upsert"}
    file.write_text(yaml.safe_dump(document))
    definition, values = world.app.joined(name, None)
    mark = Mark(value=value, scale="text", identity=identity_of(definition, values))
    world.app.state.set_watermark(name, Marks().with_mark(mark).to_text(), fence=1)


def test_each_person_sees_buttons_and_values_by_their_rights(served_to_many: Served, world: World) -> None:
    """Whoever has none is told that there is no such sync."""
    world.define("customers", more=PERMISSIONS)
    read_by_name(world, "customers", "Miller")

    def text(*roles: str) -> str:
        return served_to_many.as_person(*roles).get(f"{served_to_many.url}/syncs/customers", timeout=10).text

    assert "/syncs/customers/start" in text("Operators")
    assert "/syncs/customers/start" not in text("Readers")
    assert ("Miller" in text("Readers"), "Miller" in text("Operators")) == (True, False)
    refused = served_to_many.as_person("Others").get(f"{served_to_many.url}/syncs/customers", timeout=10)
    assert refused.status_code == 404


def test_a_paused_sync_is_resumed(page: Page, world: World) -> None:
    """The first page says that it is paused; whoever may start it lets it start again."""
    world.define("customers", more='schedule: "0 3 * * *"\n')
    world.app.state.pause(Pause(sync="customers", run_id="r", since=datetime.now(UTC)))
    page.goto("/")
    expect(page.get_by_role("row", name="customers")).to_contain_text("Paused")
    page.get_by_role("link", name="See the sync").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("resumed the sync")).to_be_visible()
    assert world.app.state.pauses() == {}


def test_a_page_resumes_only_the_pause_that_it_shows(served: Served, world: World) -> None:
    """Somebody else resumes the sync meanwhile, and another undo pauses it."""
    world.define("customers")
    state, url = world.app.state, f"{served.url}/syncs/customers"
    state.pause(Pause(sync="customers", run_id="first", since=datetime.now(UTC)))
    assert 'name="pause" value="first"' in requests.get(url, timeout=10).text
    state.resume("customers")
    state.pause(Pause(sync="customers", run_id="second", since=datetime.now(UTC)))
    refused = requests.post(f"{url}/resume", {"pause": "first"}, headers={"Origin": served.url}, timeout=10)
    assert (refused.status_code, "The sync is paused anew" in refused.text) == (409, True)
    assert state.pauses()["customers"].run_id == "second"
    assert requests.post(f"{url}/resume", {"pause": "second"}, headers={"Origin": served.url}, timeout=10).ok
    assert state.pauses() == {}


def test_the_api_gives_the_same(served: Served, world: World) -> None:
    """Facts, state and mistakes."""
    world.define("customers", more=PERMISSIONS)
    world.app.run("customers")
    answer = requests.get(f"{served.url}/api/syncs/customers", timeout=10).json()
    assert answer["status"]["state"] == "Succeeded"
    assert answer["facts"]["table"] == "account"
    assert answer["facts"]["permissions"]["execute"] == ["Operators"]
    assert answer["check"] == {"problems": [], "warnings": [], "online": False, "late": False}
    checked = requests.post(f"{served.url}/api/syncs/customers/check", json={}, timeout=60).json()
    assert (checked["online"], checked["problems"]) == (True, [])
    assert datetime.fromisoformat(answer["status"]["last_end"]) <= datetime.now(UTC)
