"""A person builds a sync in the browser, from an empty folder."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.console.conftest import World, pictures, violations


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def tab(page: Page, name: str) -> None:
    page.get_by_role("group", name="Parts of the definition").get_by_role("button", name=name).click()


def test_a_person_builds_a_sync_of_a_csv_to_accounts_with_a_lookup(page: Page, world: World, tmp_path: Path) -> None:
    """Sees mistakes at their fields, tests the connection, previews ten rows, and saves."""
    emulator = world.emulator
    file = tmp_path / "given.csv"
    rows = [f"c-{number},Account {number},c-0" for number in range(1, 13)]
    file.write_text("\n".join(["number,name,parent", "c-0,Holding,", *rows]) + "\n")
    page.goto("/")
    page.get_by_role("link", name="Make the first one").click()
    assert violations(page) == []
    pictures(page, "new", tmp_path)

    page.get_by_label("Name", exact=True).fill("Accounts!")
    press(page, "Fill it in by hand")
    expect(page.get_by_text("a name contains only a-z, 0-9 and -")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("accounts")
    page.get_by_label("Or a file of this machine").set_input_files(file)
    page.get_by_label("Table of Dataverse").fill("Account")
    press(page, "Fill it in by hand")
    expect(page.get_by_role("heading", name="New sync accounts")).to_be_visible()

    # The columns were found in the file.
    tab(page, "Columns")
    expect(page.get_by_role("group", name="Column 3", exact=True)).to_be_visible()
    assert violations(page) == []
    pictures(page, "editor-columns", tmp_path)

    # A mistake is at its field and in the summary.
    tab(page, "Destination")
    page.get_by_label("Service URL").fill("http://crm.example.com")
    page.get_by_label("Tenant ID").fill(emulator.tenant_id)
    page.get_by_label("Client ID: where it is").select_option("text")
    page.locator("#f-destination-client_id").fill(emulator.client_id)
    page.get_by_label("Client secret: where it is").select_option("env")
    page.locator("#f-destination-client_secret").fill("DATAVERSE_SECRET")
    press(page, "Check")
    field = page.get_by_label("Service URL")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#f-destination-service_url-wrong")).to_be_visible()
    assert violations(page) == []
    pictures(page, "editor-mistakes", tmp_path)
    field.fill(emulator.service_url)
    press(page, "Look up the table and its id column")
    expect(page.locator("#f-destination-entity")).to_have_value("account")
    expect(page.locator("#f-destination-id_column")).to_have_value("accountid")

    # Equal names are mapped, and the lookup finds its record by the alternate key of the table.
    tab(page, "Mapping")
    press(page, "Map all that fit by their names")
    expect(page.get_by_text("3 columns were mapped")).to_be_visible()
    row = page.get_by_role("group", name="Mapping 3", exact=True)
    expect(row).to_contain_text("refers to account")
    expect(page.locator("#f-destination-mappings-2-lookup-match")).to_have_value("accountnumber")
    assert violations(page) == []
    pictures(page, "editor-mapping", tmp_path)
    tab(page, "Filter")
    page.locator("#f-destination-filter").fill("startswith(accountnumber,'c-')")
    press(page, "Ask Dataverse, and count")
    expect(page.get_by_text("It lets 0 of")).to_be_visible()
    tab(page, "Behaviour")
    page.locator("#f-sync_behaviour-sync_key").fill("accountnumber")
    pictures(page, "editor-behaviour", tmp_path)

    press(page, "Test connection")
    expect(page.get_by_text("Nothing is missing")).to_be_visible()
    pictures(page, "editor-test", tmp_path)
    press(page, "Preview")
    expect(page.get_by_text("A run of the first 10 rows would do this")).to_be_visible()
    expect(page.get_by_role("row", name="1 insert accountnumber")).to_contain_text("c-0")
    assert violations(page) == []
    pictures(page, "editor-preview", tmp_path)
    assert world.accounts() == {}
    press(page, "Save")
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page).to_have_url("/syncs/accounts/edit/behaviour?saved=1")
    tab(page, "YAML")
    pictures(page, "editor-yaml", tmp_path)
    page.get_by_role("link", name="Earlier versions").click()
    expect(page.get_by_role("heading", name="Made by Developer on this machine")).to_be_visible()
    assert violations(page) == []
    pictures(page, "versions", tmp_path)
    world.app.run("accounts")
    assert len(world.accounts()) == 13
