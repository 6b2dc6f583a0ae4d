"""Requests to one environment: headers, tokens, retries of what only reads."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service import Call, Service
from shared.dataverse.http.waiting import WaitStoppedError
from shared.errors import AbortRun, AnswerLost, RequestRefused, RetryLater
from shared.http.transport import Request, Response, Unsent
from tests.unit.dataverse.simulation import BASE, FixedToken, SimulatedClock

Answer = Response | Exception


class Scripted:
    """A transport that gives the answers of a list in order; the last one is repeated."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


def refused(status: int, code: str = "", message: str = "no", **headers: str) -> Response:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return Response(
        status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=body
    )


GOOD = Response(status=200, headers={"x-ms-dop-hint": "5"}, body=b"{}")


def service(*answers: Answer, url: str = BASE) -> tuple[Service, Scripted, FixedToken, SimulatedClock]:
    transport, token, clock = Scripted(*answers), FixedToken(), SimulatedClock()
    made = Service(Connection(service_url=url), transport=transport, users=[token], clock=clock)
    return made, transport, token, clock


def test_every_request_carries_the_documented_headers() -> None:
    """Accept, OData versions, the literal word null, and the token."""
    made, transport, _, _ = service(GOOD)
    made.fetch(Call(path="WhoAmI"))
    (request,) = transport.requests
    assert request.url == BASE + "WhoAmI"
    assert {"Accept": "application/json", "OData-MaxVersion": "4.0", "OData-Version": "4.0"}.items() <= (
        request.headers.items()
    )
    assert request.headers["If-None-Match"] == "null"
    assert request.headers["Authorization"] == "Bearer token-0"
    assert made.meter.parallelism == 5


def test_a_refused_token_is_renewed_once() -> None:
    """401, then a new token, then the answer."""
    made, transport, token, _ = service(Response(status=401), GOOD)
    made.fetch(Call(path="WhoAmI"))
    assert [request.headers["Authorization"] for request in transport.requests] == ["Bearer token-0", "Bearer token-1"]
    assert token.forgotten == 1


def test_a_second_401_ends_the_run() -> None:
    """The message says what to look at."""
    made, _, _, _ = service(refused(401))
    with pytest.raises(AbortRun, match="application user"):
        made.fetch(Call(path="WhoAmI"))


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        (lambda: refused(429, "0x80072322", retry_after="17"), 17.0),
        (lambda: refused(429, "0x80072321", retry_after="1,200.00"), 1200.0),
        (lambda: refused(503, retry_after="Thu, 01 Jan 2026 00:00:09 GMT"), 9.0),
        (lambda: Response(status=502), None),
        (lambda: Response(status=504), None),
        (lambda: refused(500, "0x80044150"), None),
        (lambda: refused(500, "0x80040216"), None),
        (lambda: Unsent("no route"), None),
        (lambda: AnswerLost("broke"), None),
    ],
)
def test_reading_is_repeated_after_trouble(trouble: Callable[[], Answer], waits: float | None) -> None:
    """Whatever kept a read from its answer, it is read again, and Retry-After is obeyed in both of its forms."""
    made, transport, _, clock = service(trouble(), GOOD)
    assert made.fetch(Call(path="accounts")).status == 200
    assert len(transport.requests) == 2
    assert clock.seconds == waits if waits else 0 < clock.seconds < 1
    assert made.meter.usage().retries == 1


def test_retries_end() -> None:
    """After its tries the error says how many there were and when to try again."""
    made, transport, _, _ = service(refused(503, "0x80040216", "The service is unavailable.", retry_after="5"))
    with pytest.raises(RetryLater, match=r"7 tries.*unavailable") as caught:
        made.fetch(Call(path="accounts"))
    assert caught.value.retry_after == 5
    assert len(transport.requests) == 7


