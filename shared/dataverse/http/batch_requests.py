"""`$batch` in its multipart form: requests in, answers out, in the same order. Pure.

Microsoft: "Execute batch operations using the Web API". Every line ends in CRLF, the last one too: without it
the service answers 400 "Stream was not readable".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.http.transport import Response

__all__ = ["MOST_PARTS", "BatchPart", "decoded", "encoded"]

MOST_PARTS = 1000  # more are refused
_LINE = b"\r\n"
_STATUS_LINE = re.compile(r"HTTP/[0-9.]+ ([1-5][0-9][0-9])(?: |$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPart:
    """One request inside a batch.

    Attributes:
        path: Relative to the host, such as ``/api/data/v9.2/accounts(...)``; up to 65,536 characters.
        headers: Optional headers of the service belong here, on the inner request.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


def encoded(parts: Iterable[BatchPart], boundary: str) -> bytes:
    """The body of a batch whose `Content-Type` is ``multipart/mixed; boundary="<boundary>"``."""
    pieces: list[bytes] = []
    for number, part in enumerate(parts, 1):
        head = [
            f"--{boundary}",
            "Content-Type: application/http",
            "Content-Transfer-Encoding: binary",
            f"Content-ID: {number}",
            "",
            f"{part.method} {part.path} HTTP/1.1",
            "Accept: application/json",
            *(f"{name}: {value}" for name, value in part.headers.items()),
        ]
        if part.body is not None:
            head.append("Content-Type: application/json; type=entry")
        pieces += ["\r\n".join(head).encode(), _LINE * 2, part.body or b"", _LINE]
    pieces += [f"--{boundary}--".encode(), _LINE]
    return b"".join(pieces)


def decoded(response: Response) -> Sequence[Response]:
    """The inner answers, in the order of the requests.

    Raises:
        ValueError: The body is not a multipart answer, or ends too early.
    """
    found = re.search(r'boundary="?([^";]+)"?', response.headers.get("content-type", ""))
    if found is None:
        raise ValueError("the answer to a batch has no boundary")
    delimiter = b"--" + found[1].encode()
    _, *parts = response.body.split(delimiter)
    if not parts or not parts[-1].startswith(b"--"):
        raise ValueError("the answer to a batch ends before its closing boundary")
    return [_answer(part) for part in parts[:-1]]


def _answer(part: bytes) -> Response:
    _, _, http = part.lstrip(_LINE).partition(_LINE * 2)
    head, _, body = http.partition(_LINE * 2)
    status_line, *lines = head.decode("utf-8", errors="replace").split("\r\n")
    status = _STATUS_LINE.match(status_line)
    if status is None:
        raise ValueError("a part of a batch is not an HTTP answer")
    fields = (line.partition(":") for line in lines if line)
    return Response(
        status=int(status[1]),
        headers={name.strip().lower(): value.strip() for name, _, value in fields},
        body=body.removesuffix(_LINE),
    )
