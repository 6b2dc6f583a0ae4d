"""The search for the records that have keys, while the service throttles its queries, in virtual time."""

from __future__ import annotations

import pytest

from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service import Service
from shared.dataverse.http.waiting import WaitStoppedError
from shared.dataverse.read.holders import read_holders
from shared.errors import RetryLater
from shared.http.transport import Request, Response
from shared.workspace import NewTable, Workspace
from tests.unit.dataverse.simulation import ACCOUNT, BASE, FixedToken, SimulatedClock

THROTTLED = b'{"error":{"code":"0x80072322","message":"Number of requests exceeded the limit of 6000."}}'


class Throttling:
    """A service that refuses each operation of a batch until a moment, and then finds nothing."""

    def __init__(self, clock: SimulatedClock, until: float, *, asked: bool = True) -> None:
        self.clock, self.until, self.asked = clock, until, asked
        self.at: list[float] = []

    def send(self, request: Request) -> Response:
        self.at.append(self.clock.seconds)
        left = self.until - self.clock.seconds
        head, body = b"HTTP/1.1 200 OK", b'{"value":[]}'
        if left > 0:
            wait = f"\r\nRetry-After: {left:.0f}".encode() if self.asked else b""
            head, body = b"HTTP/1.1 429 X" + wait, THROTTLED
        part = b"--r\r\nContent-Type: application/http\r\n\r\n" + head + b"\r\n\r\n" + body + b"\r\n"
        whole = part * (request.body or b"").count(b"Content-ID: ") + b"--r--\r\n"
        return Response(status=200, headers={"content-type": "multipart/mixed; boundary=r"}, body=whole)

    def close(self) -> None:
        pass


def service_of(transport: Throttling) -> Service:
    connection = Connection(service_url=BASE)
    return Service(connection, transport=transport, users=[FixedToken()], clock=transport.clock)


def search(service: Service) -> None:
    with Workspace.open(threads=1) as workspace:
        workspace.create(NewTable(name="current", query="SELECT 1::BIGINT AS _seq, uuid() AS _id"))
        keys = [(number, {"accountnumber": f"A{number}"}) for number in range(2)]
        read_holders(workspace, service, ACCOUNT, (), keys, None)


def test_a_query_that_is_throttled_waits_as_long_as_its_answer_asks() -> None:
    """The answer to the batch has no such header."""
    transport = Throttling(SimulatedClock(), until=100.0)
    service = service_of(transport)
    search(service)
    assert transport.at == [0.0, 100.0]
    assert service.meter.usage().retries == 1


def test_a_search_that_is_throttled_for_too_long_tells_why() -> None:
    transport = Throttling(SimulatedClock(), until=4000.0)
    with pytest.raises(RetryLater, match=r"in 1 tries: 0x80072322: Number of requests exceeded") as caught:
        search(service_of(transport))
    assert caught.value.retry_after == 4000.0


def test_throttling_without_a_wait_is_repeated_as_often_as_for_any_request() -> None:
    transport = Throttling(SimulatedClock(), until=300.0, asked=False)
    search(service_of(transport))
    assert transport.at[-1] >= 300.0
    assert len(transport.at) > 7


def test_the_wait_of_a_search_can_be_stopped() -> None:
    transport = Throttling(SimulatedClock(), until=1800.0)
    service = service_of(transport)
    with service.until(None, stopped=lambda: transport.clock.seconds > 3), pytest.raises(WaitStoppedError):
        search(service)
    assert transport.clock.seconds < 5