def test_a_host_that_never_answered_is_given_up_soon() -> None:
    """Most likely its name is wrong; once it has answered, it is tried longer."""
    made, transport, _, clock = service(Unsent("org.crm.dynamics.com could not be reached"))
    with pytest.raises(RetryLater, match=r"org\.crm\.dynamics\.com"):
        made.fetch(Call(path="WhoAmI"))
    assert (len(transport.requests), clock.seconds < 2) == (3, True)
    known, transport, _, _ = service(GOOD, Unsent("no route"))
    known.fetch(Call(path="WhoAmI"))
    with pytest.raises(RetryLater):
        known.fetch(Call(path="WhoAmI"))
    assert len(transport.requests) == 8


def test_a_deadline_ends_retries() -> None:
    """No wait is longer."""
    made, transport, _, clock = service(refused(429, "0x80072322", retry_after="60"))
    with pytest.raises(RetryLater), made.until(clock.monotonic()):
        made.fetch(Call(path="accounts"))
    assert len(transport.requests) == 1


def test_a_block_limits_what_is_sent_in_it() -> None:
    """A wait that ends in time is waited for, a longer one is not; an inner block only makes the time shorter."""
    short, long = refused(429, "0x80072322", retry_after="5"), refused(429, "0x80072322", retry_after="60")
    made, transport, _, clock = service(short, long, GOOD, long, GOOD)
    with made.until(clock.monotonic() + 30), made.until(clock.monotonic() + 900), pytest.raises(RetryLater) as caught:
        made.fetch(Call(path="accounts"))
    assert (len(transport.requests), clock.seconds, caught.value.retry_after) == (2, 5, 60)
    made.fetch(Call(path="accounts"))
    made.fetch(Call(path="accounts"))
    assert (len(transport.requests), clock.seconds) == (5, 65)


def test_a_wait_ends_when_it_is_stopped() -> None:
    """Soon, and without another request; the same wait in another block goes on."""
    long = refused(429, "0x80072322", retry_after="60")
    made, transport, _, clock = service(long, GOOD, long, GOOD)
    with made.until(None, stopped=lambda: False):
        made.fetch(Call(path="accounts"))
    assert (len(transport.requests), clock.seconds) == (2, 60)
    with (
        made.until(None, stopped=lambda: clock.seconds > 70),
        made.until(None, stopped=lambda: False),
        pytest.raises(WaitStoppedError),
    ):
        made.fetch(Call(path="accounts"))
    assert (len(transport.requests), clock.seconds < 72) == (3, True)


def test_answers_have_to_be_complete_by_the_end_of_a_block_unless_the_request_writes() -> None:
    """An answer to a write is waited for: what it has done would not be known."""
    made, transport, _, clock = service(GOOD)
    with made.until(clock.monotonic() + 30, answered=True):
        made.fetch(Call(path="accounts"))
        made.fetch(Call(path="accounts", within=7))
        made.fetch(Call(path="accounts", method="POST", writes=True))
    with made.until(clock.monotonic() + 30):
        made.fetch(Call(path="accounts"))
    assert [request.whole for request in transport.requests] == [30, 7, None, None]


def test_a_refusal_is_an_answer() -> None:
    """A 400 is not repeated."""
    made, transport, _, _ = service(refused(400, "0x0", "Could not find a property named 'Name' on type 'x'."))
    with pytest.raises(RequestRefused, match="Name") as caught:
        made.fetch(Call(path="accounts?$select=Name"))
    assert (caught.value.status, caught.value.code, caught.value.column) == (400, "0x0", "Name")
    assert len(transport.requests) == 1


@pytest.mark.parametrize(
    "answer", [Response(status=200, body=b"<html>"), Response(status=302, headers={"location": "/"})]
)
def test_what_is_not_dataverse_ends_the_run(answer: Response) -> None:
    """A web page, or a redirect to one, says to check the URL."""
    made, transport, _, _ = service(answer)
    with pytest.raises(AbortRun, match="service_url"):
        made.fetch_json(Call(path="WhoAmI"))
    assert len(transport.requests) == 1


