"""Dead letters as a person may see them: bounded, and with values only for whoever may read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.state import DeadLetter
from shared.views.dead_letters import in_lines, short_id
from shared.visible import for_terminal

__all__ = ["EDITABLE", "RefusedText", "ShownBody", "ShownLetter", "body_of", "shown_letter"]

EDITABLE: Final = 200_000
"""Bytes of a body that can be edited on a page."""
_MOST_TEXT: Final = 100_000  # characters that are shown of a body that is not edited
_MOST_HEX: Final = 4_096  # bytes
_HEX_LINE: Final = 32  # bytes
_MOST_OF_A_PROPERTY: Final = 2_000  # characters
_MOST_PROPERTIES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBody:
    """The body of an event.

    Attributes:
        text: JSON in lines where these can be sent too, other text as it came, bytes that are no text as hexadecimal
            numbers.
        size: Bytes of the body.
        is_text: Whether `text` is text.
        is_cut: Whether there is more than is shown.
        editable: Whether `text` can be sent in the place of the body.
    """

    text: str
    size: int
    is_text: bool
    is_cut: bool
    editable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLetter:
    """One event that could not be applied.

    Attributes:
        short: The first characters of its digest, as the command line takes them.
        place: Event hub, partition and sequence number.
        key: Its key; None for a person who may not see values.
        properties: Name -> value; None likewise.
        body: Likewise.
    """

    id: str
    short: str
    sync: str
    error: str
    message: str
    place: str
    tries: int
    kept: datetime
    enqueued: datetime | None
    key: str | None
    properties: Mapping[str, str] | None
    body: ShownBody | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedText:
    """Another text for the body of a letter, which was refused: it is kept nowhere but in the form.

    Attributes:
        text: As it was sent.
        error: What kind of error it is.
        reason: Why it was refused.
        status: HTTP status of the answer.
    """

    text: str
    error: str
    reason: str
    status: int


def shown_letter(letter: DeadLetter, *, values: bool) -> ShownLetter:
    """A letter for a person.

    Args:
        letter: From the store.
        values: Whether the person may see values of rows.
    """
    hub = str(letter.system.get("hub") or "")
    of_hub = f"{hub}, " if hub else ""
    return ShownLetter(
        id=letter.id,
        short=short_id(letter.id),
        sync=letter.sync,
        error=for_terminal(" ".join(filter(None, (letter.error, letter.code)))),
        message=for_terminal(letter.message),
        place=for_terminal(f"{of_hub}partition {letter.partition}, sequence number {letter.sequence}"),
        tries=letter.tries,
        kept=letter.kept,
        enqueued=letter.enqueued,
        key=for_terminal(str(letter.system.get("key") or "")) if values else None,
        properties=_properties(letter.properties) if values else None,
        body=body_of(letter) if values else None,
    )


def _properties(properties: Mapping[str, Any]) -> dict[str, str]:
    first = list(properties.items())[:_MOST_PROPERTIES]
    return {for_terminal(str(name)): for_terminal(str(value)[:_MOST_OF_A_PROPERTY]) for name, value in first}


def body_of(letter: DeadLetter) -> ShownBody:
    """The body of a letter, as much of it as a page can show."""
    size, encoded = len(letter.body), bool(letter.system.get("content_encoding"))
    text = None if encoded else _text(letter.body)
    if text is None:
        part = letter.body[:_MOST_HEX]
        lines = (part[at : at + _HEX_LINE].hex(" ") for at in range(0, len(part), _HEX_LINE))
        return ShownBody(text="\n".join(lines), size=size, is_text=False, is_cut=size > _MOST_HEX, editable=False)
    if size <= EDITABLE:
        return ShownBody(text=_editable(text), size=size, is_text=True, is_cut=False, editable=True)
    return ShownBody(text=text[:_MOST_TEXT], size=size, is_text=True, is_cut=len(text) > _MOST_TEXT, editable=False)


def _text(body: bytes) -> str | None:
    """The body as text that a form gives back as it is; None where it is no such text."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if for_terminal(text.replace("\r\n", "\n")) == text.replace("\r\n", "\n") else None


def _editable(text: str) -> str:
    """The text of a field: JSON in lines, as long as that can be sent too."""
    lines = in_lines(text)
    return lines if len(lines.encode()) <= EDITABLE else text
