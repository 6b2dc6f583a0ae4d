"""What keeps browsers safe: headers of every answer, hosts that are answered, and no posts from other sites."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.refusals import Refusal

__all__ = ["SafeHeaders", "check_host", "check_origin"]

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_POLICY: Final = "content-security-policy"
_CONNECT: Final = "connect-src 'self'"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class SafeHeaders:
    """Adds the headers to every answer; one that an answer has already stays.

    Args:
        app: Gives the answers.
        endpoint: What addresses begin with to which pages send files; empty for none.
    """

    def __init__(self, app: ASGIApp, endpoint: str = "") -> None:
        self._app = app
        policy = HEADERS[_POLICY].replace(_CONNECT, f"{_CONNECT} {endpoint}".strip())
        self._headers = HEADERS | {_POLICY: policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


def check_host(headers: Mapping[str, str], hosts: Collection[str] | None) -> None:
    """Refuse a request to another host than those that this app has: a page elsewhere may point its own name here.

    Args:
        headers: Of the request.
        hosts: Names without port; None where the platform has checked the host.

    Raises:
        Refusal: It is another host.
    """
    if hosts is not None and _host_of(headers) not in hosts:
        raise Refusal(421, "Another host", "This console answers to its own address only.")


def _host_of(headers: Mapping[str, str]) -> str | None:
    """The name of the host, without port; None where the header has none."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:  # brackets that hold no address
        return None


def check_origin(method: str, headers: Mapping[str, str], origin: str) -> None:
    """Refuse a write that a page of another site sends with the cookies of a person.

    A browser names the origin of every post. Programs without cookies name none, and have their own token; what they
    send is JSON or a file, which a form of another site cannot send.

    Args:
        method: Of the request.
        headers: Of the request.
        origin: Of this app, such as `https://app.azurewebsites.net`.

    Raises:
        Refusal: It comes from elsewhere.
    """
    if method in _SAFE:
        return
    site, given = headers.get("sec-fetch-site"), headers.get("origin")
    is_form = method == "POST" and headers.get("content-type", "").partition(";")[0].strip() in _FORMS
    if site not in {None, "same-origin"} or given not in {None, origin} or (given is None and is_form):
        raise Refusal(403, "From another site", "Forms of this console are sent from its own pages only.")


_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""})
