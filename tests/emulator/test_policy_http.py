"""Limits, faults and statistics over real HTTP."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from emulator.http.options import Options
from emulator.http.server import Server
from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, waiting_client, whole_error
from tests.waiting import until_true


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    """One server for the tests that do not need their own settings."""
    with running() as one:
        yield one


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[Client]:
    """A client with a token and an empty server."""
    emulator.reset()
    with Client(emulator) as one:
        yield one


# Faults


def test_a_status_is_answered_to_the_next_matching_requests(client: Client, emulator: RunningEmulator) -> None:
    """Status, code, message and Retry-After for the given number of matching requests, and nothing is executed."""
    emulator.faults(
        [
            {
                "action": "status", "status": 429, "code": "0x80072322", "message": "Slow down.", "retry_after": 3,
                "times": 2, "match": {"method": "POST", "path": "accounts"},
            }
        ]
    )  # fmt: skip
    assert client.send("POST", "contacts", {"lastname": "x"}).status_code == 204
    assert client.send("GET", "accounts").status_code == 200
    for _ in range(2):
        answer = client.send("POST", "accounts", {"name": "x"})
        assert whole_error(answer) == (429, "0x80072322", "Slow down.")
        assert answer.headers["Retry-After"] == "3"
    assert client.send("POST", "accounts", {"name": "x"}).status_code == 204
    assert client.names() == ["x"]


def test_a_connection_dropped_before_writes_nothing(client: Client, emulator: RunningEmulator) -> None:
    """The client gets no answer, and the row does not exist."""
    emulator.faults([{"action": "drop_before", "match": {"method": "POST"}}])
    with pytest.raises(requests.ConnectionError):
        client.send("POST", "accounts", {"name": "x"})
    assert client.names() == []


def test_a_connection_dropped_after_has_written(client: Client, emulator: RunningEmulator) -> None:
    """The client gets no answer, and the row exists: a simple retry would create a duplicate."""
    emulator.faults([{"action": "drop_after", "match": {"method": "POST"}}])
    with pytest.raises(requests.ConnectionError):
        client.send("POST", "accounts", {"name": "x"})
    assert client.names() == ["x"]
    assert client.send("POST", "accounts", {"name": "x"}).status_code == 204
    assert client.names() == ["x", "x"]


def test_a_delay_delays_the_answer(client: Client, emulator: RunningEmulator) -> None:
    """The answer is correct, and late."""
    emulator.faults([{"action": "delay", "seconds": 0.4}])
    begun = time.monotonic()
    assert client.send("GET", "WhoAmI").status_code == 200
    assert time.monotonic() - begun >= 0.4


@pytest.mark.parametrize("times", [1, 2])
def test_a_delayed_request_goes_on_when_the_faults_are_removed(
    client: Client, emulator: RunningEmulator, times: int
) -> None:
    """Also that of a fault that is used up."""

    def struck() -> int:
        return int(client.session.get(f"{client.base}/_emulator/faults", timeout=60).json()["struck"])

    before = struck()
    emulator.faults({"action": "delay", "seconds": 600, "times": times, "match": {"path": "WhoAmI"}})
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(client.send, "GET", "WhoAmI")
        until_true(lambda: struck() > before)
        assert not late.done()
        emulator.clear_faults()
        assert late.result().status_code == 200


def test_a_deadlock_is_answered_with_its_code(client: Client, emulator: RunningEmulator) -> None:
    """SQL's 1205 as the service reports it."""
    emulator.faults([{"action": "status", "code": "0x80044150"}])
    status, code, message = whole_error(client.upsert([{"accountnumber": "1", "name": "x"}]))
    assert (status, code) == (500, "0x80044150")
    assert "1205" in message
    assert client.upsert([{"accountnumber": "1", "name": "x"}]).status_code == 204


def test_an_expired_token_is_answered_with_a_challenge(client: Client, emulator: RunningEmulator) -> None:
    """401 with `WWW-Authenticate`, then the token works again."""
    emulator.faults([{"action": "status", "status": 401}])
    answer = client.send("GET", "WhoAmI")
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    assert client.send("GET", "WhoAmI").status_code == 200


