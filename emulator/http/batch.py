"""`$batch`: up to 1000 operations in order; a change set is one transaction (execute-batch-operations)."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

from emulator.body_errors import invalid_payload, repeated_content_id
from emulator.errors import ServiceError, content_id_missing, content_id_unknown
from emulator.http.multipart import InnerRequest, Part, boundary_of, inner_request, parts_of, written_part
from emulator.messages import Planned, Preferences, Request, Response, refusal
from emulator.policies.faults import Faults
from emulator.policies.impersonation import acting_caller
from emulator.policies.stats import Stats, kind_of
from emulator.policies.timing import TimeModel
from emulator.service import Service
from emulator.store import Budget

__all__ = ["BatchRunner", "Pause"]

_MOST_REQUESTS: Final = 1000
_LONGEST_URL: Final = 65536
_SERVICE_ROOT: Final = re.compile(r"^(?:https?://[^/]+)?/?api/data/v9\.\d/")
_REFERENCE_URL: Final = re.compile(r"^/?\$([A-Za-z0-9_-]+)(?=[/?]|$)")
_REFERENCE_VALUE: Final = re.compile(rb'"(@odata\.id|[^"]+@odata\.bind)"(\s*:\s*)"/?\$([A-Za-z0-9_-]+)"')
_REFERENCE_LIST: Final = re.compile(rb'"[^"]+@odata\.bind"\s*:\s*\[[^\]]*\]')
_REFERENCE_ITEM: Final = re.compile(rb'([\[,]\s*)"/?\$([A-Za-z0-9_-]+)"')
_REFUSED: Final = 400
# Headers of the outer request that its parts do not inherit.
_OUTER_ONLY: Final = frozenset({"content-type", "content-length", "prefer", "if-match", "if-none-match"})


@dataclass(slots=True)
class Pause:
    """The seconds that the time model let one HTTP request wait.

    Attributes:
        waited: All of them.
        work: Those that are execution time.
        budget: The time that is left for SQL statements.
    """

    waited: float = 0.0
    work: float = 0.0
    budget: Budget = field(default_factory=Budget)

    async def spend(self, timing: TimeModel, rows: Mapping[str, int]) -> None:
        """Waits as long as a request with these rows takes."""
        if timing.is_instant:
            return
        work = await timing.spend(rows)
        self.work += work
        self.waited += timing.latency + work

    async def execute(self, timing: TimeModel, rows: Mapping[str, int]) -> None:
        """Waits for the execution time only: the parts of a batch share one latency."""
        work = timing.execution(rows)
        if work:
            await asyncio.sleep(work)
            self.work += work
            self.waited += work


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The answer to one part; for a change set that succeeded the answers to its operations, with their Content-IDs."""

    responses: Sequence[tuple[Response, str | None]]
    change_set: bool = False

    @property
    def status(self) -> int:
        return self.responses[0][0].status if self.responses else 200


@dataclass(slots=True)
class _Scope:
    """What the operations of one change set share, or what one operation outside of change sets has.

    `request` is the request of the whole batch, and `addresses` maps Content-IDs to the URLs of the rows that the
    change set has created: they end with it, whether it succeeds or not.
    """

    request: Request
    pause: Pause
    addresses: dict[str, str] = field(default_factory=dict)


