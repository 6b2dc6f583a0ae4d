"""The emulator's own paths, ``/_emulator/*``: faults, counters, log, reset and seeds. No token, loopback only."""

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from emulator.errors import ServiceError, access_denied, invalid_argument, request_too_large
from emulator.json_depth import is_too_deep
from emulator.policies.assertions import Assertions
from emulator.policies.faults import Faults
from emulator.policies.stats import Stats

__all__ = ["ADMIN_PATH", "Admin"]

ADMIN_PATH: Final = "/_emulator"
_LARGEST_BODY: Final = 1024 * 1024  # bytes of a list of faults
_Handler = Callable[[Request], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """The routes and what they use.

    Attributes:
        assertions: What the applications sign in with instead of their secret.
        faults: The queue of faults.
        stats: The counters.
        reset: Removes rows, counters, used limits and faults, and restores the first state of the environment.
        seed: Loads the named set and returns the number of rows by table; raises `ServiceError` 404 if the name is
            unknown.
    """

    assertions: Assertions
    faults: Faults
    stats: Stats
    reset: Callable[[], None]
    seed: Callable[[str], dict[str, int]]

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        handlers: list[tuple[str, str, _Handler]] = [
            ("GET", "/faults", self._list_faults),
            ("POST", "/faults", self._add_faults),
            ("DELETE", "/faults", self._clear_faults),
            ("PUT", "/credentials", self._set_credentials),
            ("GET", "/stats", self._stats),
            ("GET", "/log", self._log),
            ("POST", "/reset", self._reset),
            ("POST", "/seed/{set}", self._seed),
        ]
        routes = [Route(path, _answering(handler), methods=[method]) for method, path, handler in handlers]
        return [Mount(ADMIN_PATH, routes=routes)]

    async def _list_faults(self, _: Request) -> object:
        return {"faults": self.faults.pending(), "struck": self.faults.struck}

    async def _add_faults(self, request: Request) -> object:
        return {"added": self.faults.add(await _content(request))}

    async def _clear_faults(self, _: Request) -> object:
        self.faults.clear()
        return {"faults": []}

    async def _set_credentials(self, request: Request) -> object:
        given = await _content(request)
        if not isinstance(given, dict):
            raise invalid_argument("The body is an object with 'certificates' and 'federated'.")
        certificates, federated = given.get("certificates", []), given.get("federated", [])
        if not isinstance(certificates, list) or not isinstance(federated, list):
            raise invalid_argument("'certificates' and 'federated' are lists.")
        try:
            self.assertions.register([str(each) for each in certificates], federated)
        except ValueError as error:
            raise invalid_argument(f"A credential is not valid: {error}.") from error
        return {"certificates": len(certificates), "federated": len(federated)}

    async def _stats(self, _: Request) -> object:
        return self.stats.report()

    async def _log(self, _: Request) -> object:
        return {"log": self.stats.log()}

    async def _reset(self, _: Request) -> object:
        self.reset()
        return {"reset": True}

    async def _seed(self, request: Request) -> object:
        return {"seeded": self.seed(request.path_params["set"])}


async def _content(request: Request) -> Any:
    """The JSON of a request."""
    try:
        given = orjson.loads(await _body(request))
    except orjson.JSONDecodeError as error:
        raise invalid_argument(f"The body is not valid JSON: {error}.") from error
    if is_too_deep(given):
        raise invalid_argument("The body is nested too deeply.")
    return given


async def _body(request: Request) -> bytes:
    """The body of a request, up to the size limit."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > _LARGEST_BODY:
            raise request_too_large(_LARGEST_BODY)
        pieces.append(piece)
    return b"".join(pieces)


def _is_local(request: Request) -> bool:
    host = request.client.host if request.client else ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # A Unix socket or the transport of a test has no address.
        return host in {"", "testclient"}


def _answering(handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if not _is_local(request):
            return _json(access_denied("loopback").body(), 403)
        try:
            return _json(await handler(request), 200)
        except ServiceError as error:
            return _json(error.body(), error.status)

    return answer


def _json(body: Any, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
