"""What the writer takes and what it gives back: changes and their outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["KEY_TAKEN", "Applied", "Change", "ChangeAction", "Failed", "Outcome", "Skipped"]

# Another record has these values of an alternate key, or this id. The service uses both codes for both.
KEY_TAKEN: Final = frozenset({"0x80060892", "0x80040237"})


class ChangeAction(StrEnum):
    """What is to be done to a record, under the names of the `changes` table."""

    INSERT = "insert"
    UPDATE = "update"
    EXPIRE = "expire"
    UPSERT = "upsert"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One write.

    Attributes:
        number: Names the change in its outcome; unique within one call.
        id: The record's id where it is known; for an insert the id to give it, or None to let the service choose.
        key: JSON object of the sync key's columns and values; may be empty when `id` is given.
        payload: JSON object text as the Web API takes it, without the id.
        columns: Names of the columns sent, joined by commas.
        later: What is written once the record is there, as a second request: what the service does not take from a
            create. A JSON object like `payload`; empty for nothing. The change has one outcome, after both.
    """

    number: int
    action: ChangeAction
    id: str | None = None
    key: str = ""
    payload: str = "{}"
    columns: str = ""
    later: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The record is now as the change wants it.

    Attributes:
        id: The record's id, None where the service does not tell.
        created: Whether the record is new; None where the service does not tell.
    """

    number: int
    id: str | None = None
    created: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The service refused this change for good; nothing of it was written, unless it says so.

    Attributes:
        id: The record's id where a first request has written it and a second one was refused.
    """

    number: int
    status: int
    code: str
    message: str
    column: str = ""
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """The change was not made, for a reason that lies outside it: `deadline`, `cancelled`, ..."""

    number: int
    reason: str


Outcome = Applied | Failed | Skipped
