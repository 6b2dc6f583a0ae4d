"""Actions, functions and custom APIs of an environment: found with their parameters, and called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import RunningEmulator, running
from shared.dataverse import Dataverse
from shared.dataverse.calls.operations import Operation, OperationParameter
from shared.dataverse.http.service import Call
from shared.errors import RequestRefused, RetryLater, SyncError
from tests.integration.dataverse.conftest import Connect

SCHEMA = """
actions:
  new_Sum: {function: true, parameters: {P: {type: Collection(Edm.String), required: true}}, response: {Total: 1}}
  new_Close: {bound_to: account, parameters: {Note: {type: Edm.String}}}
  new_CloseAll: {bound_to: account, collection: true}
"""
REQUIRED_TEXT = OperationParameter(type="Edm.String", required=True)


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    file: Path = tmp_path_factory.mktemp("schema") / "actions.yaml"
    file.write_text(SCHEMA, "utf-8")
    with running(schema=[file]) as emulator:
        yield emulator


@pytest.fixture
def client(declared: RunningEmulator, connect: Connect) -> Dataverse:
    declared.reset()
    return connect(declared)


def custom_api(client: Dataverse, **columns: Any) -> None:
    """A custom API with one required text, `Tag`."""

    def create(path: str, row: dict[str, Any]) -> str:
        call = Call(method="POST", path=path, body=json.dumps(row).encode(), writes=True)
        return client.service.attempt(call).headers["odata-entityid"].rpartition("(")[2].rstrip(")")

    made = create("customapis", {"uniquename": "new_Api", "name": "Api", **columns})
    bind = {"CustomAPIId@odata.bind": f"/customapis({made})"}
    create("customapirequestparameters", {"uniquename": "Tag", "name": "Tag", "type": 10, **bind})


@pytest.mark.parametrize("private", [True, False])
def test_a_custom_api_is_found_by_its_record(client: Dataverse, declared: RunningEmulator, *, private: bool) -> None:
    """Also a private one, which `$metadata` does not have."""
    custom_api(client, isprivate=private)
    (found,) = client.operations("new_Api")
    assert found == Operation(name="new_Api", parameters={"Tag": REQUIRED_TEXT})
    assert ("new_Api" in client.operation_names()) is not private
    client.call(found, {"Tag": "x"}, within=30)
    assert [each["parameters"] for each in declared.calls()] == [{"Tag": "x"}]


def test_a_custom_api_may_be_bound_and_a_function(client: Dataverse) -> None:
    """As its record says."""
    custom_api(client, bindingtype=2, boundentitylogicalname="account", isfunction=True)
    (found,) = client.operations("new_Api")
    assert (found.function, found.bound_to, found.collection) == (True, "account", True)


def test_other_operations_are_found_in_the_metadata(client: Dataverse) -> None:
    """Declared ones, and those of the service itself; one name may be bound to several tables."""
    (total,) = client.operations("new_Sum")
    assert (total.function, dict(total.parameters)) == (
        True,
        {"P": OperationParameter(type="Collection(Edm.String)", required=True)},
    )
    (close,) = client.operations("new_Close")
    assert (close.bound_to, close.collection, [*close.parameters]) == ("account", False, ["Note"])
    assert client.operations("new_CloseAll")[0].collection
    assert client.operations("WhoAmI") == (Operation(name="WhoAmI", function=True),)
    assert {"account", "contact"} <= {each.bound_to for each in client.operations("CreateMultiple")}
    assert client.operations("new_Nothing") == ()


def test_a_table_of_custom_apis_that_may_not_be_read_is_left_out(client: Dataverse, declared: RunningEmulator) -> None:
    """The application user may lack the privilege; public ones are in the metadata too."""
    custom_api(client)
    declared.faults({"action": "status", "status": 403, "match": {"path": "customapis"}, "times": 9})
    assert client.operations("new_Api") == (Operation(name="new_Api", parameters={"Tag": REQUIRED_TEXT}),)


def test_functions_and_bound_actions_are_called(client: Dataverse, declared: RunningEmulator) -> None:
    """With values of each kind, on a record and on a collection."""
    call = Call(method="POST", path="accounts", body=b'{"name": "A"}', writes=True)
    record = client.service.attempt(call).headers["odata-entityid"].rpartition("(")[2].rstrip(")")
    client.call(client.operations("new_Sum")[0], {"P": ["a", "it's"]}, within=30)
    client.call(client.operations("new_Close")[0], {"Note": 'a "b"'}, record=record, within=30)
    client.call(client.operations("new_CloseAll")[0], {}, within=30)
    assert [(each["target"], each["parameters"]) for each in declared.calls()] == [
        ("", {"P": ["a", "it's"]}),
        (f"accounts({record})", {"Note": 'a "b"'}),
        ("accounts", {}),
    ]


def test_an_action_is_called_once_unless_it_was_not_carried_out(client: Dataverse, declared: RunningEmulator) -> None:
    """Throttling is waited for; a lost answer is not repeated, and a refusal is the service's own sentence."""
    (close,) = client.operations("new_CloseAll")
    match = {"method": "POST", "path": "new_CloseAll"}
    declared.faults({"action": "status", "status": 429, "retry_after": 0, "match": match})
    client.call(close, {}, within=30)
    assert len(declared.calls()) == 1
    declared.faults({"action": "drop_after", "match": match})
    with pytest.raises(RetryLater, match="did not answer"):
        client.call(close, {}, within=30)
    assert len(declared.calls()) == 2
    declared.faults({"action": "status", "status": 500, "code": "0x80040265", "message": "No.", "match": match})
    with pytest.raises(RequestRefused, match=r"No\."):
        client.call(close, {}, within=30)
    with pytest.raises(SyncError):
        client.call(close, {}, record="00000000-0000-0000-0000-000000000001", within=30)
    assert len(declared.calls()) == 2
