"""The requests of a `rest` source: its address, headers, body and limits, from the definition and its connection."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from requests.utils import requote_uri

from shared.definitions.models import HttpStep, RestConnection, RestSource, SecretReference
from shared.definitions.models.connections.api import ApiAuth
from shared.definitions.parameters import in_json
from shared.errors import UserError
from shared.http.hosts import origin_of
from shared.http.retry import RetryPolicy
from shared.redaction import register_secret
from shared.sources.context import SourceContext

__all__ = [
    "PLAIN_HEADERS",
    "Endpoint",
    "address_of",
    "connection_of",
    "endpoint_of",
    "headers_of",
    "known_secret",
    "own_text",
    "renewed_headers",
]

PLAIN_HEADERS: Final = {"Accept": "application/json", "User-Agent": "dynamics-sync"}
_TIMEOUT: Final = 100.0
_HEADER_VALUE: Final = re.compile(r"[\t -~]*")
_WHOLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What is asked.

    Attributes:
        url: Of the first request, without the parameters of pages.
        headers: Of each request to this host; they may hold secrets.
        renewed_headers: Gives the headers with their secrets read again.
        body: JSON text; None for a request without one.
        auth: How requests are signed in.
        timeout: Seconds to wait for a connection and for each piece of an answer.
        interval: Seconds from the start of one request to the start of the next.
        retry_policy: How long and how often failed requests are sent again.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    renewed_headers: Callable[[], Mapping[str, str]]
    body: str | None
    auth: ApiAuth | None
    timeout: float
    interval: float
    retry_policy: RetryPolicy

    @property
    def origin(self) -> tuple[str, str, int]:
        """The origin to which credentials may be sent."""
        return origin_of(self.url)


def connection_of(source: RestSource | HttpStep, context: SourceContext) -> RestConnection | None:
    """The connection that a source or a step names.

    Raises:
        UserError: There is none, or it does not lead to an API.
    """
    if source.connection is None:
        return None
    name = context.text(source.connection)
    found = context.connection(name)
    if not isinstance(found, RestConnection):
        raise UserError(f"connection {name} is of type {found.type}: one of type rest is needed")
    return found


def address_of(source: RestSource | HttpStep, connection: RestConnection | None, context: SourceContext) -> str:
    """The address of the first request.

    Raises:
        UserError: It is not the address of a host that may be reached.
    """
    own = _own_url(source.url, context, relative=connection is not None)
    if connection is not None:
        if _WHOLE.match(context.text(source.url) if isinstance(source.url, str) else own):
            raise UserError("source.url: with a connection, it is relative to the address there")
        own = _joined(context.url(connection.url), own)
    url = requote_uri(own)
    context.reach.check(url)
    return url


def _own_url(url: str | SecretReference | None, context: SourceContext, *, relative: bool) -> str:
    if url is None:
        return ""
    return context.url(url, relative=relative) if isinstance(url, str) else known_secret(url, context).strip()


def _joined(base: str, path: str) -> str:
    """The path of a source, appended to the address of its connection."""
    if not path or path.startswith("?"):
        return base + path
    return f"{base.rstrip('/')}/{path.lstrip('/')}"


def endpoint_of(source: RestSource, context: SourceContext) -> Endpoint:
    """Combine the definition and its connection; secrets are read.

    Raises:
        UserError: The address, a header or the body cannot be used.
    """
    connection = connection_of(source, context)
    limit = source.rate_limit or (connection.rate_limit if connection else None)
    body = None if source.body is None else _body(source.body, context)

    return Endpoint(
        method=source.method.value,
        url=address_of(source, connection, context),
        headers=headers_of(source, connection, context, has_body=body is not None),
        renewed_headers=partial(renewed_headers, source, connection, context, has_body=body is not None),
        body=body,
        auth=source.auth or (connection.auth if connection else None),
        timeout=source.timeout or (connection.timeout if connection else None) or _TIMEOUT,
        interval=limit.interval if limit else 0.0,
        retry_policy=RetryPolicy(
            attempts=source.retry.attempts, throttles=source.retry.attempts, base=1.0, seconds=source.retry.seconds
        ),
    )


def known_secret(reference: SecretReference, context: SourceContext) -> str:
    """The secret of a reference; from now on no message repeats it.

    Raises:
        UserError: There is none, or a request cannot carry it.
    """
    value = context.secret(reference)
    register_secret(value)
    return value


def own_text(value: str | SecretReference, context: SourceContext) -> str:
    """A text of the definition, or the secret of a reference."""
    return context.text(value) if isinstance(value, str) else known_secret(value, context)


def _own_headers(
    source: RestSource | HttpStep, connection: RestConnection | None
) -> Mapping[str, str | SecretReference]:
    return {**(connection.headers if connection else {}), **source.headers}


def headers_of(
    source: RestSource | HttpStep, connection: RestConnection | None, context: SourceContext, *, has_body: bool
) -> dict[str, str]:
    """The headers of each request; a name that comes later replaces the same one in any case."""
    plain = {**PLAIN_HEADERS, **({"Content-Type": "application/json"} if has_body else {})}
    headers: dict[str, tuple[str, str]] = {name.lower(): (name, value) for name, value in plain.items()}
    for name, text in _own_headers(source, connection).items():
        value = own_text(text, context)
        if not _HEADER_VALUE.fullmatch(value):
            raise UserError(f"the value of the header {name} has characters that a request cannot carry")
        headers[name.lower()] = (name, value)
    return dict(headers.values())


def renewed_headers(
    source: RestSource | HttpStep, connection: RestConnection | None, context: SourceContext, *, has_body: bool
) -> dict[str, str]:
    """The headers of each request with their secrets read again: one was refused, and may have been replaced."""
    for value in _own_headers(source, connection).values():
        if not isinstance(value, str):
            context.renew_secret(value)
    return headers_of(source, connection, context, has_body=has_body)


def _body(text: str, context: SourceContext) -> str:
    filled = in_json(text, context.parameters)
    try:
        json.loads(filled)
    except (ValueError, RecursionError):
        raise UserError(
            "source.body is not JSON with the values of this run: check where its parameters stand"
        ) from None
    return filled