class BatchRunner:
    """Runs batches."""

    def __init__(self, service: Service, faults: Faults, stats: Stats, timing: TimeModel) -> None:
        """Runs operations on `service`."""
        self._service = service
        self._faults = faults
        self._stats = stats
        self._timing = timing

    async def run(self, request: Request, pause: Pause) -> Response:
        """Answers `POST $batch`.

        Raises:
            ServiceError: The content type states no boundary.
        """
        boundary = boundary_of(request.headers.get("content-type", ""))
        if boundary is None:
            raise invalid_payload("A batch is of the type multipart/mixed.")
        try:
            parts = _parts(request, boundary)
        except ServiceError as error:  # answered in the shape of a batch, as web-api-client-errors shows
            return _written([_Outcome(responses=[(_refused(error), None)])], status=error.status)
        await pause.spend(self._timing, {})
        outcomes: list[_Outcome] = []
        for part, inner in parts:
            scope = _Scope(request, pause)
            outcome = await (self._single(scope, part) if inner is None else self._change_set(scope, inner))
            if outcome.status >= _REFUSED and not request.preferences.continue_on_error:
                return _written([outcome], status=outcome.status)
            outcomes.append(outcome)
        return _written(outcomes, status=200)

    async def _single(self, scope: _Scope, part: Part) -> _Outcome:
        content_id, inner = part.headers.get("content-id"), None
        try:
            inner = inner_request(part)
            content_id = content_id or inner.headers.get("content-id")
            with self._service.environment.database.within(scope.pause.budget):
                planned = self._plan(self._prepared(scope, inner))
            await scope.pause.execute(self._timing, planned.rows)
            with self._service.environment.database.within(scope.pause.budget):
                response = planned.act()
        except ServiceError as error:
            return _Outcome(responses=[(_refused(error, inner), content_id)])
        self._count(response)
        return _Outcome(responses=[(_located(response), content_id)])

    async def _change_set(self, scope: _Scope, parts: Sequence[Part]) -> _Outcome:
        """Runs a change set in one transaction; it waits first, as no other request may run between the operations."""
        responses: list[tuple[Response, str | None]] = []
        content_id, refused = None, None
        known: set[str] = set()
        database = self._service.environment.database
        try:
            inner = [inner_request(part) for part in parts]
            await scope.pause.execute(self._timing, _rows(inner))
            with database.within(scope.pause.budget), database.transaction():
                for part, operation in zip(parts, inner, strict=True):
                    refused = operation
                    # Microsoft's SDK writes it into the operation's headers, Microsoft's samples into the part's.
                    content_id = part.headers.get("content-id") or operation.headers.get("content-id")
                    if content_id in known:
                        raise repeated_content_id(content_id)
                    response = self._within_change_set(scope, operation, content_id)
                    known.add(content_id or "")
                    responses.append((_located(response), content_id))
        except ServiceError as error:
            return _Outcome(responses=[(_refused(error, refused), content_id)])
        for response, _ in responses:
            self._count(response)
        return _Outcome(responses=responses, change_set=True)

    def _within_change_set(self, scope: _Scope, operation: InnerRequest, content_id: str | None) -> Response:
        if content_id is None:
            raise content_id_missing()
        if operation.method == "GET":
            raise invalid_payload("A GET operation is not allowed in a change set.")
        response = self._plan(self._prepared(scope, operation)).act()
        self._remember(scope, content_id, response)
        return response

    def _plan(self, inner: Request) -> Planned:
        target = f"{inner.path}?{inner.query}" if inner.query else inner.path
        self._stats.inner(kind_of(inner.method, inner.path, if_match="if-match" in inner.headers))
        self._faults.take_inner(inner.method, target, lambda: (inner.json(),) if inner.body else ())
        if inner.path.startswith("$batch"):
            raise invalid_payload("A batch can't contain a batch.")
        return self._service.plan(replace(inner, row_check=self._faults.row_check(inner.method, target)))

    def _prepared(self, scope: _Scope, inner: InnerRequest) -> Request:
        """Returns a part as a request: the URL relative to the service, references resolved."""
        url = self._resolved(scope, inner.url)
        if len(url) > _LONGEST_URL:
            raise ServiceError(414, "", "The request URI is too long.")
        relative = urlsplit("//host/" + _SERVICE_ROOT.sub("", url).lstrip("/"))
        outer = {name: value for name, value in scope.request.headers.items() if name not in _OUTER_ONLY}
        return Request(
            method=inner.method,
            path=relative.path.lstrip("/"),
            query=relative.query,
            headers={**outer, **inner.headers},
            body=_referenced(scope, inner.body),
            root=scope.request.root,
            caller=acting_caller(self._service.environment, scope.request.caller, inner.headers),
        )

    def _resolved(self, scope: _Scope, url: str) -> str:
        match = _REFERENCE_URL.match(_SERVICE_ROOT.sub("", url))
        if match is None or match[1] in {"metadata", "batch"}:
            return url
        if match[1] not in scope.addresses:
            raise content_id_unknown(f"${match[1]}")
        return scope.addresses[match[1]] + _SERVICE_ROOT.sub("", url)[match.end() :]

    def _remember(self, scope: _Scope, content_id: str | None, response: Response) -> None:
        if content_id is not None and response.address:
            scope.addresses[content_id] = response.address

    def _count(self, response: Response) -> None:
        for effect in response.effects:
            self._stats.touched(effect)


