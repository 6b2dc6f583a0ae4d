"""The `multipart/mixed` bodies of `$batch`.

The service accepts line feeds instead of CRLF, but then requires two of them at the end (web-api-client-errors, "Stream
was not readable"). This is the only rule about line ends.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from emulator.body_errors import PayloadError
from emulator.errors import ServiceError
from emulator.messages import Response

__all__ = ["InnerRequest", "Part", "boundary_of", "inner_request", "parts_of", "written_part"]

_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_REQUEST_LINE: Final = re.compile(r"([A-Z]+) +(\S.*?) +HTTP/1\.[01]")  # Microsoft's samples have spaces in URLs
_LINE_END: Final = re.compile(rb"\r?\n")
_BLANK_LINE: Final = re.compile(rb"\r?\n\r?\n")
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: headers (names in lower case) and content."""

    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerRequest:
    """The HTTP request in a part."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def boundary_of(content_type: str) -> str | None:
    """Returns the boundary of a multipart content type, or None for another content type."""
    if not content_type.lower().startswith("multipart/mixed"):
        return None
    match = _BOUNDARY.search(content_type)
    return match[1] if match else None


def _unreadable() -> ServiceError:
    """The answer to a batch with bare line feeds (SupportArticles, web-api-client-errors)."""
    return PayloadError("System.ArgumentException: Stream was not readable.")


def parts_of(body: bytes, boundary: str, *, outermost: bool = False) -> Iterator[Part]:
    """Splits a multipart body.

    Raises:
        ServiceError: A delimiter is missing, or lines end in line feeds and the body does not end in two of them.
    """
    delimiter = f"--{boundary}".encode()
    pieces = re.split(rb"(?:\A|\r?\n)" + re.escape(delimiter), body)
    if len(pieces) < 2:  # noqa: PLR2004 - the text before and after the first delimiter
        raise _unreadable()
    closing = pieces.pop()
    if not closing.startswith(b"--") or (outermost and not _is_ended(closing[2:], pieces)):
        raise _unreadable()
    for piece in pieces[1:]:
        begun = _LINE_END.match(piece)
        blank = _BLANK_LINE.search(piece)
        if begun is None or blank is None:
            raise _unreadable()
        yield Part(headers=_headers(piece[begun.end() : blank.start()]), content=piece[blank.end() :])


def _is_ended(rest: bytes, pieces: list[bytes]) -> bool:
    """Whether the service accepts the end of the body; `rest` follows the closing delimiter."""
    if rest.startswith(b"\r\n") or _BLANK_LINE.match(rest):
        return True
    return not rest.startswith(b"\n") and all(piece.startswith(b"\r\n") for piece in pieces[1:])


def _headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in _LINE_END.split(head):
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if not colon:
            raise _unreadable()
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def inner_request(part: Part) -> InnerRequest:
    """Reads the HTTP request in a part.

    Raises:
        ServiceError: The content is not an HTTP request.
    """
    content = part.content.lstrip(b"\r\n")
    blank = _BLANK_LINE.search(content)
    head = content[: blank.start()] if blank else content
    line, *rest = _LINE_END.split(head.strip(b"\r\n"), 1)
    match = _REQUEST_LINE.fullmatch(line.decode("utf-8", "replace").strip())
    if match is None:
        raise _unreadable()
    headers = _headers(rest[0]) if rest else {}
    body = content[blank.end() :].rstrip(b"\r\n") if blank else b""
    # Spaces are encoded, so that clients can follow links that are made from this URL.
    return InnerRequest(method=match[1], url=match[2].replace(" ", "%20"), headers=headers, body=body)


def written_part(boundary: str, response: Response, content_id: str | None = None) -> bytes:
    """Returns a part of an answer, with the delimiter before it."""
    lines = [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    head = "\r\n".join(lines).encode()
    return b"%s\r\n\r\n%s\r\n" % (head, response.body)
