"""Reading over HTTP: the same records whatever the way they are read in."""

from __future__ import annotations

import json

import pytest

from emulator.testing import RunningEmulator, running
from shared.dataverse import Applied, Change, ChangeAction, Dataverse
from shared.dataverse.read.reader import LONGEST_URL, table_query
from shared.errors import AbortRun, UserError
from shared.transform import current_table_step
from shared.workspace import Workspace
from tests.integration.dataverse.conftest import Connect
from tests.integration.dataverse.tables import ACCOUNT_LAYOUT, read_accounts

NAMES = ("Müller & Söhne", 'O\'Neil "Bar"', "日本", "100% <b>", "Tab\there")


def fill(client: Dataverse, count: int) -> None:
    changes = (
        Change(
            number=n,
            action=ChangeAction.INSERT,
            key=json.dumps({"accountnumber": f"A{n}"}),
            payload=json.dumps({"accountnumber": f"A{n}", "name": f"{NAMES[n % 5]} {n}", "numberofemployees": n}),
        )
        for n in range(count)
    )
    assert all(isinstance(outcome, Applied) for outcome in client.write(client.entity("account"), changes))


def rows(
    client: Dataverse, *, source: int = 0, key: str = "A", condition: str | None = None
) -> tuple[int, list[tuple[object, ...]]]:
    """Pages read, and the records; with a source of so many keys that begin so, the reader may divide the table."""
    with Workspace.open(threads=1) as workspace:
        if source:
            workspace.execute(
                "CREATE TABLE desired AS SELECT ? || i AS accountnumber FROM range(?) t(i)", [key, source]
            )
        workspace.run(current_table_step(ACCOUNT_LAYOUT))
        report = client.read(workspace, client.entity("account"), ACCOUNT_LAYOUT, condition=condition)
        found = workspace.query("SELECT _id, accountnumber, name FROM current ORDER BY _id")
        numbered = workspace.query("SELECT count(DISTINCT _seq) FROM current")
    assert numbered == [(len(found),)]
    return report.pages, found


def test_a_large_table_read_in_ranges_equals_one_read_in_order(emulator: RunningEmulator, connect: Connect) -> None:
    """Ranges of the key side by side bring the same records as pages one after the other, under a filter too."""
    client = connect(emulator)
    fill(client, 12_000)
    pages, in_order = rows(client)
    assert (pages, len(in_order)) == (3, 12_000)
    more_pages, in_ranges = rows(client, source=11_000)
    assert more_pages > pages
    assert in_ranges == in_order
    assert {str(name).rpartition(" ")[0] for _, _, name in in_order} == set(NAMES)
    condition = "numberofemployees ge 2000 or numberofemployees lt 10"
    assert rows(client, condition=condition)[1] == rows(client, source=11_000, condition=condition)[1]


def test_a_filter_that_leaves_no_room_for_the_bounds_of_a_range_is_read_in_order(
    emulator: RunningEmulator, connect: Connect
) -> None:
    """The filter alone fits into the URL, so the table can be read; ranges only save time."""
    client = connect(emulator, page_rows=5)
    fill(client, 12)
    used = len(table_query(client.entity("account"), ACCOUNT_LAYOUT, "name ne ''"))
    condition = f"name ne '{'x' * (LONGEST_URL - 1000 - used)}'"  # a next link needs some room
    key = "A" + "ж" * 200  # takes 1,200 characters

    pages, in_order = rows(client, condition=condition)

    assert (pages, len(in_order)) == (3, 12)
    assert rows(client, source=12, key=key)[0] > pages
    assert rows(client, source=12, key=key, condition=condition) == (pages, in_order)


def test_a_small_table_costs_one_request(emulator: RunningEmulator, connect: Connect) -> None:
    """Nothing is divided that fits a page."""
    client = connect(emulator)
    fill(client, 100)
    client.entity("account")
    before = client.usage().requests
    assert rows(client, source=100_000)[0] == 1
    assert client.usage().requests - before == 2  # one of them asks for the metadata version