def _parts(request: Request, boundary: str) -> list[tuple[Part, list[Part] | None]]:
    """The parts of a batch, each with the parts of its change set.

    Raises:
        ServiceError: The body is not well formed, or holds more than 1000 operations.
    """
    parts: list[tuple[Part, list[Part] | None]] = []
    operations = 0
    for part in parts_of(request.body, boundary, outermost=True):
        inner = boundary_of(part.headers.get("content-type", ""))
        change_set = list(parts_of(part.content, inner)) if inner else None
        operations += 1 if change_set is None else len(change_set)
        parts.append((part, change_set))
    if operations > _MOST_REQUESTS:
        raise ServiceError(
            400,
            "0x80060888",
            f"The current request is trying to execute more than the maximum of {_MOST_REQUESTS} operations in a "
            "batch.",
        )
    return parts


def _referenced(scope: _Scope, body: bytes) -> bytes:
    """The body with the addresses of rows instead of Content-IDs, in single references and in lists of them."""
    if b"$" not in body:
        return body
    body = _REFERENCE_VALUE.sub(lambda match: _bound(scope, match), body)
    return _REFERENCE_LIST.sub(
        lambda items: _REFERENCE_ITEM.sub(lambda match: b'%s"%s"' % (match[1], _address(scope, match[2])), items[0]),
        body,
    )


def _address(scope: _Scope, reference: bytes) -> bytes:
    content_id = reference.decode()
    if content_id not in scope.addresses:
        raise content_id_unknown(f"${content_id}")
    return scope.addresses[content_id].encode()


def _bound(scope: _Scope, match: re.Match[bytes]) -> bytes:
    return b'"%s"%s"%s"' % (match[1], match[2], _address(scope, match[3]))


def _rows(operations: Sequence[InnerRequest]) -> dict[str, int]:
    """Counts the operations of a change set by kind, from their methods: they cannot be planned before they run."""
    rows: dict[str, int] = {}
    for operation in operations:
        match operation.method:
            case "POST":
                name = "create"
            case "DELETE":
                name = "delete"
            case "PATCH" if "if-match" not in operation.headers:
                name = "upsert"
            case _:
                name = "update"
        rows[name] = rows.get(name, 0) + 1
    return rows


def _refused(error: ServiceError, inner: InnerRequest | None = None) -> Response:
    preferred = inner.headers.get("prefer", "") if inner else ""
    response = refusal(error, Preferences.parse(preferred))
    return replace(response, headers={"REQ_ID": str(uuid4()), **response.headers})


def _located(response: Response) -> Response:
    address = response.headers.get("OData-EntityId")
    return response if address is None else replace(response, headers={**response.headers, "Location": address})


def _written(outcomes: Sequence[_Outcome], *, status: int) -> Response:
    boundary = f"batchresponse_{uuid4()}"
    pieces = []
    for outcome in outcomes:
        if outcome.change_set:
            inner = f"changesetresponse_{uuid4()}"
            pieces.append(f"--{boundary}\r\nContent-Type: multipart/mixed; boundary={inner}\r\n\r\n".encode())
            pieces += [written_part(inner, response, content_id) for response, content_id in outcome.responses]
            pieces.append(f"--{inner}--\r\n".encode())
        else:
            pieces += [written_part(boundary, response, content_id) for response, content_id in outcome.responses]
    pieces.append(f"--{boundary}--\r\n".encode())
    headers = {"Content-Type": f"multipart/mixed; boundary={boundary}", "OData-Version": "4.0"}
    return Response(status=status, headers=headers, body=b"".join(pieces))
