"""HTTP around the service: an ASGI application.

Each request passes, in order: the emulator's own paths, the authority, the token, faults before the operation, the
limits, the time model, the operation, faults after the operation. The application is plain ASGI: to drop a connection
it needs the `send` of the server itself, and every layer between costs rows per second.
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import orjson
from starlette.applications import Starlette

from emulator.errors import ServiceError, no_resource, not_implemented, request_too_large
from emulator.http.admin import ADMIN_PATH, Admin
from emulator.http.batch import BatchRunner, Pause
from emulator.messages import Preferences, Request, Response, answer, refusal
from emulator.policies.auth import Authority
from emulator.policies.faults import DroppedConnectionError, Fault, Faults, drop_connection
from emulator.policies.impersonation import acting_caller
from emulator.policies.limits import Limits
from emulator.policies.stats import LogEntry, Stats, kind_of
from emulator.policies.timing import TimeModel
from emulator.service import Service

__all__ = ["Application", "Policies"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[Any], Awaitable[None]]

_ROOT: Final = re.compile(r"(/api/data/v9\.[0-2])(?:/|$)")
_OTHERS: Final = {"/api/search/": "Dataverse search", "/xrmservices/": "The Organization service"}
_CALLS: Final = f"{ADMIN_PATH}/calls"  # lists the calls of declared actions
_LONGEST_URL: Final = 32768  # characters, outside $batch
_LARGEST_BODY: Final = 128 * 1024 * 1024  # bytes; 116.85 MB is too large for the service (bulk-operations page)

_log = logging.getLogger("uvicorn.error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """What each request passes before it reaches the service."""

    authority: Authority
    limits: Limits
    timing: TimeModel
    faults: Faults
    stats: Stats


@dataclass(slots=True)
class _Exchange:
    """One HTTP request, with what becomes known of it."""

    method: str
    target: str
    path: str
    query: str
    base_url: str
    headers: Mapping[str, str]
    body: bytes
    started: float
    server: int = 0
    user: str = ""
    fault: str = ""

    def rows(self) -> Iterable[Mapping[str, Any]]:
        """The rows in the body, for faults with a filter."""
        try:
            content = orjson.loads(self.body) if self.body else {}
        except orjson.JSONDecodeError:
            return ()
        if not isinstance(content, dict):
            return ()
        targets = content.get("Targets")
        return [row for row in targets if isinstance(row, dict)] if isinstance(targets, list) else (content,)


class Application:
    """The emulator as an ASGI application."""

    def __init__(
        self, service: Service, policies: Policies, *, reset: Callable[[], None], seed: Callable[[str], dict[str, int]]
    ) -> None:
        """Connects the policies with the service.

        Args:
            service: The operations.
            policies: What each request passes first.
            reset: Restores the first state, for `POST /_emulator/reset`.
            seed: Loads a set of rows by name and returns their number by table.
        """
        self.service = service
        self.policies = policies
        self._batches = BatchRunner(service, policies.faults, policies.stats, policies.timing)
        service.bulk_deletes.report = policies.stats.touched
        service.bulk_deletes.execution = policies.timing.execution
        admin = Admin(
            assertions=policies.authority.assertions,
            faults=policies.faults,
            stats=policies.stats,
            reset=reset,
            seed=seed,
        )
        self._admin = Starlette(routes=admin.routes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == _CALLS:
            await _send(send, answer({"calls": self.service.actions.calls()}))
            return
        if path.startswith(ADMIN_PATH):
            await self._admin(scope, receive, send)
            return
        try:
            exchange = await _exchange(scope, receive)
        except ServiceError as error:
            await _send(send, refusal(error))
            return
        if self.policies.authority.is_endpoint(path):
            await _send(send, self._authority(exchange))
            return
        self.policies.stats.arrived()
        dropped = False
        try:
            response = await self._answer(exchange)
        except DroppedConnectionError:
            response, dropped = Response(status=0), True
        except Exception:  # noqa: BLE001 - a defect of the emulator: the client gets an answer that it can read
            _log.exception("%s %s failed", exchange.method, exchange.path)
            response = refusal(ServiceError(500, "0x80040216", "An unexpected error occurred."))
        self._record(exchange, response)
        if dropped:
            await drop_connection(receive, send)
        else:
            await _send(send, self._finished(exchange, response))

    def _authority(self, exchange: _Exchange) -> Response:
        try:
            status, content = self.policies.authority.answer(
                exchange.path, exchange.base_url, exchange.body, exchange.headers.get("authorization")
            )
        except ServiceError as error:
            return refusal(error)
        body = orjson.dumps(content)
        return Response(status=status, headers={"Content-Type": "application/json; charset=utf-8"}, body=body)

    async def _answer(self, exchange: _Exchange) -> Response:
        policies = self.policies
        fault: Fault | None = None
        try:
            caller = policies.authority.verify(exchange.headers.get("authorization"), exchange.base_url)
            exchange.user = caller.user_id
            fault = policies.faults.take(exchange.method, exchange.target, exchange.rows)
            if fault is not None:
                exchange.fault = fault.action
                await fault.apply_before()
            exchange.server = policies.limits.server_for(_cookies(exchange.headers))
            admission = policies.limits.admit(caller.user_id, exchange.server)
        except ServiceError as error:
            return refusal(error)
        begun, pause = time.perf_counter(), Pause()
        try:
            response = await self._carry_out(self._request(exchange, caller.application_id), pause)
        except ServiceError as error:
            response = refusal(error, Preferences.parse(exchange.headers.get("prefer", "")))
        finally:
            computing = time.perf_counter() - begun - pause.waited
            seconds = max(computing, 0.0) + pause.work
            policies.limits.settle(admission, seconds)
            policies.stats.executed(seconds)
        if fault is not None:
            fault.apply_after()
        return response

    def _request(self, exchange: _Exchange, application_id: str) -> Request:
        root = _ROOT.match(exchange.path)
        if root is None:
            for path in (path for path in _OTHERS if exchange.path.lower().startswith(path)):
                raise not_implemented(f"{_OTHERS[path]} is not emulated.")
            raise no_resource(exchange.base_url + exchange.target)
        if len(exchange.base_url) + len(exchange.target) > _LONGEST_URL:
            raise ServiceError(414, "", "The request URI is too long.")
        environment = self.service.environment
        caller = environment.caller_for(application_id, exchange.user)
        return Request(
            method=exchange.method,
            path=exchange.path[root.end() :],
            query=exchange.query,
            headers=exchange.headers,
            body=exchange.body,
            root=f"{exchange.base_url}{root[1]}/",
            caller=acting_caller(environment, caller, exchange.headers),
            row_check=self.policies.faults.row_check(exchange.method, exchange.target),
        )

    async def _carry_out(self, request: Request, pause: Pause) -> Response:
        if request.path.startswith("$batch"):
            return await self._batches.run(request, pause)
        database = self.service.environment.database
        with database.within(pause.budget):
            planned = self.service.plan(request)
        await pause.spend(self.policies.timing, planned.rows)
        with database.within(pause.budget):
            response = planned.act()
        for effect in response.effects:
            self.policies.stats.touched(effect)
        return response

    def _record(self, exchange: _Exchange, response: Response) -> None:
        relative = _ROOT.sub("", exchange.path, count=1)
        self.policies.stats.left(
            LogEntry(
                at=time.time(),
                method=exchange.method,
                path=exchange.target,
                kind=kind_of(exchange.method, relative, if_match="if-match" in exchange.headers),
                status=response.status,
                milliseconds=(time.perf_counter() - exchange.started) * 1000,
                server=exchange.server,
                user=exchange.user,
                code=_code(response),
                fault=exchange.fault,
            )
        )

    def _finished(self, exchange: _Exchange, response: Response) -> Response:
        """Adds the headers of every answer of the service."""
        first, second = uuid4(), uuid4()
        limits = self.policies.limits
        headers = {
            "Cache-Control": "no-cache",
            "Expires": "-1",
            **response.headers,
            "x-ms-service-request-id": f"{first},{second}",
            "REQ_ID": str(first),
        }
        if exchange.user:
            headers |= limits.headers(exchange.user, exchange.server)
            secure = exchange.base_url.startswith("https")
            headers["Set-Cookie"] = limits.cookie(exchange.server, secure=secure)
        return Response(status=response.status, headers=headers, body=response.body)


async def _exchange(scope: Scope, receive: Receive) -> _Exchange:
    parts = []
    size, more = 0, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _LARGEST_BODY:
            raise request_too_large(_LARGEST_BODY)
        more = message.get("more_body", False)
    headers = _headers(scope["headers"])
    path = scope["raw_path"].decode("ascii", "replace")
    query = scope["query_string"].decode("latin-1")
    host = headers.get("host", "127.0.0.1")
    return _Exchange(
        method=scope["method"],
        target=f"{path}?{query}" if query else path,
        path=path,
        query=query,
        base_url=f"{scope['scheme']}://{host}",
        headers=headers,
        body=b"".join(parts),
        started=time.perf_counter(),
    )


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case; a header that is sent several times is one list, as Microsoft's samples do with `Prefer`."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    text = headers.get("cookie")
    if not text:
        return {}
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {name: value for name, _, value in pairs}


def _code(response: Response) -> str:
    if response.status < 400 or not response.body:  # noqa: PLR2004 - the first status of an error
        return ""
    try:
        return str(orjson.loads(response.body)["error"]["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


async def _send(send: Send, response: Response) -> None:
    # As the service writes them: some clients, Microsoft's asynchronous one among them, look for these letters.
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in response.headers.items()]
    if response.status not in {204, 304}:
        headers.append((b"Content-Length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
