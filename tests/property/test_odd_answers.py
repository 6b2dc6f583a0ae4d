"""Answers with another structure: for any change of an answer the client succeeds or raises an error of its own."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.testing import running
from shared.dataverse import (
    Applied,
    Change,
    ChangeAction,
    ClientCredentials,
    ClientSecret,
    Connection,
    Dataverse,
    HttpTransport,
    Request,
    Response,
    RetryPolicy,
    Transport,
)
from shared.dataverse.http.answers import guid_of
from shared.errors import SyncError
from shared.transform import current_table_step
from shared.workspace import Workspace
from tests.integration.dataverse.tables import ACCOUNT_LAYOUT
from tests.unit.dataverse.simulation import SimulatedClock

ODD: list[Any] = [
    None, True, 0, -1, 10**400, 1e308, "", "x", "soon", "http://[::1", "https://elsewhere.crm.dynamics.com/x",
    "\ud800", "../../x", "a" * 5000, [], [1, 2], [[]], [None], [{}], {}, {"value": 1}, {"value": [1]}, {"error": 5},
]  # fmt: skip
RAW = [b"", b"null", b"[1,2]", b"{", b"<html>", b'{"a":NaN}', b"[" * 100_000, b"1e999999999", b"\xff\xfe", b"9" * 5000]
HEADERS = {
    "retry-after": ["99999999999", "-5", "soon", "Thu, 99 Foo 9999 99:99:99 GMT", "9" * 500, "1e400"],
    "x-ms-dop-hint": ["9" * 500, "-1", "many", "0"],
    "content-type": ["", "multipart/mixed; boundary=", "text/html"],
    "odata-entityid": ["x", "http://[::1", ""],
    "www-authenticate": ["Bearer authorization_uri=http://[::1", "Bearer", "Bearer authorization_uri=//"],
}
STATUSES = [200, 204, 302, 400, 401, 403, 404, 412, 413, 429, 500, 503]


@dataclass
class Recorder:
    """Passes requests on and keeps their answers."""

    inner: Transport
    kept: dict[str, list[Response]] = field(default_factory=lambda: defaultdict(list))

    def send(self, request: Request) -> Response:
        response = self.inner.send(request)
        self.kept[key_of(request)].append(response)
        return response

    def close(self) -> None:
        pass


@dataclass
class Replay:
    """Gives the answers that were kept, in order; the last one of a request stays."""

    kept: dict[str, list[Response]]
    given: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def send(self, request: Request) -> Response:
        key = key_of(request)
        answers = self.kept.get(key)
        if not answers:
            return Response(status=404, body=b'{"error":{"code":"0x80060888","message":"not found"}}')
        at, self.given[key] = self.given[key], self.given[key] + 1
        return answers[min(at, len(answers) - 1)]

    def close(self) -> None:
        pass


def key_of(request: Request) -> str:
    parts = urlsplit(request.url)
    text = f"{request.method} {parts.path}?{parts.query}"
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "*", text, flags=re.IGNORECASE)


def accounts(action: ChangeAction, first: int, count: int = 2, ids: list[str] | None = None) -> list[Change]:
    return [
        Change(
            number=n,
            action=action,
            id=ids[n] if ids else None,
            key=json.dumps({"accountnumber": f"A{first + n}"}),
            payload=json.dumps({"accountnumber": f"A{first + n}", "name": f"Company {n}"}),
        )
        for n in range(count)
    ]


def everything(url: str, client_id: str, secret: str, transport: Transport) -> None:
    """Every kind of request that the client sends, each answer used."""
    tokens = ClientCredentials(client_id, ClientSecret(lambda: secret), transport=transport)
    connection = Connection(service_url=url, retry_policy=RetryPolicy(attempts=3, throttles=3), bulk_delete_from=2)
    client = Dataverse(connection, tokens=[tokens], transport=transport, clock=SimulatedClock())
    with closing(client), Workspace.open(threads=1) as workspace:
        account = client.entity("Account")
        client.try_filter(account, "name eq 'x'")
        made: list[str] = []
        for action, first in ((ChangeAction.INSERT, 0), (ChangeAction.UPSERT, 1), (ChangeAction.UPDATE, 0)):
            for outcome in client.write(account, accounts(action, first)):
                if isinstance(outcome, Applied):
                    assert outcome.id is None or guid_of(outcome.id)
                    made += [outcome.id] if action is ChangeAction.INSERT and outcome.id else []
        workspace.run(current_table_step(ACCOUNT_LAYOUT))
        client.read(workspace, account, ACCOUNT_LAYOUT)
        list(client.write(account, accounts(ChangeAction.DELETE, 5)))
        if len(made) == 2:
            list(client.write(account, accounts(ChangeAction.DELETE, 0, ids=made)))


@pytest.fixture(scope="module")
def recorded() -> Iterator[tuple[Callable[[Transport], None], dict[str, list[Response]]]]:
    transport = HttpTransport()
    with running(in_thread=True) as emulator:
        recorder = Recorder(transport)

        def run(through: Transport) -> None:
            everything(emulator.service_url, emulator.client_id, emulator.client_secret, through)

        run(recorder)
        yield run, dict(recorder.kept)
    transport.close()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values; of long lists the first and the last few."""
    yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from places(each, (*path, name))
    elif isinstance(value, list):
        for at in {*range(min(3, len(value))), len(value) - 1} if value else ():
            yield from places(value[at], (*path, at))


