"""The emulator as a transport, without a socket between: for tests of many short runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Coroutine, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from emulator.http.options import Options
from emulator.http.server import build_application
from shared.dataverse import Connection, Dataverse, MetadataCache, Request, Response
from shared.dataverse.write.controller import Controller, Sizes
from shared.definitions.models import KeyMatch
from shared.errors import AnswerLost
from shared.http.transport import Transport
from tests.quick_clock import QuickClock

__all__ = ["SERVICE", "EmulatorTransport", "FixedToken", "client"]

SERVICE = "http://127.0.0.1:5080/api/data/v9.2/"


class FixedToken:
    """A token that the emulator takes."""

    def token(self, resource_url: str) -> str:
        del resource_url
        return "token"

    def forget(self) -> None:
        """There is only one."""


class _Exchange:
    """One request as ASGI messages; `transport` is what the emulator breaks connections with."""

    def __init__(self, body: bytes) -> None:
        self.transport = self
        self.dropped = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self._incoming: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body}]

    def abort(self) -> None:
        self.dropped = True

    async def receive(self) -> MutableMapping[str, Any]:
        return self._incoming.pop() if self._incoming else {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")


class EmulatorTransport:
    """Sends each request to an emulator of its own, one after the other.

    Args:
        schema: A file with further tables.
        further: Further options of the emulator.
    """

    def __init__(self, schema: Path, *further: str) -> None:
        options = ["--accept-any-token", "--limits", "none", "--schema", str(schema), *further]
        self._application = build_application(Options.parse(options))
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        parts = urlsplit(request.url)
        headers = {"host": parts.netloc, **{name.lower(): value for name, value in request.headers.items()}}
        scope = {
            "type": "http",
            "scheme": parts.scheme,
            "method": request.method,
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        exchange = _Exchange(request.body or b"")
        with self._lock:
            _finish(self._application(scope, exchange.receive, exchange.send))
        if exchange.dropped:
            raise AnswerLost("the connection broke")
        return Response(status=exchange.status, headers=exchange.headers, body=exchange.body)

    def close(self) -> None:
        """Nothing is open."""

    def reset(self) -> None:
        """Remove all rows and faults."""
        with self._lock:
            self._application.service.reset()
            self._application.policies.faults.clear()

    def faults(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Queue faults, as `POST /_emulator/faults` takes them; the ones before are removed."""
        self._application.policies.faults.clear()
        if faults:
            self._application.policies.faults.add(faults)

    def create(self, table: str, record: Mapping[str, Any], *, as_user: str = "") -> None:
        """Create a record; as another user, by its id in `systemuser`."""
        self._json("POST", table, record, as_user)

    def update(self, path: str, record: Mapping[str, Any], *, as_user: str = "") -> None:
        """Update a record by its path; likewise."""
        self._json("PATCH", path, record, as_user)

    def delete(self, path: str) -> None:
        """Delete a record by its path."""
        self._json("DELETE", path)

    def records(self, query: str) -> list[dict[str, Any]]:
        """The records of the first page that a query finds."""
        found: list[dict[str, Any]] = self._json("GET", query)["value"]
        return found

    def _json(self, method: str, path: str, content: object = None, as_user: str = "") -> Any:
        body = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": "Bearer token", "Content-Type": "application/json"}
        headers |= {"MSCRMCallerID": as_user} if as_user else {}
        request = Request(method=method, url=SERVICE + quote(path, safe="/?&=$,()'"), headers=headers, body=body)
        answer = self.send(request)
        assert answer.status in {200, 201, 204}, answer.text
        return json.loads(answer.body) if answer.body else None


def _finish(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that never waits: the emulator does so only for latency and delays."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise AssertionError("the emulator waits")


def client(
    transport: Transport, key_match: KeyMatch = KeyMatch.SERVICE, cache: MetadataCache | None = None
) -> Dataverse:
    """A client with small chunks, in whose time waiting takes none."""
    return Dataverse(
        Connection(service_url=SERVICE, key_match=key_match),
        tokens=[FixedToken()],
        clock=QuickClock(),
        transport=transport,
        cache=cache or MetadataCache(),
        controllers=lambda _: Controller(parallel=2, most_parallel=3, sizes=Sizes(fewest=1, first=2, most=4)),
    )
