"""The queue of faults, and the statistics, without a server."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from emulator.errors import ServiceError
from emulator.policies.faults import DroppedConnectionError, Faults
from emulator.policies.stats import LogEntry, Stats, kind_of
from emulator.store.collation import Collation

PATH = "/api/data/v9.2/accounts?$top=1"


def queue(*given: dict[str, Any]) -> Faults:
    faults = Faults(Collation())
    faults.add(list(given))
    return faults


def no_rows() -> Iterable[Mapping[str, Any]]:
    return ()


def struck(faults: Faults, method: str = "GET", target: str = PATH) -> ServiceError | None:
    fault = faults.take(method, target, no_rows)
    if fault is None:
        return None
    try:
        asyncio.run(fault.apply_before())
    except ServiceError as error:
        return error
    return None


def test_faults_are_queued_and_the_first_match_is_used_first() -> None:
    """Each is used for the given number of requests, then the next one."""
    faults = queue(
        {"action": "status", "status": 503, "match": {"path": "contacts"}},
        {
            "action": "status",
            "status": 429,
            "retry_after": 7,
            "times": 2,
            "match": {"path": "accounts", "method": "get"},
        },
        {"action": "status", "status": 500},
    )
    answers = [struck(faults) for _ in range(4)]
    assert [(error.status, error.code) if error else None for error in answers] == [
        (429, "0x80072322"),
        (429, "0x80072322"),
        (500, "0x80044150"),
        None,
    ]
    first = answers[0]
    assert first is not None
    assert first.headers == {"Retry-After": "7"}
    assert [item["match"] for item in faults.pending()] == [{"path": "contacts"}]
    assert faults.struck == 3
    faults.clear()
    assert faults.pending() == []


@pytest.mark.parametrize(
    ("match", "met"),
    [
        ({}, True),
        ({"path": "accounts"}, True),
        ({"path": "$top=1"}, True),
        ({"path": "contacts"}, False),
        ({"method": "GET"}, True),
        ({"method": "POST"}, False),
    ],
)
def test_a_path_matches_as_part_of_path_and_query(match: dict[str, str], met: bool) -> None:  # noqa: FBT001 - expectation
    """Method and path both have to fit; a percent-encoded path is compared decoded as well."""
    assert (struck(queue({"action": "status", "match": match}), target=PATH.replace("$", "%24")) is not None) is met


def test_the_filter_of_a_fault_matches_rows_of_the_body() -> None:
    """A fault can apply to the request that contains a certain row."""
    faults = queue({"action": "drop_before", "match": {"filter": "name eq 'b' and _parentaccountid_value eq null"}})
    assert faults.take("POST", PATH, lambda: [{"name": "a"}]) is None
    fault = faults.take("POST", PATH, lambda: [{"name": "a"}, {"name": "B"}])
    assert fault is not None
    with pytest.raises(DroppedConnectionError):
        asyncio.run(fault.apply_before())


def test_dropping_after_executes_the_request() -> None:
    """The request is executed, and then the connection is closed."""
    fault = queue({"action": "drop_after"}).take("POST", PATH, no_rows)
    assert fault is not None
    asyncio.run(fault.apply_before())
    with pytest.raises(DroppedConnectionError):
        fault.apply_after()


def test_rows_are_refused_with_the_plug_ins_message() -> None:
    """Every matching row fails until the fault is cleared, or the given number of times."""
    faults = queue({"action": "refuse_rows", "match": {"filter": "accountnumber eq 'A7'"}, "message": "No sevens."})
    check = faults.row_check("POST", PATH)
    assert check is not None
    check({"accountnumber": "A8"})
    for _ in range(3):
        with pytest.raises(ServiceError) as caught:
            check({"accountnumber": "a7"})
        assert (caught.value.status, caught.value.code, caught.value.message) == (400, "0x80040265", "No sevens.")
    assert faults.take("POST", PATH, no_rows) is None
    once = queue({"action": "refuse_rows", "match": {"filter": "name eq 'x'"}, "times": 1})
    check = once.row_check("POST", PATH)
    assert check is not None
    with pytest.raises(ServiceError):
        check({"name": "x"})
    check({"name": "x"})
    assert once.row_check("POST", PATH) is None


def test_only_faults_with_a_path_apply_to_an_operation_in_a_batch() -> None:
    """A fault without a path applies to the batch itself."""
    faults = queue({"action": "status"}, {"action": "status", "status": 412, "match": {"path": "accounts"}})
    with pytest.raises(ServiceError) as caught:
        faults.take_inner("POST", PATH, no_rows)
    assert caught.value.status == 412
    faults.take_inner("POST", PATH, no_rows)
    assert len(faults.pending()) == 1


@pytest.mark.parametrize(
    "given",
    [
        "text",
        {"action": "explode"},
        {"action": "status", "match": "accounts"},
        {"action": "status", "match": {"host": "x"}},
        {"action": "status", "status": "many"},
        {"action": "status", "times": 0},
        {"action": "delay", "seconds": -1},
        {"action": "status", "colour": "red"},
        {"action": "refuse_rows"},
        {"action": "refuse_rows", "match": {"filter": "name eq"}},
    ],
)
def test_an_invalid_fault_is_refused(given: object) -> None:
    """A typing mistake in a test must be an error."""
    with pytest.raises(ServiceError) as caught:
        Faults(Collation()).add(given)
    assert caught.value.status == 400


def entry(kind: str, status: int = 204, code: str = "") -> LogEntry:
    return LogEntry(at=1.0, method="POST", path=PATH, kind=kind, status=status, milliseconds=2.0, code=code)


def test_statistics_add_up() -> None:
    """Requests, rows, throttles, the maximum of concurrent requests and writes per record."""
    stats = Stats()
    for _ in range(3):
        stats.arrived()
    stats.left(entry("create"))
    stats.left(entry("UpsertMultiple", 429, "0x80072326"))
    stats.rows("create", 2)
    stats.wrote("account", ["a", "b"])
    stats.wrote("account", ["a"])
    report = stats.report()
    assert report["requests"]["total"] == 2
    assert report["requests"]["by_kind"] == {"create": 1, "UpsertMultiple": 1}
    assert report["requests"]["by_status"] == {"204": 1, "429": 1}
    assert report["throttles"] == {"total": 1, "concurrency": 1}
    assert report["in_flight"] == {"now": 1, "most": 3}
    assert report["rows"] == {"create": 2}
    assert report["writes_per_record"]["account"] == {
        "records": 2,
        "writes": 3,
        "most": 2,
        "records_by_writes": {"1": 1, "2": 1},
        "written_again": {"a": 2},
    }
    assert [item["kind"] for item in stats.log()] == ["create", "UpsertMultiple"]
    stats.reset()
    assert stats.report()["requests"]["total"] == 0
    assert stats.report()["in_flight"] == {"now": 1, "most": 1}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "", "metadata"),
        ("GET", "$metadata", "metadata"),
        ("GET", "EntityDefinitions(LogicalName='account')", "metadata"),
        ("POST", "$batch", "batch"),
        ("POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", "UpsertMultiple"),
        ("POST", "accounts(1)/Microsoft.Dynamics.CRM.new_Act", "operation"),
        ("POST", "new_Act", "create"),
        ("POST", "BulkDelete", "operation"),
        ("GET", "WhoAmI", "operation"),
        ("GET", "accounts", "query"),
        ("GET", "accounts(1)", "retrieve"),
        ("POST", "accounts", "create"),
        ("PATCH", "accounts(1)", "upsert"),
        ("PUT", "accounts(1)/name", "update"),
        ("DELETE", "accounts(1)", "delete"),
        ("DELETE", "accounts(1)/name", "update"),
        ("PUT", "accounts(1)/primarycontactid/$ref", "association"),
    ],
)
def test_requests_are_counted_by_kind(method: str, path: str, kind: str) -> None:
    """The counters separate queries, writes, messages and metadata."""
    assert kind_of(method, path) == kind
    assert kind_of("PATCH", "accounts(1)", if_match=True) == "update"