def test_rows_are_refused_wherever_they_are_written(client: Client, emulator: RunningEmulator) -> None:
    """A plug-in's refusal fails a create, a whole bulk message, and one operation of a batch."""
    emulator.faults([{"action": "refuse_rows", "match": {"filter": "accountnumber eq 'A7'"}, "message": "No sevens."}])
    refused = (400, "0x80040265", "No sevens.")
    assert whole_error(client.send("POST", "accounts", {"name": "x", "accountnumber": "A7"})) == refused
    rows = [{"accountnumber": f"A{number}", "name": f"n{number}"} for number in range(5, 10)]
    assert whole_error(client.upsert(rows)) == refused
    assert client.names() == []
    assert client.upsert([row for row in rows if row["accountnumber"] != "A7"]).status_code == 204
    assert whole_error(client.send("PATCH", "accounts(accountnumber='A7')", {"name": "x"})) == refused
    body = "\r\n".join(
        part
        for number in (7, 10)
        for part in (
            "--b", "Content-Type: application/http", "Content-Transfer-Encoding: binary", f"Content-ID: {number}", "",
            f"PATCH /api/data/v9.2/accounts(accountnumber='A{number}') HTTP/1.1", "Content-Type: application/json", "",
            f'{{"name": "n{number}"}}',
        )
    )  # fmt: skip
    answer = client.session.post(
        f"{client.base}/api/data/v9.2/$batch",
        data=f"{body}\r\n--b--\r\n",
        headers={
            **client.headers,
            "Content-Type": 'multipart/mixed; boundary="b"',
            "Prefer": "odata.continue-on-error",
        },
        timeout=30,
    )
    assert answer.status_code == 200
    assert "No sevens." in answer.text
    assert client.names() == ["n10", "n5", "n6", "n8", "n9"]


def test_faults_are_queued_and_the_first_match_is_used(client: Client, emulator: RunningEmulator) -> None:
    """In the order in which they were added; a path matches as a part of path and query."""
    emulator.faults(
        [{"action": "status", "status": 503, "match": {"path": "$top=1"}}, {"action": "status", "status": 500}]
    )
    emulator.faults([{"action": "status", "status": 502}])
    answers = [client.send("GET", path).status_code for path in ("contacts", "accounts?$top=1", "contacts", "contacts")]
    assert answers == [500, 503, 502, 200]


def test_an_invalid_fault_is_refused(emulator: RunningEmulator) -> None:
    """A mistake in a test is an error and not a fault that never applies."""
    answer = requests.post(f"{emulator.base_url}/_emulator/faults", json={"action": "explode"}, timeout=30)
    assert answer.status_code == 400


# Limits


def test_a_client_that_obeys_succeeds_without_growing_waits() -> None:
    """Over its budget the client waits for Retry-After, and no wait is longer than the window."""
    with running(limits="requests=10,window=1") as one, Client(one) as client:
        waits = waiting_client(client, "WhoAmI", 25)
        assert waits
        assert max(waits) <= 1
        assert one.stats()["throttles"]["total"] == len(waits)


def test_a_client_that_ignores_retry_after_waits_longer_and_longer() -> None:
    """Retry-After grows with each ignored wait."""
    with running(limits="requests=10,window=300") as one, Client(one) as client:
        for _ in range(10):
            assert client.send("GET", "WhoAmI").status_code == 200
        waits = []
        for _ in range(4):
            answer = client.send("GET", "WhoAmI")
            assert whole_error(answer)[:2] == (429, "0x80072322")
            waits.append(int(answer.headers["Retry-After"]))
            time.sleep(0.7)
        assert waits == sorted(waits)
        assert waits[-1] > waits[0] + 5


def test_execution_time_of_the_time_model_counts() -> None:
    """Simulated work uses up the budget of seconds."""
    with running(limits="time=0.2,window=60", row_ms="50") as one, Client(one) as client:
        assert client.upsert([{"accountnumber": str(number), "name": "x"} for number in range(5)]).status_code == 204
        status, code, message = whole_error(client.send("GET", "WhoAmI"))
        assert (status, code) == (429, "0x80072321")
        assert "limit of 200 milliseconds over time window of 60 seconds" in message


def test_too_many_concurrent_requests_are_refused_at_once() -> None:
    """The third concurrent request is refused, and the first two continue."""
    with running(limits="concurrency=2", latency_ms=5000) as one, Client(one) as client:
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(
                requests.get(f"{client.base}/api/data/v9.2/WhoAmI", headers=client.headers, timeout=30).status_code
            )

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200, 200, 429]
        assert one.stats()["throttles"] == {"total": 1, "concurrency": 1}
        assert one.stats()["in_flight"]["most"] == 3


def test_answers_have_the_limit_headers_and_cookies_select_servers() -> None:
    """The rest of the budget, per server; without cookies the servers take turns."""
    with running(limits="requests=8000", servers=2, dop=7) as one, Client(one) as client:
        first = client.send("GET", "WhoAmI")
        assert first.headers["x-ms-dop-hint"] == "7"
        assert first.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "7999"
        assert first.headers["x-ms-ratelimit-time-remaining-xrm-requests"].startswith("1,199.") or (
            first.headers["x-ms-ratelimit-time-remaining-xrm-requests"] == "1,200.00"
        )
        assert client.send("GET", "WhoAmI").headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "7999"
        cookie = first.headers["Set-Cookie"].partition(";")[0]
        assert cookie.startswith("ARRAffinity=")
        left = {
            client.send("GET", "WhoAmI", Cookie=cookie).headers["x-ms-ratelimit-burst-remaining-xrm-requests"]
            for _ in range(4)
        }
        assert left == {"7998", "7997", "7996", "7995"}


