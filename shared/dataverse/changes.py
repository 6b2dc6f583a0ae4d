"""What the writer takes and what it gives back: changes, limits and outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

__all__ = [
    "KEY_TAKEN",
    "LOOPS",
    "NO_CODE",
    "NO_LIMITS",
    "OTHER_VERSION",
    "PRECONDITION_FAILED",
    "Applied",
    "Change",
    "ChangeAction",
    "Failed",
    "Outcome",
    "Skipped",
    "WriteLimits",
]

# Another record has these values of an alternate key, or this id. The service uses both codes for both.
KEY_TAKEN: Final = frozenset({"0x80060892", "0x80040237"})

LOOPS: Final = frozenset({"0x80040507", "0x8004050a", "0x80041d21", "0x80041d25", "0x80043e01", "0x80045908"})
"""A record would be its own ancestor: of accounts, contacts, business units, users, subjects and other tables."""

NO_CODE: Final = "0x0"
"""What the service writes where it has no code for an error; people are not shown it."""

OTHER_VERSION: Final = "0x80060882"
"""The record has another version than the one that the change names; from a gateway the answer has no code."""

PRECONDITION_FAILED: Final = 412


class ChangeAction(StrEnum):
    """What is to be done to a record, under the names of the `changes` table; the last three are made for others."""

    INSERT = "insert"
    UPDATE = "update"
    EXPIRE = "expire"
    DEACTIVATE = "deactivate"
    MARK = "mark"
    REACTIVATE = "reactivate"
    UPSERT = "upsert"
    DELETE = "delete"
    ASSOCIATE = "associate"  # of a link: it exists afterwards, whether it did before or not
    RESTORE = "restore"  # of a deleted record that the recycle bin has: it is there again with its values
    DISASSOCIATE = "disassociate"  # of a link: it does not exist afterwards


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
        on_create: What an upsert adds to the payload if the record is new. A JSON object; empty for nothing. With it
            the record is looked up first.
        version: The ETag that the record of an update or delete must still have; empty for any.
    """

    number: int
    action: ChangeAction
    id: str | None = None
    key: str = ""
    payload: str = "{}"
    columns: str = ""
    later: str = ""
    on_create: str = ""
    version: str = ""


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
    """The service refused this change finally; nothing of it was written, unless the message or `sent` says otherwise.

    Attributes:
        id: The record's id where a first request has written it and a second one was refused.
        sent: A request was sent before, and it is not known whether the service has carried it out.
    """

    number: int
    status: int
    code: str
    message: str
    column: str = ""
    id: str | None = None
    sent: bool = False

    @property
    def edited(self) -> bool:
        """Whether the record was changed since it was read: only a change that names a version is refused for that."""
        return self.status == PRECONDITION_FAILED and self.code in {OTHER_VERSION, ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """The change was not made to its end, for a reason outside it: `deadline`, `cancelled`, ...

    Attributes:
        id: The record's id where a first request has written it and a second one was not sent.
        sent: A request of the change was sent, and it is not known whether the service has carried it out.
    """

    number: int
    reason: str
    id: str | None = None
    sent: bool = False


Outcome = Applied | Failed | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLimits:
    """What ends a write early.

    Attributes:
        deadline: Moment of the clock's `monotonic`, in seconds; no request is sent that is not expected to be answered
            before. None for no limit.
        max_errors: More failures than this stop the rest; None for no limit.
        cancelled: Asked about twice a second; True stops the rest.
        adopting: An insert whose key is taken is no error yet: the caller looks for the record that has the key.
    """

    deadline: float | None = None
    max_errors: int | None = None
    cancelled: Callable[[], bool] = lambda: False
    adopting: bool = False

    def counts(self, outcome: Outcome, change: Change) -> bool:
        """Whether an outcome is one of the errors that are limited."""
        if not isinstance(outcome, Failed):
            return False
        if change.version and outcome.edited:
            return False
        return not (self.adopting and change.action is ChangeAction.INSERT and outcome.code in KEY_TAKEN)

    def after(self, errors: int) -> WriteLimits:
        """The limits of what follows on so many errors."""
        return self if self.max_errors is None else replace(self, max_errors=self.max_errors - errors)

    def too_many(self, errors: int) -> str:
        """Why so many errors stop the rest; empty where they do not."""
        most = self.max_errors
        return f"stopped after more than {most} errors" if most is not None and errors > most else ""

    def reason_to_stop(self, *, errors: int, now: float, needed: float) -> str:
        """Why nothing more may be sent; empty where it may.

        Args:
            errors: How many there were.
            now: Moment of the clock's `monotonic`.
            needed: Seconds until what is sent next is expected to be answered.
        """
        if reason := self.too_many(errors):
            return reason
        if self.cancelled():
            return "cancelled"
        return "deadline" if self.deadline is not None and self.deadline - now <= needed else ""


NO_LIMITS: Final = WriteLimits()
