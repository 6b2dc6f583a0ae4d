"""Rules between the keys of a source of type `rest`. Paths start at the document."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import unquote_plus

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.calculated import is_calculated
from shared.definitions.loading.rules.raw import Raw, mapping_at
from shared.definitions.loading.yaml_loader import Path
from shared.definitions.models.connections.api import checked_api_url
from shared.definitions.models.names import names_in
from shared.definitions.parameters import in_json
from shared.definitions.parameters.environment import named_as_secret

__all__ = [
    "KEY_REMEDY",
    "WHOLE_URL",
    "api_problems",
    "header_of_secret",
    "keys_of",
    "request_problems",
    "rest_problems",
]

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
# What a request has by itself, and what would change how it is read.
_OWN_HEADERS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "te"})
_SIGNING: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "ocp-apim-subscription-key", "x-functions-key"}
)
# The signature in the address of a webhook: a person who has it may call.
_SIGNATURES: Final = frozenset({"sig", "signature", "subscription-key", "functions-key"})
# Names of keys, such as of a function in Azure, and of ordinary values: a key is long.
_OFTEN_KEYS: Final = frozenset({"code", "key"})
_SHORTEST_KEY: Final = 16
KEY_REMEDY: Final = "auth: {type: api_key, query: its name, value: reference to a secret}"
"""What to write in place of a key in the address of a source."""
WHOLE_URL: Final = "the whole url as a reference to a secret, {key_vault: name} or {env: NAME}"
"""The same for a request after the sync."""
_BY_REFERENCE: Final = "this header holds a secret: write {key_vault: name} or {env: NAME} in place of its text"


def rest_problems(source: Raw) -> Iterator[PathProblem]:
    """Every problem between the keys of a source of type `rest`."""
    for rule in _RULES:
        yield from rule(source)


def api_problems(connection: Raw) -> Iterator[PathProblem]:
    """Every problem between the keys of a connection of type `rest`."""
    yield from _headers(connection, ())
    yield from _auth(connection, ())
    if isinstance(connection.get("url"), str):
        yield from _keys_in_query(connection["url"], ("url",))


def request_problems(request: Raw, place: Path) -> Iterator[PathProblem]:
    """Every problem between the keys of a request after the sync."""
    yield from _address(request, place, what="a request", remedy=WHOLE_URL)
    yield from _headers(request, place)
    yield from _auth(request, place)
    if request.get("method") == "GET" and request.get("body") is not None:
        yield PathProblem(path=(*place, "body"), message="a request with method: GET has no body")


def _address(
    source: Raw, place: Path = ("source",), *, what: str = "a rest source", remedy: str = KEY_REMEDY
) -> Iterator[PathProblem]:
    url, connection = source.get("url"), source.get("connection")
    path: Path = (*place, "url")
    if url is None and connection is None:
        yield PathProblem(path=path, message=f"this key is missing: {what} needs url, connection, or both")
    if not isinstance(url, str):
        return
    if connection is not None:
        if "://" in url.partition("?")[0]:
            message = "with a connection, url is relative to the address there"
            yield PathProblem(path=path, message=message, at_value=True)
    else:
        try:
            checked_api_url(url)
        except ValueError as error:
            yield PathProblem(path=path, message=str(error), at_value=True)
    yield from _keys_in_query(url, path, remedy)


def _query(url: str) -> Iterator[tuple[str, str]]:
    for part in url.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        yield unquote_plus(name), value


def _keys_in_query(url: str, path: Path, remedy: str = KEY_REMEDY) -> Iterator[PathProblem]:
    """A key that is written in a URL; its value is not repeated."""
    for value in keys_of(url):
        if not names_in(value):
            yield PathProblem(path=path, message=f"this url holds a key: write {remedy}", at_value=True)


def keys_of(url: str) -> Iterator[str]:
    """The values in the query of a URL that are keys by their names."""
    for name, value in _query(url):
        known = name.lower()
        is_key = known in _SIGNATURES or named_as_secret(known.replace("-", "_"), ())
        if value and (is_key or (known in _OFTEN_KEYS and len(value) >= _SHORTEST_KEY and not names_in(value))):
            yield value


def _body(source: Raw) -> Iterator[PathProblem]:
    body = source.get("body")
    if body is None:
        return
    path: Path = ("source", "body")
    if source.get("method", "GET") != "POST":
        yield PathProblem(path=path, message="a body is sent only with method: POST")
    if isinstance(body, str) and not _is_json(body):
        message = "this is not JSON; inside quotes @name is text, elsewhere a JSON value"
        yield PathProblem(path=path, message=message, at_value=True)


def _is_json(body: str) -> bool:
    try:
        json.loads(in_json(body, dict.fromkeys(names_in(body), 0)))
    except (ValueError, RecursionError):
        return False
    return True


def _headers(source: Raw, place: Path = ("source",)) -> Iterator[PathProblem]:
    seen: set[str] = set()
    for name, value in mapping_at(source, "headers").items():
        path: Path = (*place, "headers", name)
        known = str(name).lower()
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            yield PathProblem(path=path, message="this is not the name of a header")
        elif known in _OWN_HEADERS:
            yield PathProblem(path=path, message="this header cannot be set: each request has its own")
        elif known in seen:
            yield PathProblem(path=path, message="this header is already there; upper and lower case are the same")
        elif known == "authorization" and source.get("auth") is not None:
            yield PathProblem(path=path, message="auth sets this header; remove one of them")
        elif isinstance(value, str) and header_of_secret(known) and not re.fullmatch(r"@\w+", value):
            yield PathProblem(path=path, message=_BY_REFERENCE, at_value=True)
        seen.add(known)


def header_of_secret(header: str) -> bool:
    """Whether the name of a header, in lower case, says that its value is a secret."""
    return header in _SIGNING or named_as_secret(header.replace("-", "_"), ())


def _auth(source: Raw, place: Path = ("source",)) -> Iterator[PathProblem]:
    auth = mapping_at(source, "auth")
    if auth.get("type") != "api_key":
        return
    header = auth.get("header")
    if isinstance(header, str) and (not _HEADER_NAME.fullmatch(header) or header.lower() in _OWN_HEADERS):
        yield PathProblem(path=(*place, "auth", "header"), message="this is not the name of a header that can be set")


def _pagination(source: Raw) -> Iterator[PathProblem]:
    pages = mapping_at(source, "pagination")
    place: Path = ("source", "pagination")
    if pages.get("size_parameter") is not None and pages.get("size") is None:
        yield PathProblem(
            path=(*place, "size_parameter"), message="size_parameter needs size, the number that it sends"
        )
    if pages.get("size_parameter") is not None and pages.get("size_parameter") == pages.get("parameter"):
        yield PathProblem(path=(*place, "size_parameter"), message="parameter has the same name")
    if pages.get("in") == "body" and source.get("method", "GET") != "POST":
        yield PathProblem(path=(*place, "in"), message="parameters can be in the body only with method: POST")
    if pages.get("in") != "body" and isinstance(source.get("url"), str):
        written = {name for name, _ in _query(str(source["url"]))}
        for key in ("parameter", "size_parameter"):
            if pages.get(key) in written:
                message = "url has this parameter already; remove it there"
                yield PathProblem(path=(*place, key), message=message)


def _columns(source: Raw) -> Iterator[PathProblem]:
    columns = source.get("columns")
    for index, column in enumerate(columns if isinstance(columns, list) else ()):
        if not isinstance(column, dict) or column.get("header") is None:
            continue
        path: Path = ("source", "columns", index, "header")
        if is_calculated(column):
            yield PathProblem(path=path, message="a calculated column is not read from a header")
        if str(column.get("name", "")).startswith("$"):
            yield PathProblem(path=path, message="a column has a JSONPath or a header, not both")


_RULES: Final[tuple[Callable[[Raw], Iterator[PathProblem]], ...]] = (
    _address,
    _body,
    _headers,
    _auth,
    _pagination,
    _columns,
)
