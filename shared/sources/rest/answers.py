"""Answers of an API: what each status means, and the text of a good answer."""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator
from http import HTTPStatus
from pathlib import Path
from typing import Final

from shared.definitions.models.sources.text import codec_name
from shared.errors import UserError
from shared.http.transport import Response
from shared.redaction import cleaned
from shared.sources.files import BLOCK

__all__ = ["beginning_of_answer", "shown_answer", "text_of_answer"]

# 203: a proxy changed the answer. 206: what services answer whose pages are ranges.
_GOOD: Final = frozenset({HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION, HTTPStatus.PARTIAL_CONTENT})
_EMPTY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})
_BLANK: Final = " \t\r\n"  # RFC 8259, section 2
_NULL: Final = "null"  # a list without records
_MOST_READ: Final = 4096  # bytes of a refusal, and of the blanks at a time
_MOST_SHOWN: Final = 200  # characters of it
_USUAL: Final = "utf-8"
_CHARSET: Final = re.compile(r";\s*charset\s*=\s*\"?([^\s\";]+)", re.IGNORECASE)
_WHAT_TO_DO: Final = {
    HTTPStatus.BAD_REQUEST: "check url, headers, body and pagination",
    HTTPStatus.UNAUTHORIZED: "check auth and the secrets in it and in headers",
    HTTPStatus.FORBIDDEN: "the account of auth may not read this, or a key or scope is missing",
    HTTPStatus.NOT_FOUND: "check url",
    HTTPStatus.METHOD_NOT_ALLOWED: "check method",
}


def beginning_of_answer(answer: Response, file: Path, place: str) -> str:
    """The first characters of an answer behind its blanks; empty for one that says that there is nothing.

    A service may send blanks for as long as it makes its answer, to keep the connection open.

    Args:
        answer: Status and headers.
        file: The body.
        place: The request as messages show it.

    Raises:
        UserError: The request was refused, or the answer is not what was asked for.
    """
    if answer.status in _EMPTY:
        return ""
    if answer.status not in _GOOD:
        raise UserError(_refusal(answer, file, place))
    begun = _beginning(answer, file, place)
    if not begun:
        raise UserError(
            f"{place} answered {answer.status} without a body; a service that has no records says so in JSON"
        )
    if begun.rstrip(_BLANK) == _NULL:
        return ""
    if begun.startswith("<"):
        raise UserError(
            f"{place} answered with HTML or XML and not with JSON: check url and auth, for example whether a page for "
            f"people to sign in answers"
        )
    return begun


def _beginning(answer: Response, file: Path, place: str) -> str:
    """Up to where it is known whether the text is more than `null`; what is not in its encoding is told later."""
    decoder, begun = _decoder(_charset(answer), place, errors="replace"), ""
    with file.open("rb") as stream:
        while len(begun.rstrip(_BLANK)) <= len(_NULL) and (block := stream.read(_MOST_READ)):
            begun = (begun + decoder.decode(block)).lstrip(_BLANK)
            known = begun.rstrip(_BLANK)
            begun = begun[: len(known) + 1]  # one blank is enough to tell `null x` from `nullx`
    return begun


def _charset(answer: Response) -> str | None:
    """What the header `Content-Type` names; None where it names nothing."""
    found = _CHARSET.search(answer.headers.get("content-type", ""))
    return found[1] if found else None


def text_of_answer(answer: Response, file: Path, place: str) -> Generator[str, None, None]:
    """Yield the text of an answer in blocks: UTF-8, or what its `Content-Type` names.

    Raises:
        UserError: The encoding is not known, or the text is not in it.
    """
    named = _charset(answer)
    decoder = _decoder(named, place)
    read = 0
    with file.open("rb") as stream:
        try:
            while block := stream.read(BLOCK):
                yield decoder.decode(block)
                read += len(block)
            yield decoder.decode(b"", final=True)
        except UnicodeError as error:
            told = f"says {named}" if named else "names no charset"
            raise UserError(
                f"{place} answered with text that is not {named or _USUAL} (behind byte {read:,}); its header "
                f"Content-Type {told}. The service has to answer in UTF-8, or to name its charset"
            ) from error


def _decoder(named: str | None, place: str, errors: str = "strict") -> codecs.IncrementalDecoder:
    try:
        name = codec_name(named or _USUAL)
    except ValueError:
        raise UserError(f"{place} answered with an unknown charset in its header Content-Type") from None
    return codecs.getincrementaldecoder("utf-8-sig" if name == "utf-8" else name)(errors)


def _is_markup(first: bytes) -> bool:
    return first.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")


def _refusal(answer: Response, file: Path, place: str) -> str:
    """The refusal in one sentence."""
    with file.open("rb") as stream:
        first = stream.read(_MOST_READ)
    remedy = next((text for code, text in _WHAT_TO_DO.items() if code == answer.status), "check url")
    return f"{place} answered {shown_answer(answer.status, first)}: {remedy}"


def shown_answer(status: int, body: bytes) -> str:
    """A status with the start of the service's own words; secrets are taken out before the cut."""
    first = body[:_MOST_READ]
    words = "" if _is_markup(first) else " ".join(cleaned(first.decode("utf-8", errors="replace")).split())
    try:
        named = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        named = str(status)
    return named + (f" ({words[:_MOST_SHOWN]})" if words else "")
