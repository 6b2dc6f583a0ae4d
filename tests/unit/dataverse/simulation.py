"""A small Dataverse in memory, in virtual time: one table, its bulk messages, `$batch`, key look-ups, faults on demand.

It knows nothing of the client's modules but the seam: it is a `Transport`. A script of faults says what happens to each
write; time passes only during a wait.
"""

from __future__ import annotations

import heapq
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid5

from shared.dataverse.changes import Change, ChangeAction, Outcome, WriteLimits
from shared.dataverse.course import Course
from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service import Service
from shared.dataverse.write.chunks import Target
from shared.dataverse.write.controller import Controller, Sizes
from shared.dataverse.write.sending_users import SendingUser
from shared.dataverse.write.writer import SendResult, Writing
from shared.entities import AlternateKey, AttributeMetadata, AttributeType, EntityMetadata
from shared.errors import AnswerLost
from shared.http.retry import RETRY_POLICY, RetryPolicy
from shared.http.transport import AnswerTimedOut, Request, Response, Unsent

BASE = "http://127.0.0.1:5080/api/data/v9.2/"
ALL_MESSAGES = frozenset({"CreateMultiple", "UpdateMultiple", "UpsertMultiple"})
NAMESPACE = UUID(int=7)

ACCOUNT = EntityMetadata(
    logical_name="account",
    entity_set="accounts",
    display_name="Account",
    primary_id="accountid",
    primary_name="name",
    attributes={
        name: AttributeMetadata(name=name, type=kind)
        for name, kind in {
            "accountid": AttributeType.UNIQUEIDENTIFIER,
            "accountnumber": AttributeType.STRING,
            "name": AttributeType.STRING,
            "revenue": AttributeType.MONEY,
            "numberofemployees": AttributeType.INTEGER,
            "createdon": AttributeType.DATETIME,
        }.items()
    },
    keys=(AlternateKey(name="number", columns=("accountnumber",), active=True),),
)


class SimulatedClock:
    """A clock whose time changes only when a test changes it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class FixedToken:
    """A token provider that counts how often its token was dropped."""

    def __init__(self) -> None:
        self.forgotten = 0

    def token(self, resource_url: str) -> str:
        return f"token-{self.forgotten}"

    def forget(self) -> None:
        self.forgotten += 1


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to one write instead of success.

    Attributes:
        kind: ``status``, ``status_after`` (the service acted, and says that it failed), ``part_after`` (the same for the
            first operation of a `$batch`), ``drop_before``, ``drop_after``, ``timeout_after``, ``late`` (acts a second
            after the connection broke) or ``unsent``.
        times: How many requests it hits.
    """

    kind: str
    status: int = 503
    code: str = ""
    message: str = "fault"
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1


