"""A request and its answer without a web framework: a part of a `$batch` is such a request too."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, Final, Self

import orjson

from emulator.body_errors import invalid_parameter, invalid_payload, repeated_property
from emulator.errors import ServiceError, invalid_argument
from emulator.json_depth import names_in, repeated_name

__all__ = [
    "Caller",
    "Effect",
    "Planned",
    "Preferences",
    "Request",
    "Response",
    "answer",
    "check_parameters",
    "count_answer",
    "plain_text",
    "refusal",
]

_JSON: Final = "application/json; odata.metadata=minimal"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_OK: Final = 200
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The user of a request: identifiers of the user and of the user's business unit.

    `on_behalf` is the user that signed in, if the request acts for another user.
    """

    user_id: str
    business_unit_id: str
    on_behalf: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The `Prefer` header (compose-http-requests-handle-errors, "Prefer headers")."""

    representation: bool = False
    page_size: int | None = None
    annotations: tuple[str, ...] = ()
    continue_on_error: bool = False
    track_changes: bool = False
    respond_async: bool = False

    @classmethod
    def parse(cls, header: str) -> Self:
        """Reads the header; unknown preferences are ignored."""
        return cls(**_preferences(header)) if header else cls()

    def wants(self, annotation: str) -> bool:
        """Whether an annotation was requested; a pattern with a leading minus excludes, the last match counts."""
        wanted = False
        for pattern in self.annotations:
            if fnmatchcase(annotation, pattern.removeprefix("-")):
                wanted = not pattern.startswith("-")
        return wanted


@lru_cache(maxsize=256)
def _preferences(header: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in _outside_quotes(header):
        name, _, value = part.strip().partition("=")
        value = value.strip().strip('"')
        match name.strip().lower():
            case "return":
                found["representation"] = value == "representation"
            case "odata.maxpagesize" | "maxpagesize":
                found["page_size"] = int(value) if _NUMBER.fullmatch(value) else None
            case "odata.include-annotations":
                found["annotations"] = tuple(piece.strip() for piece in value.split(","))
            case "odata.continue-on-error":
                found["continue_on_error"] = value.lower() != "false"
            case "odata.track-changes":
                found["track_changes"] = True
            case "respond-async":
                found["respond_async"] = True
    return found


def _outside_quotes(header: str) -> list[str]:
    parts, quoted, start = [], False, 0
    for position, char in enumerate(header):
        if char == '"':
            quoted = not quoted
        elif char in ",;" and not quoted:
            parts.append(header[start:position])
            start = position + 1
    return [*parts, header[start:]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One operation.

    Attributes:
        method: HTTP method in upper case.
        path: The path after `/api/data/v9.2/`, percent-encoded.
        query: The query string, percent-encoded.
        headers: Names in lower case.
        row_check: Called with the values of each row before it is written; raises the error of a plug-in.
        root: The address of the service as the client wrote it, `http://127.0.0.1:5080/api/data/v9.2/`.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    root: str
    caller: Caller
    row_check: Callable[[Mapping[str, Any]], None] | None = None

    @cached_property
    def preferences(self) -> Preferences:
        """The parsed `Prefer` header."""
        return Preferences.parse(self.headers.get("prefer", ""))

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.root}{self.path}{'?' if self.query else ''}{self.query}"

    def context(self, fragment: str) -> str:
        """Returns the value of `@odata.context`: the address of `$metadata` with this fragment."""
        return f"{self.root}$metadata#{fragment}"

    def json(self) -> dict[str, Any]:
        """Returns the body, a JSON object.

        Raises:
            ServiceError: The body is not a JSON object, or one of its objects has a name twice.
        """
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise invalid_payload(str(error)) from error
        if not isinstance(content, dict):
            raise invalid_payload("A JSON object was expected.")
        names = names_in(content)
        if names is None:
            raise invalid_payload("The depth limit was reached: the JSON is nested more than 100 deep.")
        if repeated := repeated_name(self.body, names):
            raise repeated_property(repeated)
        return content

    def parameters(self, operation: str, known: Collection[str], required: Iterable[str] = ()) -> dict[str, Any]:
        """Returns the body, the parameters of an action.

        Raises:
            ServiceError: The body is not a JSON object, has a parameter that the action does not have, or lacks a
                required one.
        """
        body = self.json()
        check_parameters(body, operation, known, required)
        return body


def check_parameters(given: Mapping[str, Any], operation: str, known: Collection[str], required: Iterable[str]) -> None:
    """Checks the parameters of an action or a function; names with an at-sign are annotations.

    Raises:
        ServiceError: One is not known, or one that is required is missing or null.
    """
    for name in given:
        if name not in known and "@" not in name:
            raise invalid_parameter(name, operation)
    for name in required:
        if given.get(name) is None:
            raise invalid_argument(f"Required field '{name}' is missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Rows that a request read or wrote, for the statistics: `operation` is create, read, update or delete."""

    operation: str
    table: str
    count: int
    ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer; `address` is the URL of the row that it wrote, also where no header states it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    effects: tuple[Effect, ...] = ()
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An operation that was checked and can be executed.

    What the service decides when a request arrives (which rows exist) is decided when this is made; `act` writes.
    Between the two the time model can let other requests run, as in the real service.

    Attributes:
        rows: How many rows it touches, by operation (`create`, `update`, `upsert`, `delete`, `read`).
        act: Executes the operation in a transaction and returns the answer.
    """

    act: Callable[[], Response]
    rows: Mapping[str, int] = field(default_factory=dict)


def answer(
    content: object = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] = _NO_HEADERS,
    effects: tuple[Effect, ...] = (),
) -> Response:
    """Returns a JSON answer, or 204 without a body for None."""
    common = {"OData-Version": "4.0", **headers}
    if content is None:
        return Response(status=204 if status == _OK else status, headers=common, effects=effects)
    body = orjson.dumps(content)
    return Response(status=status, headers={"Content-Type": _JSON, **common}, body=body, effects=effects)


def plain_text(value: object) -> Response:
    """Returns an answer of plain text."""
    headers = {"Content-Type": "text/plain", "OData-Version": "4.0"}
    return Response(status=200, headers=headers, body=str(value).encode())


def count_answer(total: int) -> Response:
    """Returns the number for `/$count`, after a byte order mark (retrieve-entity-using-web-api page)."""
    return plain_text(f"\N{ZERO WIDTH NO-BREAK SPACE}{total}")


def refusal(error: ServiceError, preferences: Preferences | None = None) -> Response:
    """Returns the answer for an error, with the details that the client's preferences request."""
    content = error.body()
    if preferences is not None and preferences.annotations:
        details = {name: value for name, value in _details(error).items() if preferences.wants(name)}
        content["error"] |= {f"@{name}": value for name, value in details.items()}
    return answer(content, status=error.status, headers=error.headers)


def _details(error: ServiceError) -> dict[str, str]:
    """What compose-http-requests-handle-errors shows under "Include more details with errors"; all values are texts."""
    return {
        "Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus": "0",
        "Microsoft.PowerApps.CDS.ErrorDetails.SubErrorCode": "2146233088",
        "Microsoft.PowerApps.CDS.HelpLink": (
            f"http://go.microsoft.com/fwlink/?LinkID=398563&error=Microsoft.Crm.CrmException%3a{error.code[2:]}"
            "&client=platform"
        ),
        "Microsoft.PowerApps.CDS.TraceText": "",
        "Microsoft.PowerApps.CDS.InnerError.Message": error.message,
    }