def test_a_token_never_goes_to_another_host() -> None:
    """A next link, or a service URL, on a host that is not allowed gets no request at all."""
    made, transport, token, _ = service(GOOD)
    with pytest.raises(AbortRun, match=r"evil\.example\.org"):
        made.fetch(Call(path="https://evil.example.org/api/data/v9.2/accounts?$skiptoken=1"))
    elsewhere, _, _, _ = service(GOOD, url="https://evil.example.org/api/data/v9.2/")
    with pytest.raises(AbortRun):
        elsewhere.fetch(Call(path="WhoAmI"))
    assert not transport.requests
    assert not token.forgotten


@pytest.mark.parametrize("asked", ["99999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "7200"])
def test_a_wait_beyond_reason_is_left_to_the_schedule(asked: str) -> None:
    """The run ends at once, and the caller gets a wait of at most a day."""
    made, transport, _, clock = service(refused(429, "0x80072322", "Number of requests exceeded", retry_after=asked))
    if asked == "9" * 400:  # more digits than a number has: as if there were none
        with pytest.raises(RetryLater, match="throttles"):
            made.fetch(Call(path="accounts"))
        return
    with pytest.raises(RetryLater, match=r"throttles.*one try") as caught:
        made.fetch(Call(path="accounts"))
    assert 3600 < caught.value.retry_after <= 86_400
    assert (len(transport.requests), clock.seconds) == (1, 0)


@pytest.mark.parametrize("asked", ["0", "-5", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "Thu, 99 Foo 9999 99:99:99 GMT"])
def test_an_unusual_retry_after_is_read(asked: str) -> None:
    """No time and a moment that has passed are no wait, and what cannot be read counts as not said."""
    made, transport, _, clock = service(refused(503, "0x80040216", "busy", retry_after=asked), GOOD)
    made.fetch(Call(path="accounts"))
    assert len(transport.requests) == 2
    assert 0 < clock.seconds < 1


def test_throttling_that_asks_for_no_wait_is_not_given_up_within_a_moment() -> None:
    """Sixty tries without a pause would be over before any limit of the service has passed."""
    made, transport, _, clock = service(*[refused(429, "0x80072322", retry_after="0") for _ in range(20)], GOOD)
    made.fetch(Call(path="accounts"))
    assert len(transport.requests) == 21
    assert clock.seconds > 300


def test_a_wait_until_a_date_starts_at_the_date_of_the_answer() -> None:
    """The clock of this machine is two minutes ahead, so that it holds the date for past."""
    dates = {"retry_after": "Wed, 31 Dec 2025 23:59:00 GMT", "date": "Wed, 31 Dec 2025 23:58:00 GMT"}
    made, transport, _, clock = service(refused(429, "0x80072322", **dates), GOOD)
    made.fetch(Call(path="accounts"))
    assert (len(transport.requests), clock.seconds) == (2, 60)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: refused(429, "0x80072322", "Number of requests exceeded", retry_after="1"), "throttles"),
        (lambda: refused(503, "0x80040216", "The service is unavailable."), "is not available"),
        (lambda: Response(status=504), "did not answer"),
        (lambda: Unsent("no route"), "could not be reached"),
        (lambda: refused(500, "0x80044150", "Generic SQL error."), "database failed"),
    ],
)
def test_each_kind_of_trouble_has_its_own_message(answer: Callable[[], Answer], said: str) -> None:
    """A service that refuses has answered."""
    made, _, _, _ = service(answer())
    with pytest.raises(RetryLater, match=said):
        made.fetch(Call(path="accounts"))


def test_a_hint_beyond_reason_is_not_taken() -> None:
    """The number of threads hangs on it."""
    for hint in ("9" * 400, "100000", "-1", "many"):
        made, _, _, _ = service(Response(status=200, headers={"x-ms-dop-hint": hint}, body=b"{}"))
        made.fetch(Call(path="WhoAmI"))
        assert made.meter.parallelism == 0
