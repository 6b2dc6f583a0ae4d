"""Whether a record that was read has the values of a payload."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.dataverse.http.answers import UnexpectedAnswer, parsed
from shared.dataverse.http.sent_values import has_values, reading_path
from shared.entities import AttributeMetadata, AttributeType
from tests.unit.dataverse.simulation import ACCOUNT

ID, OTHER = "aaaaaaaa-2222-3333-4444-555555555555", "bbbbbbbb-2222-3333-4444-555555555555"
TABLE = replace(
    ACCOUNT,
    attributes={
        **ACCOUNT.attributes,
        "active": AttributeMetadata(name="active", type=AttributeType.BOOLEAN),
        "colors": AttributeMetadata(name="colors", type=AttributeType.MULTI_PICKLIST),
        "customerid": AttributeMetadata(
            name="customerid",
            type=AttributeType.CUSTOMER,
            targets=("account", "contact"),
            navigation={"account": "customerid_account", "contact": "customerid_contact"},
        ),
        "since": AttributeMetadata(name="since", type=AttributeType.DATETIME),
    },
)


@pytest.mark.parametrize(
    ("payload", "record", "same"),
    [
        ('{"name":"A"}', {"name": "A"}, True),
        ('{"name":"A"}', {"name": "a"}, False),
        ('{"name":"A","revenue":1}', {"name": "A", "revenue": 2}, False),
        ('{"name":null}', {"name": ""}, True),
        ('{"name":null}', {}, False),
        ('{"numberofemployees":0}', {"numberofemployees": None}, False),
        ('{"revenue":1.10}', {"revenue": 1.1}, True),
        ('{"revenue":1}', {"revenue": 1.0}, True),
        ('{"active":false}', {"active": False}, True),
        ('{"active":false}', {"active": None}, False),
        ('{"colors":"1,2"}', {"colors": "2, 1"}, True),
        ('{"colors":"1,2"}', {"colors": "1,2,3"}, False),
        ('{"since":"2024-01-31T09:00:00Z"}', {"since": "2024-01-31T09:00:00Z"}, True),
        (f'{{"customerid_contact@odata.bind":"/contacts({ID})"}}', {"_customerid_value": ID.upper()}, True),
        (f'{{"customerid_contact@odata.bind":"/contacts({ID})"}}', {"_customerid_value": OTHER}, False),
        (f'{{"customerid_contact@odata.bind":"/contacts({ID})"}}', {"_customerid_value": None}, False),
        ('{"customerid_account":null}', {"_customerid_value": None}, True),
        ('{"customerid_account":null}', {"_customerid_value": ID}, False),
    ],
)
def test_values_are_compared_in_the_form_that_the_service_has(
    payload: str, record: dict[str, Any], *, same: bool
) -> None:
    """Empty text is null, and ids and choices have one form; every other difference is one."""
    answer = parsed(json.dumps(record), "a look-up", exact=True)
    assert has_values(answer, payload, TABLE) is same


@pytest.mark.parametrize(
    "payload",
    [
        '{"name":"A","account_activity_parties":[]}',
        '{"customerid_contact@odata.bind":"/contacts(number=1)"}',
        '{"unknown":1}',
    ],
)
def test_what_is_not_given_back_with_a_record_is_not_known(payload: str) -> None:
    """Parties have records of their own, and a key names a record that is not looked up."""
    assert not has_values(parsed('{"name":"A","unknown":1}', "a look-up"), payload, TABLE)
    assert reading_path(TABLE, ID, payload) == f"accounts({ID})?$select=accountid"


def test_the_columns_that_were_sent_are_read() -> None:
    """By the names that queries use; of a record that is only looked for, its id."""
    payload = f'{{"name":"A","customerid_account@odata.bind":"/accounts({OTHER})"}}'
    assert reading_path(TABLE, ID, payload) == f"accounts({ID})?$select=accountid,name,_customerid_value"
    assert reading_path(TABLE, ID) == f"accounts({ID})?$select=accountid"


def test_an_answer_that_is_no_record_is_an_error() -> None:
    """It tells nothing of the record."""
    with pytest.raises(UnexpectedAnswer):
        has_values(parsed("[]", "a look-up"), '{"name":"A"}', TABLE)
