"""Bodies of requests: bounded, unpacked, and read before the work begins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from console.web.refusals import Refusal
from console.web.unpacking import Unpacker, is_packed

__all__ = ["MOST_BYTES", "Body", "Upload", "read_body"]

MOST_BYTES: Final = 2_000_000
"""Bytes of a body, unless a route allows more: a definition has at most 1,000,000."""
_MOST_FIELDS: Final = 20_000
_MOST_FILES: Final = 4
_FORMS: Final = ("multipart/form-data", "application/x-www-form-urlencoded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file of a form."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What was sent.

    Attributes:
        raw: The bytes, unpacked; empty for a form.
        fields: Name -> values of the fields of a form, in the order in which they stand.
        files: Name -> the file of the form.
        form: The media type of a form; empty for every other body.
    """

    raw: bytes = field(default=b"", repr=False)
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    files: Mapping[str, Upload] = field(default_factory=dict, repr=False)
    form: str = ""

    def text(self, name: str, default: str = "") -> str:
        """The last value of a field."""
        return self.fields.get(name, (default,))[-1]

    def json(self) -> Any:
        """The JSON value that was sent.

        Raises:
            Refusal: It is none.
        """
        try:
            return json.loads(self.raw)
        except (ValueError, RecursionError):
            raise Refusal(400, "Not JSON", "The body of this request must be JSON.") from None


async def read_body(request: Request, most: int) -> Body:
    """Read a body, as a form where it says that it is one.

    Args:
        request: Its body was not read yet.
        most: Bytes that are read, and that it may have when it is unpacked.

    Raises:
        Refusal: It is too large, packed in another way than with gzip, or not what it says.
    """
    raw = await _bounded(request, most)
    form = next((each for each in _FORMS if request.headers.get("content-type", "").startswith(each)), "")
    if not form:
        return Body(raw=raw)
    request._body = raw  # noqa: SLF001 - Starlette keeps there what `body()` has read; `form()` reads it from there
    try:
        sent = await request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=most)
    except (HTTPException, MultiPartException, ValueError) as error:
        raise Refusal(400, "Not a form", "The form that was sent cannot be read.") from error
    fields: dict[str, list[str]] = {}
    files: dict[str, Upload] = {}
    for name, value in sent.multi_items():
        if isinstance(value, UploadFile):
            if value.filename:
                files[name] = Upload(name=value.filename, data=await value.read())
        else:
            fields.setdefault(name, []).append(value)
    await sent.close()
    return Body(fields={name: tuple(values) for name, values in fields.items()}, files=files, form=form)


async def _bounded(request: Request, most: int) -> bytes:
    unpacker = Unpacker(most) if is_packed(request.headers) else None
    length = request.headers.get("content-length", "0")
    parts, size, sent = [], 0, int(length) if length.isdecimal() else 0
    if sent <= most:
        sent = 0
        async for part in request.stream():
            sent += len(part)
            if sent > most:
                break
            parts.append(unpacker.add(part) if unpacker else part)
            size += len(parts[-1])
            if size > most:
                break
    if max(sent, size) > most:
        raise Refusal(413, "Too large", f"At most {most:,} bytes can be sent here{_ALSO if unpacker else ''}.")
    if unpacker:
        unpacker.end()
    return b"".join(parts)


_ALSO: Final = ", also counted when the body is unpacked"
