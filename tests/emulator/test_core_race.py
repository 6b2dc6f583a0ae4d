"""Concurrent requests: checks on arrival, and writes at the end."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from emulator.environment import Environment
from emulator.errors import ServiceError
from emulator.messages import Planned, Request
from emulator.schema.loader import builtin_schema
from emulator.service import Service
from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client

ACCOUNT, OTHER = (f"accounts(00000000-0000-0000-0000-00000000000{digit})" for digit in "ab")
COLUMN = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "new_Code", "MaxLength": 9}


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


CONTACTS = "contacts/Microsoft.Dynamics.CRM.CreateMultiple"
BOUND = {"lastname": "L", "parentcustomerid_account@odata.bind": ACCOUNT}


@pytest.fixture
def service() -> Service:
    """An account and a column, on which requests can be made that act later."""
    made = Service(Environment(builtin_schema()))
    planned(made, "POST", "accounts", {"accountid": ACCOUNT[9:-1], "name": "A"}).act()
    planned(made, "POST", "EntityDefinitions(LogicalName='contact')/Attributes", COLUMN).act()
    return made


def planned(service: Service, method: str, path: str, body: object = None) -> Planned:
    """A request after its arrival, before the time that it takes."""
    content, caller = b"" if body is None else json.dumps(body).encode(), service.environment.system
    return service.plan(Request(method=method, path=path, query="", headers={}, body=content, root="/", caller=caller))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("contacts", BOUND, id="row"),
        pytest.param(CONTACTS, {"Targets": [{"@odata.type": "Microsoft.Dynamics.CRM.contact", **BOUND}]}, id="bulk"),
    ],
)
def test_a_row_that_refers_to_one_that_is_deleted_meanwhile_is_refused(
    service: Service, path: str, body: object
) -> None:
    """Its lookup would name a row that is gone. The deletion of another row changes nothing."""
    planned(service, "POST", "accounts", {"accountid": OTHER[9:-1], "name": "B"}).act()
    first, second = (planned(service, "POST", path, body) for _ in range(2))
    planned(service, "DELETE", OTHER).act()
    first.act()
    planned(service, "DELETE", ACCOUNT).act()
    with pytest.raises(ServiceError) as refused:
        second.act()
    assert (refused.value.status, refused.value.code) == (404, "0x80040217")


def test_a_row_with_a_column_that_is_deleted_meanwhile_is_refused(service: Service) -> None:
    """With the answer to an unknown property; a row without it is created in the table as it is then."""
    late = [planned(service, "POST", "contacts", {"lastname": "L", **more}) for more in ({"new_code": "A"}, {})]
    column = "EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='new_code')"
    planned(service, "DELETE", column).act()
    with pytest.raises(ServiceError, match="Invalid property 'new_code' was found"):
        late[0].act()
    assert late[1].act().status == 204


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