@dataclass
class Memory:
    """The service: records by id, and what it has seen.

    Attributes:
        bad: Whether a row is refused, given its body.
        latency: Seconds per request.
        row_seconds: Seconds per row.
    """

    clock: SimulatedClock
    bad: Callable[[Mapping[str, Any]], str | None] = lambda row: None
    latency: float = 0.03
    row_seconds: float = 0.001
    hint: int = 8
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    gate: Callable[[Request, float], Response | None] = lambda request, now: None
    duration: float = 0.0
    carried: list[int] = field(default_factory=list)
    key_guarded: bool = True
    log: list[Request] = field(default_factory=list)
    _late: list[tuple[float, Request, str]] = field(default_factory=list)
    _by_number: dict[str, str] = field(default_factory=dict)
    _spoiled: Fault | None = None

    # the seam

    def send(self, request: Request) -> Response:
        self.log.append(request)
        path = unquote(urlsplit(request.url).path + "?" + urlsplit(request.url).query)
        rows = (request.body or b"").count(b'"@odata.type"') or (request.body or b"").count(b"Content-ID: ") or 1
        self.duration = self.latency + rows * self.row_seconds
        held = self.gate(request, self.clock.seconds)
        if held is not None:
            self.duration = 0.01
            return held
        self.act_late()
        fault = self._fault(request)
        if fault is not None and fault.kind == "late":
            self._late.append((self.clock.seconds + 1.0, request, path))
            raise AnswerLost("connection broke")
        if fault is not None and fault.kind == "unsent":
            raise Unsent("could not be reached")
        if fault is not None and fault.kind == "drop_before":
            raise AnswerLost("connection broke")
        if fault is not None and fault.kind == "status":
            return self._error(fault.status, fault.code, fault.message, fault.headers)
        self._spoiled = fault if fault is not None and fault.kind == "part_after" else None
        answer = self._answer(request, path)
        if fault is not None and fault.kind == "status_after":
            return self._error(fault.status, fault.code, fault.message, fault.headers)
        if fault is not None and fault.kind == "drop_after":
            raise AnswerLost("connection broke")
        if fault is not None and fault.kind == "timeout_after":
            raise AnswerTimedOut("no answer in time")
        return answer

    def close(self) -> None:
        pass

    def _fault(self, request: Request) -> Fault | None:
        if not self.faults or request.method == "GET":
            return None
        fault = self.faults[0]
        fault.times -= 1
        if fault.times <= 0:
            self.faults.pop(0)
        return fault

    def act_late(self) -> None:
        due = [entry for entry in self._late if entry[0] <= self.clock.seconds]
        self._late = [entry for entry in self._late if entry not in due]
        for _, request, path in due:
            self._answer(request, path)

    # the service

    def _answer(self, request: Request, path: str) -> Response:
        if path.startswith("/api/data/v9.2/$batch"):
            return self._batch(request)
        self.requests[path.rsplit("/", 1)[-1].rsplit(".", 1)[-1].partition("?")[0]] += 1
        return self._one(request.method, path, request.body or b"")

    def _one(self, method: str, path: str, body: bytes) -> Response:
        if "Multiple" in path:
            return self._multiple(path.rsplit(".", 1)[-1].rstrip("?"), json.loads(body)["Targets"])
        found = re.search(r"accounts\((.+)\)", path.partition("$")[0])
        if method == "GET":
            return self._read(found[1]) if found else self._query(path)
        if method == "POST" and path.endswith("/Restore"):
            return self._restore(json.loads(body)["Target"]["@odata.id"].partition("(")[2].removesuffix(")"))
        if method == "POST":
            return self._create(json.loads(body))
        assert found is not None
        return self._keyed(method, found[1], body)

    def _create(self, row: dict[str, Any]) -> Response:
        refused = self._refusal(row) or self._taken(row)
        if refused:
            return refused
        record = self.insert(row)
        return self._ok(204, headers={"odata-entityid": f"{BASE}accounts({record})"})

    def _read(self, record: str) -> Response:
        if record not in self.records:
            return self._error(404, "0x80040217", "account With Id Does Not Exist")
        return self._ok(200, {"accountid": record, **self.records[record]})

    def _restore(self, record: str) -> Response:
        if record not in self.deleted:
            return self._error(404, "0x80040217", "account With Id Does Not Exist")
        self.records[record] = self.deleted.pop(record)
        return self._ok(200, {"id": record})

    def version(self, record: str) -> str:
        """The ETag of a record."""
        return f'W/"{self.written[record]}"'

    def _keyed(self, method: str, address: str, body: bytes) -> Response:
        if "=" in address:
            value = address.partition("=")[2].strip("'").replace("''", "'")
            record = self.by_number(value)
        else:
            record = address if address in self.records else None
        if method == "DELETE":
            if record is None:
                return self._error(404, "0x80040217", "account With Id Does Not Exist")
            del self.records[record]
            self.written[record] += 1
            return self._ok(204)
        row = json.loads(body)
        refused = self._refusal(row)
        if refused:
            return refused
        if record is None and "=" in address:
            record = self.insert({"accountnumber": value, **row})
            return self._ok(201, {"accountid": record})
        if record is None:
            return self._error(404, "0x80040217", "account With Id Does Not Exist")
        self._update(record, row)
        return self._ok(200, {"accountid": record})

    def _multiple(self, message: str, rows: list[dict[str, Any]]) -> Response:
        self.carried.append(len(rows))
        for row in rows:
            refused = self._refusal(row) or (self._taken(row) if message == "CreateMultiple" else None)
            if refused:
                return refused
            if message == "UpdateMultiple" and row["accountid"] not in self.records:
                return self._error(404, "0x80040217", f"account With Ids = {row['accountid']} Do Not Exist")
        numbers = [str(row.get("accountnumber", row)).lower() for row in rows]
        assert message != "CreateMultiple" or len(set(numbers)) == len(numbers), "one key twice in a request"
        ids = [self._apply(message, row) for row in rows]
        if message == "CreateMultiple":
            return self._ok(200, {"Ids": ids})
        return self._ok(204)

    def _apply(self, message: str, row: dict[str, Any]) -> str:
        if message == "CreateMultiple":
            return self.insert(row)
        if message == "UpdateMultiple":
            return self._update(row["accountid"], row)
        if "@odata.id" in row:
            number = row["@odata.id"].partition("='")[2].removesuffix("')").replace("''", "'")
            assert "accountnumber" not in row, "a key column in the body"
            record = self.by_number(number)
            return self._update(record, row) if record else self.insert({"accountnumber": number, **row})
        return self._update(row["accountid"], row)

    def insert(self, row: dict[str, Any]) -> str:
        record = row.get("accountid") or str(uuid5(NAMESPACE, f"{len(self.written)}-{len(self.records)}-{row}"))
        self.records[record] = {
            "createdon": f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}",
            **{name: value for name, value in row.items() if not name.startswith("@")},
        }
        self.written[record] += 1
        self._by_number[str(row.get("accountnumber")).lower()] = record
        return record

    def _update(self, record: str, row: dict[str, Any]) -> str:
        self.records[record].update({name: value for name, value in row.items() if not name.startswith("@")})
        self.written[record] += 1
        return record

    def _taken(self, row: Mapping[str, Any]) -> Response | None:
        if row.get("accountid") in self.records:
            return self._error(412, "0x80040237", "Cannot insert duplicate key.")
        if self.key_guarded and self.by_number(row.get("accountnumber")) is not None:
            return self._error(412, "0x80060892", "A record with matching key values already exists.")
        return None

    def by_number(self, number: object) -> str | None:
        held = self._by_number.get(str(number).lower())
        return held if held in self.records else None

    def _query(self, path: str) -> Response:
        wanted = {
            str(text).lower() for text in json.loads(path.partition("PropertyValues=")[2].partition("])")[0] + "]")
        }
        column = path.partition("PropertyName='")[2].partition("'")[0]
        every = ({"accountid": key, **row} for key, row in self.records.items())
        rows = [row for row in every if str(row.get(column, "")).lower() in wanted]
        return self._ok(200, {"value": rows})

    def _refusal(self, row: Mapping[str, Any]) -> Response | None:
        why = self.bad(row)
        return None if why is None else self._error(400, "0x80044331", why)

    def _batch(self, request: Request) -> Response:
        self.requests["$batch"] += 1
        boundary = re.search('boundary="(.+)"', request.headers["Content-Type"])
        assert boundary is not None
        assert (request.body or b"").endswith(b"--\r\n")
        answers = [self._part(part) for part in (request.body or b"").split(f"--{boundary[1]}".encode())[1:-1]]
        if self._spoiled is not None:
            answers[0] = self._error(self._spoiled.status, self._spoiled.code, self._spoiled.message)
        body = b"".join(
            b"--batchresponse_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            + f"HTTP/1.1 {answer.status} X\r\n".encode()
            + "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items()).encode()
            + b"\r\n"
            + answer.body
            + b"\r\n"
            for answer in answers
        )
        headers = {"content-type": "multipart/mixed; boundary=batchresponse_1", "x-ms-dop-hint": str(self.hint)}
        closed = body + b"--batchresponse_1--\r\n"
        return Response(status=200, headers=headers, body=closed, seconds=self.duration)

    def _part(self, part: bytes) -> Response:
        _, _, http = part.partition(b"\r\n\r\n")
        head, _, body = http.partition(b"\r\n\r\n")
        method, path, _ = head.decode().split("\r\n")[0].split(" ")
        wanted, named = re.search(r'If-Match: (W/"\d+")', head.decode()), re.search(r"accounts\((.+)\)", path)
        if wanted and named and named[1] in self.records and wanted[1] != self.version(named[1]):
            return self._error(412, "0x80060882", "The version of the existing record doesn't match.")
        return self._one(method, unquote(path), body.removesuffix(b"\r\n"))

    def _ok(self, status: int, value: object = None, headers: Mapping[str, str] | None = None) -> Response:
        body = b"" if value is None else json.dumps(value).encode()
        every = {"x-ms-dop-hint": str(self.hint), "set-cookie": "ARRAffinity=1", **(headers or {})}
        return Response(status=status, headers=every, body=body, seconds=self.duration)

    def _error(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
        body = json.dumps({"error": {"code": code, "message": message}}).encode() if code else b""
        return Response(status=status, headers=headers or {}, body=body, seconds=self.duration)


class SimulatedSenders:
    """Requests in flight in virtual time: each has its effect when it is sent, and is answered after its duration."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._flying: list[tuple[float, int, SendResult]] = []
        self._count = 0
        self.most = 0

    def start(self, job: Callable[[], SendResult], failed: Callable[[Exception], SendResult]) -> None:
        self._memory.duration = 0.0
        try:
            landed = job()
        except LookupError as error:
            landed = failed(error)
        self._count += 1
        heapq.heappush(self._flying, (self._memory.clock.seconds + self._memory.duration, self._count, landed))
        self.most = max(self.most, len(self._flying))

    def wait(self, seconds: float) -> Iterable[SendResult]:
        clock = self._memory.clock
        if not self._flying or self._flying[0][0] > clock.seconds + seconds:
            clock.seconds += seconds
            return []
        at, _, landed = heapq.heappop(self._flying)
        clock.seconds = max(clock.seconds, at)
        return [landed]

    def close(self) -> None:
        pass


@dataclass(kw_only=True)
class World:
    """A writer over the service in memory."""

    memory: Memory
    users: int = 1
    messages: frozenset[str] = ALL_MESSAGES
    limits: WriteLimits = field(default_factory=WriteLimits)
    entity: EntityMetadata = ACCOUNT
    sizes: Sizes = field(default_factory=Sizes)
    parallel: int = 8
    most_parallel: int = 48
    retry_policy: RetryPolicy = RETRY_POLICY
    course: Course = field(default_factory=Course)

    def __post_init__(self) -> None:
        connection = Connection(service_url=BASE, retry_policy=self.retry_policy)
        tokens = [FixedToken() for _ in range(self.users)]
        self.service = Service(connection, transport=self.memory, users=tokens, clock=self.memory.clock)
        self.senders = SimulatedSenders(self.memory)
        self.sending_users = [
            SendingUser(
                index=index,
                controller=Controller(parallel=self.parallel, most_parallel=self.most_parallel, sizes=self.sizes),
            )
            for index in range(self.users)
        ]
        self.target = Target(entity=self.entity, connection=connection, messages=self.messages)

    def writing(self) -> Writing:
        return Writing(
            self.service,
            target=self.target,
            users=self.sending_users,
            senders=self.senders,
            limits=self.limits,
            course=self.course,
        )

    def write(self, changes: Iterable[Change]) -> list[Outcome]:
        return list(self.writing().outcomes(changes))


def world(**options: Any) -> World:
    """A new world; options of `World`, or of `Memory` where it has such a field."""
    of_memory = {name: options.pop(name) for name in list(options) if name in Memory.__dataclass_fields__}
    return World(memory=Memory(SimulatedClock(), **of_memory), **options)


def inserts(count: int, *, start: int = 0) -> Iterator[Change]:
    """New accounts A0, A1, ..."""
    for number in range(start, start + count):
        key = json.dumps({"accountnumber": f"A{number}"})
        payload = json.dumps({"accountnumber": f"A{number}", "name": f"Company {number}"})
        yield Change(number=number, action=ChangeAction.INSERT, key=key, payload=payload)