def test_records_are_fetched_by_key_whatever_the_keys_hold(emulator: RunningEmulator, connect: Connect) -> None:
    """Quotes, reserved characters and other case find their records in one request."""
    client = connect(emulator)
    keys = ["O'Neil", 'Zoll 7"', "a/b&c", "100%", "Ä", "plain"]
    changes = [
        Change(
            number=n,
            action=ChangeAction.INSERT,
            key=json.dumps({"accountnumber": key}),
            payload=json.dumps({"accountnumber": key, "name": key}),
        )
        for n, key in enumerate(keys)
    ]
    account = client.entity("account")
    assert all(isinstance(outcome, Applied) for outcome in client.write(account, changes))
    asked = [json.dumps({"accountnumber": key.lower()}) for key in [*keys, "absent"]]
    with Workspace.open(threads=1) as workspace:
        workspace.run(current_table_step(ACCOUNT_LAYOUT, stored_keys=True))
        report = client.read(workspace, account, ACCOUNT_LAYOUT, keys=asked)
        found = workspace.query("SELECT accountnumber FROM current")
    assert (report.rows, report.pages) == (len(keys), 1)
    assert {number for (number,) in found} == set(keys)


def test_a_filter_longer_than_a_url_is_refused_before_it_is_sent(emulator: RunningEmulator, connect: Connect) -> None:
    """The message has the length and the limit."""
    client = connect(emulator)
    with pytest.raises(UserError, match="32768"):
        read_accounts(client, " or ".join(f"name eq 'Company {n}'" for n in range(2000)))


@pytest.mark.parametrize(
    ("name", "logical"),
    [
        ("account", "account"),
        ("accounts", "account"),
        ("Account", "account"),
        ("Accounts", "account"),
        ("LEAD", "lead"),
    ],
)
def test_a_table_is_found_by_any_of_its_names(
    name: str, logical: str, emulator: RunningEmulator, connect: Connect
) -> None:
    """Logical name, set name, display name, in any case."""
    assert connect(emulator).entity(name).logical_name == logical


def test_an_unknown_table_is_an_error_with_suggestions(emulator: RunningEmulator, connect: Connect) -> None:
    """A slip of the pen gets a suggestion."""
    with pytest.raises(AbortRun, match=r"did you mean account or \w+\?$"):
        connect(emulator).entity("acount")


def test_metadata_has_what_the_rules_need(emulator: RunningEmulator, connect: Connect) -> None:
    """Types, lengths, ranges, choices, targets, navigation properties and keys."""
    account = connect(emulator).entity("account")
    assert (account.entity_set, account.primary_id, account.primary_name) == ("accounts", "accountid", "name")
    assert account.attributes["name"].max_length == 160
    assert account.attributes["revenue"].precision == 2
    assert account.attributes["parentaccountid"].navigation == {"account": "parentaccountid"}
    assert set(account.attributes["ownerid"].targets) == {"systemuser", "team"}
    assert {choice.value for choice in account.attributes["statecode"].choices} == {0, 1}
    assert any(label == "Consulting" for c in account.attributes["industrycode"].choices for label in c.labels)
    assert [key.columns for key in account.keys if key.active] == [("accountnumber",)]
    assert not account.attributes["createdon"].updatable


def test_known_metadata_costs_one_request(emulator: RunningEmulator, connect: Connect) -> None:
    """The metadata version shows whether anything has changed."""
    client = connect(emulator)
    client.entity("contact")
    before = client.usage().requests
    assert client.entity("contact") is client.entity("contact")
    assert client.usage().requests - before == 2


def test_requests_spread_over_web_servers(connect: Connect) -> None:
    """Without the affinity cookie the service's servers share the work."""
    with running(in_thread=True, servers=3) as emulator:
        client = connect(emulator)
        for _ in range(30):
            read_accounts(client)
        servers = emulator.stats().get("servers", {})
    assert not servers or len(servers) == 3