def changed(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    copied = list(value) if isinstance(value, list) else dict(value)
    copied[path[0]] = changed(value[path[0]], path[1:], odd)
    return copied


_JSON_PART = re.compile(rb"\{.*\}", re.DOTALL)


def with_odd_json(draw: st.DataObject, body: bytes) -> bytes:
    """One value of one JSON document in a body replaced; a batch's parts each hold one."""
    found = [*re.finditer(rb"^\{.*\}\r?$", body, re.MULTILINE)] or [*_JSON_PART.finditer(body)]
    if not found:
        return draw.draw(st.sampled_from(RAW))
    part = draw.draw(st.sampled_from(found))
    content = json.loads(part[0])
    path = draw.draw(st.sampled_from([*places(content)]))
    odd = changed(content, path, draw.draw(st.sampled_from(ODD)))
    return body[: part.start()] + json.dumps(odd).encode() + body[part.end() :]


def mutated(draw: st.DataObject, response: Response) -> Response:
    match draw.draw(st.sampled_from(["json", "json", "json", "json", "raw", "header", "status"])):
        case "raw":
            return replace(response, body=draw.draw(st.sampled_from(RAW)))
        case "header":
            name = draw.draw(st.sampled_from(sorted(HEADERS)))
            status = draw.draw(st.sampled_from([response.status, 429, 503]))
            return replace(
                response,
                status=status,
                headers={**response.headers, name: draw.draw(st.sampled_from(HEADERS[name]))},
            )
        case "status":
            return replace(response, status=draw.draw(st.sampled_from(STATUSES)))
    return replace(response, body=with_odd_json(draw, response.body))


@settings(deadline=None)
@given(draw=st.data())
def test_an_unexpected_answer_is_a_client_error_or_harmless(
    draw: st.DataObject, recorded: tuple[Callable[[Transport], None], dict[str, list[Response]]]
) -> None:
    """Valid JSON of another structure in any place, and wrong bodies, headers and status codes."""
    run, kept = recorded
    key = draw.draw(st.sampled_from(sorted(kept)))
    at = draw.draw(st.integers(0, len(kept[key]) - 1))
    odd = {**kept, key: [mutated(draw, answer) if n == at else answer for n, answer in enumerate(kept[key])]}
    with suppress(SyncError):
        run(Replay(odd))


def test_the_recorded_answers_are_replayed_without_an_error(
    recorded: tuple[Callable[[Transport], None], dict[str, list[Response]]],
) -> None:
    """Otherwise the test above would prove nothing."""
    run, kept = recorded
    run(Replay(kept))
    asked = " ".join(kept)
    assert all(name in asked for name in ("oauth2", "EntityDefinitions", "CreateMultiple", "$batch", "BulkDelete"))
