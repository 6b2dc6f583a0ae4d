"""A person in the browser, from an empty folder to the history of a sync."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.console.conftest import World, pictures, unreachable, violations


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).first.click()


def tab(page: Page, name: str) -> None:
    page.get_by_role("group", name="Parts of the definition").get_by_role("button", name=name).click()


def looked_at(page: Page, name: str, folder: Path) -> None:
    """Pictures of a page, in which axe-core finds nothing, and all of which is reached by the keyboard."""
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, name, folder)


def test_a_person_builds_a_sync_plans_applies_mends_a_row_and_watches_the_history(
    page: Page, world: World, tmp_path: Path
) -> None:
    """A CSV to accounts with a lookup: one Playwright test that reads like the work of a person."""
    begins_with_a_file(page, tmp_path)
    sees_a_mistake_at_its_field_and_mends_it(page, world, tmp_path)
    maps_columns_and_a_lookup(page, tmp_path)
    tries_the_connection_and_previews_ten_rows(page, world, tmp_path)
    saves(page, tmp_path)
    plans_and_applies(page, world, tmp_path)
    mends_a_rejected_row_and_retries_it(page, world, tmp_path)
    watches_the_history(page, tmp_path)


def begins_with_a_file(page: Page, tmp_path: Path) -> None:
    """The columns are found in it."""
    file = tmp_path / "given.csv"
    rows = [f"c-{number},Account {number},c-0" for number in range(1, 12)]
    file.write_text("\n".join(["number,name,parent", "c-0,Holding,", *rows, "c-12,Account 12,c-99"]) + "\n")
    page.goto("/")
    page.get_by_role("link", name="Make the first one").click()
    looked_at(page, "new", tmp_path)

    page.get_by_label("Name", exact=True).fill("Accounts!")
    press(page, "Fill it in by hand")
    expect(page.get_by_text("a name contains only a-z, 0-9 and -")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("a" * 101)
    press(page, "Fill it in by hand")
    expect(page.get_by_text("a name has at most 100 characters; this one has 101")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("accounts")
    page.get_by_label("Or a file of this machine").set_input_files(file)
    page.get_by_label("Table of Dataverse").fill("Account")
    press(page, "Fill it in by hand")
    expect(page.get_by_role("heading", name="New sync accounts")).to_be_visible()

    tab(page, "Columns")
    expect(page.get_by_role("group", name="Column 3", exact=True)).to_be_visible()
    looked_at(page, "editor-columns", tmp_path)


def sees_a_mistake_at_its_field_and_mends_it(page: Page, world: World, tmp_path: Path) -> None:
    """It is in the summary too; then the table is found in the environment."""
    emulator = world.emulator
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
    looked_at(page, "editor-mistakes", tmp_path)
    field.fill(emulator.service_url)
    press(page, "Look up the table and its id column")
    expect(page.locator("#f-destination-entity")).to_have_value("account")
    expect(page.locator("#f-destination-id_column")).to_have_value("accountid")


def maps_columns_and_a_lookup(page: Page, tmp_path: Path) -> None:
    """Equal names are mapped, and the lookup finds its record by the alternate key of the table."""
    tab(page, "Mapping")
    press(page, "Map all that fit by their names")
    expect(page.get_by_text("3 columns were mapped")).to_be_visible()
    row = page.get_by_role("group", name="Mapping 3", exact=True)
    expect(row).to_contain_text("refers to account")
    expect(page.locator("#f-destination-mappings-2-lookup-match")).to_have_value("accountnumber")
    looked_at(page, "editor-mapping", tmp_path)
    tab(page, "Filter")
    page.locator("#f-destination-filter").fill("startswith(accountnumber,'c-')")
    press(page, "Ask Dataverse, and count")
    expect(page.get_by_text("It lets 0 of")).to_be_visible()
    tab(page, "Behaviour")
    page.locator("#f-sync_behaviour-sync_key").fill("accountnumber")
    pictures(page, "editor-behaviour", tmp_path)


def tries_the_connection_and_previews_ten_rows(page: Page, world: World, tmp_path: Path) -> None:
    """Nothing is written."""
    press(page, "Test connection")
    expect(page.get_by_text("Nothing is missing")).to_be_visible()
    pictures(page, "editor-test", tmp_path)
    press(page, "Preview")
    expect(page.get_by_text("A run of the first 10 rows would do this")).to_be_visible()
    expect(page.get_by_role("row", name="1 create accountnumber")).to_contain_text("c-0")
    looked_at(page, "editor-preview", tmp_path)
    assert world.accounts() == {}


def saves(page: Page, tmp_path: Path) -> None:
    """The version says who made it."""
    press(page, "Save")
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page).to_have_url("/syncs/accounts/edit/behaviour?saved=1")
    tab(page, "YAML")
    pictures(page, "editor-yaml", tmp_path)
    page.get_by_role("link", name="Earlier versions").click()
    expect(page.get_by_role("heading", name="Made by Developer on this machine")).to_be_visible()
    looked_at(page, "versions", tmp_path)


def plans_and_applies(page: Page, world: World, tmp_path: Path) -> None:
    """Exactly the plan that was seen; the row whose parent is not there is rejected."""
    page.goto("/")
    page.get_by_role("link", name="accounts").click()
    page.get_by_role("link", name="Plan", exact=True).click()
    press(page, "Plan")
    expect(page.get_by_role("heading", name="Plan of accounts")).to_be_visible()
    expect(page.get_by_role("row", name="c-11").first).to_be_visible()
    looked_at(page, "story-plan", tmp_path)
    assert world.accounts() == {}
    press(page, "Apply exactly this plan")
    expect(page.get_by_role("heading", name="Run of accounts Completed with errors")).to_be_visible()
    assert len(world.accounts()) == 12


def mends_a_rejected_row_and_retries_it(page: Page, world: World, tmp_path: Path) -> None:
    """The file to mend has it as the source has it."""
    expect(page.get_by_text("1 row is left to mend")).to_be_visible()
    looked_at(page, "story-run", tmp_path)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the file to mend").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    file.write_text(file.read_text().replace("c-99", "c-0"))
    page.get_by_label("Send the mended file").set_input_files(file)
    press(page, "Retry these rows")
    expect(page.get_by_role("heading", name="Run of accounts Succeeded")).to_be_visible()
    looked_at(page, "story-retry", tmp_path)
    assert len(world.accounts()) == 13


def watches_the_history(page: Page, tmp_path: Path) -> None:
    """Charts, runs, and what the person did."""
    page.get_by_role("link", name="accounts", exact=True).first.click()
    expect(page.get_by_role("row", name="Completed with errors")).to_be_visible()
    expect(page.get_by_text("sent mended rows")).to_be_visible()
    looked_at(page, "story-history", tmp_path)
    page.goto("/")
    expect(page.get_by_role("row", name="accounts")).to_contain_text("Succeeded")
    looked_at(page, "story-end", tmp_path)
