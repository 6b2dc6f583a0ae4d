"""Concurrent requests: checks on arrival, and writes at the end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client


@pytest.fixture(scope="module")
def slow() -> Iterator[RunningEmulator]:
    with running(in_thread=True, row_ms="upsert=150,update=150,create=150,delete=50", limits="none") as emulator:
        yield emulator


def _both(emulator: RunningEmulator, *calls: tuple[str, str, dict[str, object]]) -> list[requests.Response]:
    """Sends requests at once, each on a connection of its own."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: Client(emulator).send(*call), calls))


def test_of_two_upserts_of_one_new_key_one_is_refused_and_its_retry_updates(slow: RunningEmulator) -> None:
    """The second gets 412 with the code of the key, creates nothing, and can be sent again."""
    slow.reset()
    path = "accounts(accountnumber='RACE')"
    answers = _both(slow, ("PATCH", path, {"name": "one"}), ("PATCH", path, {"name": "two"}))
    assert sorted(answer.status_code for answer in answers) == [204, 412]
    refused = next(answer for answer in answers if answer.status_code == 412)
    assert refused.json()["error"] == {
        "code": "0x80060892",
        "message": "A record with matching key values already exists.",
    }
    with Client(slow) as client:
        assert client.send("PATCH", path, {"name": "again"}).status_code == 204
        assert client.names() == ["again"]


def test_of_two_bulk_upserts_with_one_new_key_one_is_rolled_back(slow: RunningEmulator) -> None:
    """Its rows with other keys are rolled back too."""
    slow.reset()

    def message(own: str) -> tuple[str, str, dict[str, object]]:
        targets = [
            {
                "@odata.type": "Microsoft.Dynamics.CRM.account",
                "@odata.id": f"accounts(accountnumber='{key}')",
                "name": key,
            }
            for key in ("SHARED", own)
        ]
        return "POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": targets}

    answers = _both(slow, message("first"), message("second"))
    assert sorted(answer.status_code for answer in answers) == [204, 412]
    with Client(slow) as client:
        assert len(client.names()) == 2


def test_an_update_of_a_row_that_is_deleted_meanwhile_is_refused(slow: RunningEmulator) -> None:
    """The row existed when the update arrived and is deleted before it writes: 404."""
    slow.reset()
    with Client(slow) as client:
        client.send("POST", "accounts", {"name": "A", "accountid": "00000000-0000-0000-0000-0000000000aa"})
    path = "accounts(00000000-0000-0000-0000-0000000000aa)"
    update, delete = _both(slow, ("PATCH", path, {"name": "B"}), ("DELETE", path, {}))
    assert (update.status_code, delete.status_code) == (404, 204)
    with Client(slow) as client:
        assert client.names() == []


def test_two_updates_of_one_version_overlap_and_the_second_is_refused(slow: RunningEmulator) -> None:
    """The version is compared when the row is written."""
    slow.reset()
    with Client(slow) as client:
        client.send("POST", "accounts", {"name": "A", "accountid": "00000000-0000-0000-0000-0000000000aa"})
        version = client.send("GET", "accounts(00000000-0000-0000-0000-0000000000aa)").headers["ETag"]

    def update(name: str) -> int:
        with Client(slow) as client:
            path = "accounts(00000000-0000-0000-0000-0000000000aa)"
            return client.send("PATCH", path, {"name": name}, If_Match=version).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(update, ["B", "C"])) == [204, 412]
