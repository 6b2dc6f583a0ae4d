"""URLs of requests: one parameter of the query is set, and what messages show of them. Pure."""

from __future__ import annotations

from urllib.parse import quote, unquote_plus, urlsplit

__all__ = ["shown_request", "with_parameter"]


def with_parameter(url: str, name: str, value: str) -> str:
    """A URL with a parameter in its query, in place of those with the same name; all others stay as they are."""
    base, _, query = url.partition("?")
    others = [part for part in query.split("&") if part and unquote_plus(part.partition("=")[0]) != name]
    own = f"{quote(name, safe='$')}={quote(value, safe='')}"
    return f"{base}?{'&'.join([*others, own])}"


def shown_request(method: str, url: str) -> str:
    """A request as messages show it: without the query, which may hold values and keys."""
    parts = urlsplit(url)
    return f"{method} {parts.scheme}://{parts.netloc}{parts.path}"