def test_the_time_model_limits_the_throughput() -> None:
    """Latency once per request and time for each row: the duration can be calculated in advance."""
    with running(latency_ms=40, row_ms="upsert=2,read=0") as one, Client(one) as client:
        rows = [{"accountnumber": str(number), "name": "x"} for number in range(100)]
        begun = time.monotonic()
        assert client.upsert(rows).status_code == 204
        took = time.monotonic() - begun
        assert took >= 0.24

        def reading() -> float:
            begun = time.monotonic()
            assert len(client.names()) == 100
            return time.monotonic() - begun

        assert reading() >= 0.04
        until_true(lambda: reading() < took)  # a busy machine slows any of them down


def test_small_answers_do_not_wait_for_an_acknowledgement() -> None:
    """Nagle's algorithm is off on every connection: it would delay the body until its headers are acknowledged."""
    with accepting() as (server, address), socket.create_connection(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1) == b"H"  # it is accepted, and stays open
        (protocol,) = server.server_state.connections
        accepted = protocol.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@contextmanager
def accepting() -> Iterator[tuple[Server, tuple[str, int]]]:
    """A server in this process with accessible sockets, and its address."""
    ready = threading.Event()
    server = Server(Options.parse(["--port", "0"]), lambda _: ready.set())
    thread = threading.Thread(target=server.run_here)
    address = server.socket.getsockname()
    thread.start()
    try:
        assert ready.wait(30)
        yield server, address
    finally:
        server.should_exit = True
        thread.join(30)


# Figures


def test_the_statistics_are_equal_to_the_clients_own_counts(client: Client, emulator: RunningEmulator) -> None:
    """Requests by kind, method and status, rows by operation and writes per record."""
    client.sent = 0
    statuses: Counter[str] = Counter()

    def send(method: str, path: str, json: Any = None, **headers: str) -> requests.Response:
        answer = client.send(method, path, json, **headers)
        statuses[str(answer.status_code)] += 1
        return answer

    ids = [send("POST", "accounts", {"name": f"n{number}"}).headers["OData-EntityId"][-37:-1] for number in range(3)]
    send("PATCH", f"accounts({ids[0]})", {"name": "again"}, If_Match="*")
    send("PATCH", f"accounts({ids[0]})", {"name": "and again"}, If_Match="*")
    send("GET", "accounts?$select=name")
    send("GET", f"accounts({ids[1]})")
    send("GET", "nothings")
    send("DELETE", f"accounts({ids[2]})")
    rows = [{"accountnumber": str(number), "name": "x"} for number in range(50)]
    statuses[str(client.upsert(rows).status_code)] += 1
    statuses[str(client.upsert(rows).status_code)] += 1
    stats = emulator.stats()
    assert stats["requests"]["total"] == client.sent == 11
    assert stats["requests"]["by_status"] == dict(sorted(statuses.items()))
    assert stats["requests"]["by_kind"] == {
        "create": 3, "update": 2, "query": 2, "retrieve": 1, "delete": 1, "UpsertMultiple": 2,
    }  # fmt: skip
    assert stats["rows"] == {"create": 53, "update": 52, "read": 4, "delete": 1}
    written = stats["writes_per_record"]["account"]
    assert (written["records"], written["writes"], written["most"]) == (53, 106, 3)
    assert written["written_again"][ids[0]] == 3
    assert stats["errors"] == {"0x8006088a": 1}
    assert stats["in_flight"]["now"] == 0


def test_the_log_has_the_result_of_each_request(client: Client, emulator: RunningEmulator) -> None:
    """Method, path, status, error code and the applied fault."""
    emulator.faults([{"action": "drop_after"}])
    with pytest.raises(requests.ConnectionError):
        client.send("POST", "contacts", {"lastname": "x"})
    client.send("GET", "contacts?$top=1")
    log = requests.get(f"{client.base}/_emulator/log", timeout=30).json()["log"]
    assert [(item["method"], item["path"], item["status"], item["fault"]) for item in log] == [
        ("POST", "/api/data/v9.2/contacts", 0, "drop_after"),
        ("GET", "/api/data/v9.2/contacts?$top=1", 200, ""),
    ]


def test_reset_removes_rows_statistics_and_faults(client: Client, emulator: RunningEmulator) -> None:
    """Each test starts with an empty server."""
    client.send("POST", "accounts", {"name": "x"})
    emulator.faults([{"action": "status", "status": 503}])
    emulator.reset()
    assert emulator.stats()["requests"]["total"] == 0
    assert client.names() == []
