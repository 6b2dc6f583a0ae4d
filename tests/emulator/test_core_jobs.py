"""Bulk delete jobs and declared actions: work outside the request."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True, schema=[Path(__file__).parent / "golden_schema.yml"], row_ms="delete=20") as emulator:
        yield emulator


# So many rows that a job takes three seconds: far longer than the request that has to come before its end.
MANY = 150


def _bulk_delete(client: Client, table: str, *conditions: dict[str, Any], joined: str = "And") -> str:
    query = {"EntityName": table, "Criteria": {"FilterOperator": joined, "Conditions": list(conditions)}}
    answer = client.send("POST", "BulkDelete", {"JobName": "j", "QuerySet": [query]})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["JobId"])


def _finished(client: Client, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + 100
    while True:
        row: dict[str, Any] = client.send(
            "GET", f"asyncoperations({job})?$select=statecode,statuscode,completedon"
        ).json()
        if row["statecode"] == 3:
            return row
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _condition(column: str, operator: str, *values: object) -> dict[str, Any]:
    return {"AttributeName": column, "Operator": operator, "Values": [{"Value": value} for value in values]}


def test_a_job_that_is_canceled_before_it_runs_deletes_nothing(client: Client) -> None:
    """A client cancels by completing the asyncoperation; the operation ends as canceled."""
    client.upsert([{"accountnumber": str(number), "name": "N"} for number in range(MANY)])
    job = _bulk_delete(client, "account", _condition("name", "Equal", "N"))
    canceled = client.send("PATCH", f"asyncoperations({job})", {"statecode": 3, "statuscode": 32}, If_Match="*")
    assert canceled.status_code == 204
    deadline = time.monotonic() + 100
    query = f"bulkdeleteoperations?$select=statecode,statuscode&$filter=_asyncoperationid_value eq {job}"
    while (row := client.send("GET", query).json()["value"][0])["statecode"] != 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert row["statuscode"] == 32
    assert len(client.names()) == MANY


def test_a_job_deletes_after_its_request_and_takes_its_time(client: Client, emulator: RunningEmulator) -> None:
    """The rows exist when the answer is sent, and do not when the job is complete; the statistics count them."""
    client.upsert([{"accountnumber": str(n), "name": f"N{n}", "numberofemployees": n} for n in range(MANY + 4)])
    begun = time.monotonic()
    job = _bulk_delete(client, "account", _condition("numberofemployees", "LessThan", MANY))
    assert len(client.names()) == MANY + 4
    row = _finished(client, job)
    assert time.monotonic() - begun >= MANY * 0.02
    assert (row["statuscode"], row["completedon"] is not None) == (30, True)
    assert len(client.names()) == 4
    assert emulator.stats()["rows"]["delete"] == MANY
    found = client.send(
        "GET", f"bulkdeleteoperations?$filter=_asyncoperationid_value eq {job}&$select=successcount"
    ).json()
    assert found["value"][0]["successcount"] == MANY


@pytest.mark.parametrize(
    ("conditions", "joined", "left"),
    [
        ([_condition("name", "In", "A", "B")], "And", ["C"]),
        ([_condition("name", "NotIn", "A", "B")], "And", ["A", "B"]),
        ([_condition("name", "Equal", "a"), _condition("fax", "NotNull")], "And", ["B", "C"]),
        ([_condition("name", "Equal", "A"), _condition("fax", "Null")], "Or", []),
        ([_condition("name", "BeginsWith", "b")], "And", ["A", "C"]),
        ([], "And", []),
    ],
)
def test_a_job_deletes_what_its_query_finds(
    client: Client, conditions: list[dict[str, Any]], joined: str, left: list[str]
) -> None:
    """Conditions compare as filters do."""
    for name, fax in (("A", "1"), ("B", None), ("C", None)):
        client.send("POST", "accounts", {"name": name, "fax": fax})
    _finished(client, _bulk_delete(client, "account", *conditions, joined=joined))
    assert client.names() == left


def test_a_reset_removes_jobs_that_have_not_run(client: Client, emulator: RunningEmulator) -> None:
    """Rows that are written after it stay."""
    client.send("POST", "accounts", {"name": "A"})
    _bulk_delete(client, "account")
    emulator.reset()
    client.send("POST", "accounts", {"name": "B"})
    time.sleep(0.15)
    assert client.names() == ["B"]


def test_an_invalid_job_is_refused_at_once(client: Client) -> None:
    """Unknown tables, columns and operators are reported in the answer."""
    for query in (
        {"EntityName": "nothing"},
        {"EntityName": "account", "Criteria": {"Conditions": [_condition("nothing", "Equal", 1)]}},
        {"EntityName": "account", "Criteria": {"Conditions": [_condition("name", "ChildOf", 1)]}},
    ):
        assert client.send("POST", "BulkDelete", {"QuerySet": [query]}).status_code == 400
    assert client.send("POST", "BulkDelete", {}).status_code == 400


def test_calls_of_declared_actions_are_recorded(client: Client, emulator: RunningEmulator) -> None:
    """Tests can read which action was called, for which row and with which parameters."""
    client.send("POST", "accounts", {"accountid": "00000000-0000-0000-0000-0000000000aa", "name": "A"})
    client.send("POST", "sample_Recalculate", {"Since": "2024-01-01T00:00:00Z"})
    path = "accounts(00000000-0000-0000-0000-0000000000aa)/Microsoft.Dynamics.CRM.sample_Close"
    client.send("POST", path, {"Reason": "Moved"})
    client.send("POST", "sample_Recalculate", {})
    assert emulator.calls() == [
        {"action": "sample_Recalculate", "target": "", "parameters": {"Since": "2024-01-01T00:00:00Z"}},
        {
            "action": "sample_Close",
            "target": "accounts(00000000-0000-0000-0000-0000000000aa)",
            "parameters": {"Reason": "Moved"},
        },
    ]
    emulator.reset()
    assert emulator.calls() == []
