"""Faults: which requests are retried, which end the run, and that no source is read in part."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

import pytest

from shared.definitions.models import RestSource
from shared.errors import AbortRun, RetryLater, SyncError, UserError
from shared.sources import open_source
from shared.workspace import Workspace
from tests.api_server import Received, Reply
from tests.unit.sources.rest.conftest import Serve, Waits, context, ids, read

GOOD = Reply(body=[{"id": 1}, {"id": 2}])
NO_END = gzip.compress(b'{"id": 1}\n')[:-8]  # a whole line, and not the end of gzip


def then_good(*first: Reply) -> Any:
    """Gives these answers, and then always a good one."""
    answers: Iterator[Reply] = iter(first)
    return lambda _: next(answers, GOOD)


def always(reply: Reply) -> Callable[[Received], Reply]:
    """Always gives the same answer."""
    return lambda _: reply


@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=429),
        Reply(status=500, body=b"<html>oops"),
        Reply(status=502),
        Reply(status=503),
        Reply(status=504),
        Reply(status=408),
        Reply(dropped=True),
        Reply(body=[{"id": 1}] * 50, cut=100),
        Reply(body=b"[]", headers={"Content-Length": "5000"}, cut=2),
        Reply(body=NO_END, headers={"Content-Encoding": "gzip"}),
        Reply(body=NO_END, headers={"Content-Encoding": "gzip"}, without_length=True),
    ],
    ids=[
        *("429", "500", "502", "503", "504", "408", "dropped", "cut", "shorter than its length"),
        *("gzip without its end", "gzip without its end and without a length"),
    ],
)
def test_a_request_is_retried(serve: Serve, fault: Reply) -> None:
    """The page is read once, from a complete answer."""
    server = serve(then_good(fault, fault))
    clock = Waits()
    assert ids(server.url, context(clock=clock)) == ["1", "2"]
    assert len(server.received) == 3
    assert 1 <= clock.waited <= 3  # a second, then two, each shortened by chance to a half at most


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_service_decides_how_long_to_wait(serve: Serve, status: int, form: str) -> None:
    """In seconds, or by the time of day."""
    clock = Waits()

    def answer(_: Received) -> Reply:
        if clock.waited:
            return GOOD
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=120), usegmt=True)
        return Reply(status=status, headers={"Retry-After": "120" if form == "seconds" else later})

    assert ids(serve(answer).url, context(clock=clock)) == ["1", "2"]
    assert 115 <= clock.waited <= 121


def test_a_wait_that_is_too_long_ends_the_run(serve: Serve) -> None:
    """With the time after which another run makes sense."""
    server = serve(lambda _: Reply(status=429, headers={"Retry-After": "900"}))
    with pytest.raises(RetryLater, match=r"the service throttles and asks to wait 900 s \(one try\); set rate_limit"):
        ids(server.url)
    clock = Waits()
    with pytest.raises(RetryLater) as caught:
        ids(server.url, context(clock=clock))
    assert (caught.value.retry_after, clock.waited) == (900, 0)
    assert "GET http://127.0.0.1" in caught.value.message


def test_who_watches_gets_each_request_that_is_throttled(serve: Serve) -> None:
    """With the moment until which the next one waits; with none where the run ends instead. Other trouble is not told."""
    told: list[datetime | None] = []
    waits = iter([Reply(status=429, headers={"Retry-After": "60"}), Reply(status=503)])
    server = serve(lambda _: next(waits, Reply(status=429, headers={"Retry-After": "900"})))
    clock = Waits()
    before = clock.now()
    with pytest.raises(RetryLater):
        ids(server.url, context(clock=clock, throttled=told.append))
    first, last = told
    assert last is None
    assert first is not None
    assert first - before >= timedelta(seconds=60)


def test_attempts_are_counted(serve: Serve) -> None:
    """After the number of `retry` the run ends, and nothing is loaded."""
    server = serve(lambda _: Reply(status=503))
    with pytest.raises(RetryLater, match=r"/x failed in 3 tries: it answered 503"):
        ids(f"{server.url}/x?key=value", retry={"attempts": 3})
    assert len(server.received) == 3


def test_the_sum_of_waits_is_limited(serve: Serve) -> None:
    """`retry.seconds` limits attempts and waits of one request."""
    server, clock = serve(lambda _: Reply(status=500)), Waits()
    with pytest.raises(RetryLater):
        ids(server.url, context(clock=clock), retry={"attempts": 100, "seconds": 60})
    assert 25 <= clock.waited <= 60


def test_a_server_that_cannot_be_reached_is_reported(serve: Serve) -> None:
    """A refused connection is retried, and then the reason is reported."""
    server = serve(lambda _: GOOD)
    server.close()
    with pytest.raises(RetryLater, match=r"failed in 2 tries: 127.0.0.1 could not be reached"):
        ids(server.url, retry={"attempts": 2})


def test_a_server_that_does_not_answer_is_reported(serve: Serve) -> None:
    """After `timeout`."""
    release = threading.Event()

    def answer(_: Received) -> Reply:
        release.wait(20)
        return GOOD

    server = serve(answer)
    try:
        with pytest.raises(RetryLater, match="did not answer in time"):
            ids(server.url, retry={"attempts": 1}, timeout=0.2)
    finally:
        release.set()


REFUSALS = {
    400: "answered 400 Bad Request (no): check url, headers, body and pagination",
    401: "answered 401 Unauthorized (no): check auth and the secrets in it and in headers",
    403: "answered 403 Forbidden (no): the account of auth may not read this, or a key or scope is missing",
    404: "answered 404 Not Found (no): check url",
    410: "answered 410 Gone (no): check url",
    499: "answered 499 (no): check url",
    501: "answered 501 Not Implemented (no): check url",
    202: "answered 202 Accepted (no): check url",
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_ends_the_run_at_once(serve: Serve, status: int) -> None:
    """With host and path and without the query, which may hold values."""
    server = serve(lambda _: Reply(status=status, body=b"no"))
    with pytest.raises(UserError) as caught:
        ids(f"{server.url}/a/b?name=Miller")
    assert caught.value.message == f"GET {server.url}/a/b {REFUSALS[status]}"
    assert len(server.received) == 1


def test_a_refusal_is_shown_in_part_and_without_secrets(serve: Serve) -> None:
    """A service may repeat the key that was sent, and write a long answer."""
    server = serve(lambda received: Reply(status=403, body={"sent": dict(received.headers), "long": "x" * 10_000}))
    key = {"type": "api_key", "header": "X-Key", "value": {"env": "SECRET_OF_SERVICE"}}
    with pytest.raises(UserError) as caught:
        ids(server.url, auth=key)
    assert server.received[0].headers["x-key"] == "secret_of_service"
    assert "secret_of_service" not in caught.value.message
    assert len(caught.value.message) < 500


def test_a_page_that_fails_in_the_middle_loads_nothing(serve: Serve) -> None:
    """The run ends, and the rows of earlier pages are not used as all rows."""

    def answer(received: Received) -> Reply:
        if received.query["page"] == "2":
            return Reply(body=[{"id": 3}] * 1000, cut=500)
        return Reply(body=[{"id": int(received.query["page"])}])

    with pytest.raises(RetryLater, match=r"the connection to 127.0.0.1 broke before its answer was complete"):
        read(serve(answer).url, pagination={"type": "page", "parameter": "page"}, retry={"attempts": 2})


def test_html_is_not_json(serve: Serve) -> None:
    """A sign-in page for people often has status 200."""
    for body in (b"\xef\xbb\xbf\n <!DOCTYPE html><p>Sign in", b"<?xml version='1.0'?>"):
        server = serve(always(Reply(body=body, headers={"Content-Type": "text/html"})))
        with pytest.raises(UserError, match="answered with HTML or XML and not with JSON: check url and auth"):
            ids(server.url)


def test_text_that_is_not_json_is_reported(serve: Serve) -> None:
    """With the place in the answer."""
    server = serve(lambda _: Reply(body=b'[{"id": 1},\n {"id": ]'))
    with pytest.raises(UserError, match=r"cannot be read as JSON: .* \(line 2\); see what the service answers"):
        ids(server.url)
    server = serve(lambda _: Reply(body=b'{"data": [}'))
    with pytest.raises(UserError, match="cannot be read as JSON"):
        ids(server.url, records="$.data")


@pytest.mark.parametrize("records", ["$.data", "$.data[*]", "$.a.b[*]"])
def test_an_answer_without_records_is_not_an_empty_one(serve: Serve, records: str) -> None:
    """An error with status 200 must not drop every record."""
    server = serve(lambda _: Reply(body={"error": "busy"}))
    with pytest.raises(UserError, match="`records` finds nothing in the answer"):
        ids(server.url, records=records)


def test_null_is_a_list_without_records(serve: Serve) -> None:
    """Some services write no rows in this way."""
    assert ids(serve(lambda _: Reply(body={"data": None})).url, records="$.data") == []


def _given(reply: Reply, _received: Received) -> Reply:
    return reply


def test_an_empty_answer_must_be_explicit(serve: Serve) -> None:
    """204 and an empty list are; an empty body is not."""
    assert ids(serve(lambda _: Reply(status=204)).url) == []
    assert ids(serve(lambda _: Reply(body=[])).url) == []
    for empty in (Reply(body=b" \n"), Reply(body=b" " * 5000), Reply(body=b"\xef\xbb\xbf \n")):
        with pytest.raises(UserError, match="answered 200 without a body"):
            ids(serve(partial(_given, empty)).url)


@pytest.mark.parametrize("blanks", ["", " ", "\n" * 5000, " " * 70_000])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_blanks_and_a_mark_before_the_json_count_for_nothing(serve: Serve, blanks: str, encoding: str) -> None:
    """A service may send blanks for as long as it makes its answer; the mark says in which order the bytes are."""

    def found(text: str) -> list[str]:
        charset = {"Content-Type": f"application/json; charset={encoding.removesuffix('-sig')}"}
        return ids(serve(lambda _: Reply(body=(blanks + text).encode(encoding), headers=charset)).url)

    assert found('[{"id": "ü"}]') == ["ü"]
    assert found("[]" + blanks) == found("null" + blanks) == []
    with pytest.raises(UserError, match="answered with HTML or XML and not with JSON"):
        found("<html>")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        found("null" + " " * len(blanks) + "x" * 20)


def test_gzip_is_decompressed(serve: Serve) -> None:
    """The declared length is that of the compressed body."""
    server = serve(lambda _: Reply(body=gzip.compress(b'[{"id": "\xc3\xbc"}]'), headers={"Content-Encoding": "gzip"}))
    assert ids(server.url) == ["ü"]
    assert "gzip" in server.received[0].headers["accept-encoding"]


def test_a_small_answer_cannot_fill_the_disk(serve: Serve) -> None:
    """The limit applies to the decompressed size."""
    packed = gzip.compress(b"[" + b" " * (129 << 20) + b"]", 1)
    assert len(packed) < 1 << 20
    server = serve(lambda _: Reply(body=packed, headers={"Content-Encoding": "gzip"}))
    with pytest.raises(AbortRun, match="has more than 128 MB: ask for smaller pages with size"):
        ids(server.url)


def test_a_coding_that_was_not_asked_for_is_refused(serve: Serve) -> None:
    """It cannot be read."""
    with pytest.raises(SyncError, match="compresses its answers in a way that was not requested"):
        ids(serve(lambda _: Reply(body=b"x", headers={"Content-Encoding": "br"})).url)


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("", "ü"),
        ("; charset=utf-8", "ü"),
        ('; Charset="ISO-8859-1"', "ü"),
        ("; charset=utf-16", "ü"),
        ("; charset=UTF8", "\ufeffü"),
    ],
)
def test_the_charset_of_the_answer_is_read(serve: Serve, charset: str, body: str) -> None:
    """JSON is UTF-8 unless the service names another charset."""
    name = charset.partition("=")[2].strip('"') or "utf-8"
    mark, text = ("\ufeff", body[1:]) if body.startswith("\ufeff") else ("", body)
    content = f'{mark}[{{"id": "{text}"}}]'.encode(name)
    server = serve(lambda _: Reply(body=content, headers={"Content-Type": f"application/json{charset}"}))
    assert ids(server.url) == ["ü"]


def test_a_wrong_or_unknown_charset_is_reported(serve: Serve) -> None:
    """And one that does not exist."""
    server = serve(
        lambda _: Reply(body=b'[{"id": "\xfc"}]', headers={"Content-Type": "application/json; charset=utf-8"})
    )
    with pytest.raises(UserError, match=r"text that is not utf-8 .*; its header Content-Type says utf-8"):
        ids(server.url)
    server = serve(lambda _: Reply(body=b'[{"id": "\xfc"}]'))
    with pytest.raises(UserError, match="its header Content-Type names no charset"):
        ids(server.url)
    for name in ("klingon", "base64"):
        server = serve(always(Reply(body=b"[]", headers={"Content-Type": f"text/json; charset={name}"})))
        with pytest.raises(UserError, match="unknown charset"):
            ids(server.url)


def test_requests_obey_the_rate_limit(serve: Serve) -> None:
    """Ten requests at two a second take four and a half seconds."""
    server = serve(lambda received: Reply(body=[{"id": received.query["p"]}] if received.query["p"] != "9" else []))
    for limit in ({"per_second": 2}, {"per_minute": 120}):
        clock = Waits()
        ids(
            server.url,
            context(clock=clock),
            pagination={"type": "page", "parameter": "p", "first": 0},
            rate_limit=limit,
        )
        assert clock.waited == pytest.approx(4.5)


def test_a_run_that_is_out_of_time_does_not_wait(serve: Serve) -> None:
    """The wait for a service ends with the time of the run."""
    server, clock = serve(lambda _: Reply(status=503, headers={"Retry-After": "500"})), Waits()
    source = RestSource.model_validate({"type": "rest", "url": server.url, "columns": [{"name": "id"}]})
    with (
        Workspace.open() as workspace,
        pytest.raises(UserError, match="time limit of the run"),
        workspace.until(lambda: 60 - clock.waited),
    ):
        open_source(source, context(clock=clock)).load(workspace)
    assert clock.waited <= 65
