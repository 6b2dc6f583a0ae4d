"""Bodies as Microsoft's OData library reads them: types of rows and values, properties, references, parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.http_client import Client, error, made, whole_error

CRM = "Microsoft.Dynamics.CRM"
PAYLOAD = (
    "Error identified in Payload provided by the user for Entity :'accounts', For more information on this error please "
    "follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : "
    "Microsoft.OData.ODataException: "
)


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        ({"numberofemployees": "200"}, 200),
        ({"industrycode": " 7 "}, 7),
        ({"creditonhold": "True"}, True),
        ({"address1_latitude": "47.5"}, 47.5),
        ({"revenue": 5}, 5),
    ],
)
def test_texts_are_read_as_numbers_and_truth_values(client: Client, body: dict[str, Any], stored: Any) -> None:
    """32-bit and binary numbers, choices and truth values: the sample of the page has `"numberofemployees":"200"`."""
    account = made(client, "accounts", **body)
    (name,) = body
    assert client.send("GET", f"accounts({account})?$select={name}").json()[name] == stored


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"name":"a","name":"b"}', "Multiple properties with the name 'name' were detected"),
        ('{"name" : "a", "telephone1":"1",\n"name"\t:"b"}', "Multiple properties with the name 'name'"),
        ('{"na\\u006de":"a","telephone1":"\\":","name":"b"}', "Multiple properties with the name 'name'"),
        (
            '{"primarycontactid@odata.bind":null,"primarycontactid@odata.bind":null}',
            "Multiple annotations with the name 'odata.bind' were detected for the property with name 'primarycontactid'",
        ),
        ('{"@odata.type":"x","@odata.type":"y"}', "Multiple annotations with the name 'odata.type' were detected. In"),
        ('{"primarycontactid":{"lastname":"a","lastname":"b"}}', "Multiple properties with the name 'lastname'"),
    ],
)
def test_a_name_that_is_repeated_is_refused(client: Client, body: str, said: str) -> None:
    """Otherwise one of its values is lost without a word."""
    headers = {**client.headers, "Content-Type": "application/json"}
    url = f"{client.base}/api/data/v9.2/accounts"
    answer = client.session.post(url, data=body, headers=headers, timeout=60)
    assert whole_error(answer)[:2] == (400, "0x80048d19")
    assert said in whole_error(answer)[2]
    assert client.names() == []


def test_names_are_repeated_in_other_objects_and_in_texts(client: Client) -> None:
    body = '{"name" :"\\"name\\":","NAME@x":1,"primarycontactid": {"lastname":"\\"a\\":", "firstname" : "1e5"}}'
    headers = {**client.headers, "Content-Type": "application/json"}
    url = f"{client.base}/api/data/v9.2/accounts"
    answer = client.session.post(url, data=body, headers=headers, timeout=60)
    assert answer.status_code == 204, answer.text
    assert client.names() == ['"name":']


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            {"revenue": "5"},
            (
                "Cannot convert a value to target type 'Edm.Decimal' because of conflict between input format string/number "
                "and parameter 'IEEE754Compatible' false/true."
            ),
        ),
        ({"numberofemployees": 2.0}, "Cannot convert the literal '2.0' to the expected type 'Edm.Int32'."),
        ({"numberofemployees": "two"}, "Cannot convert the literal 'two' to the expected type 'Edm.Int32'."),
        (
            {"numberofemployees": 3000000000},
            "Cannot convert the literal '3000000000' to the expected type 'Edm.Int32'.",
        ),
        ({"creditonhold": 1}, "Cannot convert the literal '1' to the expected type 'Edm.Boolean'."),
        ({"address1_latitude": "north"}, "Cannot convert the literal 'north' to the expected type 'Edm.Double'."),
        (
            {"name": "A", "@odata.type": f"#{CRM}.contact"},
            (
                f"A resource with type '#{CRM}.contact' was found, but it is not assignable to the expected type "
                f"'{CRM}.account'. The type specified in the resource must be equal to either the expected type or a derived "
                "type."
            ),
        ),
    ],
)
def test_other_bodies_are_refused_with_the_name_of_their_entity_set(
    client: Client, body: dict[str, Any], reason: str
) -> None:
    """And nothing is written."""
    assert whole_error(client.send("POST", "accounts", body)) == (400, "0x80048d19", PAYLOAD + reason)
    assert client.names() == []


@pytest.mark.parametrize("body", [{}, {"name": "B"}, {"value": "B", "name": "B"}])
def test_a_property_is_changed_by_its_value_only(client: Client, body: dict[str, Any]) -> None:
    """A body without `value` does not set the property to null."""
    account = made(client, "accounts", name="A")
    assert error(client.send("PUT", f"accounts({account})/name", body)) == (400, "0x80048d19")
    assert client.names() == ["A"]
    assert client.send("PUT", f"accounts({account})/name", {"@odata.context": "x", "value": "B"}).status_code == 204
    assert client.names() == ["B"]


@pytest.mark.parametrize("body", [{}, {"id": "contacts(1)"}, {"@odata.id": None}, {"@odata.id": 5}])
def test_a_reference_needs_its_address(client: Client, body: dict[str, Any]) -> None:
    """A body without `@odata.id` does not clear the lookup."""
    contact = made(client, "contacts", lastname="L")
    account = made(client, "accounts", name="A", **{"primarycontactid@odata.bind": f"contacts({contact})"})
    assert error(client.send("PUT", f"accounts({account})/primarycontactid/$ref", body)) == (400, "0x80048d19")
    assert client.send("GET", f"accounts({account})/_primarycontactid_value").json()["value"] == contact


@pytest.mark.parametrize(
    ("path", "operation", "body"),
    [
        (f"accounts/{CRM}.CreateMultiple", "CreateMultiple", {"Targets": []}),
        ("BulkDelete", "BulkDelete", {"QuerySet": [{"EntityName": "account"}]}),
        ("WinOpportunity", "WinOpportunity", {"Status": 3, "OpportunityClose": {}}),
        ("ReactivateEntityKey", "ReactivateEntityKey", {"EntityLogicalName": "account", "EntityKeyLogicalName": "x"}),
    ],
)
def test_an_action_refuses_parameters_that_it_does_not_have(
    client: Client, path: str, operation: str, body: dict[str, Any]
) -> None:
    """A misspelled parameter is not ignored."""
    status, code, message = whole_error(client.send("POST", path, {**body, "Extra": 1}))
    assert (status, code) == (400, "0x80048d19")
    expected = f"The parameter 'Extra' in the request payload is not a valid parameter for the operation '{operation}'."
    assert message.endswith(expected)


def test_a_recurring_job_is_refused(client: Client) -> None:
    """A job that the emulator would run only once."""
    body = {"QuerySet": [{"EntityName": "account"}], "RecurrencePattern": "FREQ=DAILY"}
    assert error(client.send("POST", "BulkDelete", body)) == (501, "0x80040800")


def test_a_list_can_stand_in_the_parentheses_of_a_function(client: Client) -> None:
    """As well as in a parameter alias."""
    made(client, "accounts", name="A")
    for path in (
        "RetrieveTotalRecordCount(EntityNames=['account','contact'])",
        'RetrieveTotalRecordCount(EntityNames=["account", "contact"])',
        "RetrieveTotalRecordCount(EntityNames=@p)?@p=['account','contact']",
    ):
        counted = client.send("GET", path).json()["EntityRecordCountCollection"]
        assert dict(zip(counted["Keys"], counted["Values"], strict=True)) == {"account": 1, "contact": 0}
    for wrong in ("['account'", "['account'] x", "['account'],,"):
        assert client.send("GET", f"RetrieveTotalRecordCount(EntityNames={wrong})").status_code == 400
