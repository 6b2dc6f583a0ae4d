"""The `multipart/mixed` bodies of `$batch`: strict about line ends, as the service is."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from emulator.errors import ServiceError, invalid_request_body
from emulator.messages import Response

__all__ = ["InnerRequest", "Part", "boundary_of", "inner_request", "parts_of", "written_part"]

_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_REQUEST_LINE: Final = re.compile(r"([A-Z]+) (\S+) HTTP/1\.[01]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: headers (names in lower case) and content."""

    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerRequest:
    """The HTTP request that a part holds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def boundary_of(content_type: str) -> str | None:
    """Returns the boundary of a multipart content type, or None for any other one."""
    if not content_type.lower().startswith("multipart/mixed"):
        return None
    match = _BOUNDARY.search(content_type)
    return match[1] if match else None


def _unreadable() -> ServiceError:
    """What a batch with bare line feeds is told (SupportArticles, web-api-client-errors)."""
    return invalid_request_body("System.ArgumentException: Stream was not readable.")


def parts_of(body: bytes, boundary: str, *, outermost: bool = False) -> Iterator[Part]:
    """Cuts a multipart body.

    Raises:
        ServiceError: The delimiters don't end in CRLF, or the closing one is missing.
    """
    delimiter = f"--{boundary}".encode()
    pieces = re.split(rb"(?:\A|\r?\n)" + re.escape(delimiter), body)
    if len(pieces) < 2:  # noqa: PLR2004 - before the first delimiter, and after it
        raise _unreadable()
    closing = pieces.pop()
    if not closing.startswith(b"--") or (outermost and not closing[2:].startswith((b"\r\n", b"\n\n"))):
        raise _unreadable()
    for piece in pieces[1:]:
        if not piece.startswith(b"\r\n"):
            raise _unreadable()
        head, separator, content = piece[2:].partition(b"\r\n\r\n")
        if not separator:
            raise _unreadable()
        yield Part(headers=_headers(head), content=content)


def _headers(head: bytes) -> dict[str, str]:
    headers = {}
    for line in head.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or "\n" in line:
            raise _unreadable()
        headers[name.strip().lower()] = value.strip()
    return headers


def inner_request(part: Part) -> InnerRequest:
    """Reads the HTTP request in a part.

    Raises:
        ServiceError: The content is none.
    """
    head, _, body = part.content.partition(b"\r\n\r\n")
    line, _, rest = head.partition(b"\r\n")
    match = _REQUEST_LINE.fullmatch(line.decode("utf-8", "replace").strip())
    if match is None:
        raise _unreadable()
    lines = rest.strip(b"\r\n")
    headers = _headers(lines) if lines else {}
    return InnerRequest(method=match[1], url=match[2], headers=headers, body=body.rstrip(b"\r\n"))


def written_part(boundary: str, response: Response, content_id: str | None = None) -> bytes:
    """Returns a part of an answer, its delimiter in front."""
    lines = [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    head = "\r\n".join(lines).encode()
    return b"%s\r\n\r\n%s\r\n" % (head, response.body)
