"""The one error tree, ordered by what the caller does next, not by where the error came from.

```
SyncError
├── UserError            the definition, the settings or the data is wrong: tell the user where; no traceback
│   ├── DefinitionError    one or more problems, each with file, line, column and path
│   ├── NoRoomError        a file of the workspace cannot be written: neither the source nor the target is the cause
│   └── PlanRefusedError   the plan is not applied, nothing was written
│       ├── UnsafePlanError   it breaks a safety limit: numbers, limit, and what overrides it
│       ├── StalePlanError    it is not the plan that was approved: source, target or definition changed
│       └── UsedPlanError     it is a saved plan that a run has applied already
├── RetryLater           the service is not available now: has retry_after in seconds
├── AnswerLost           sent, no answer: the server may have acted; never blindly repeated
├── RequestRefused       the server answered no for this row or chunk: status, code, message, column where known
└── AbortRun             no point in going on: credentials, privilege, missing table, host not allowed
    └── StoreRefusedError   the state store refuses this identity: no definition and no job is the cause
```

A message names the problem and the solution. It never contains a secret or a whole record: secrets that an answer of
the other side repeats are replaced here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.redaction import cleaned

__all__ = [
    "SDK_MISREADS",
    "AbortRun",
    "AnswerLost",
    "DefinitionError",
    "NoRoomError",
    "PlanRefusedError",
    "Problem",
    "RequestRefused",
    "RequestsLeft",
    "RetryLater",
    "SourceUnavailableError",
    "StalePlanError",
    "StoreRefusedError",
    "SyncError",
    "UnsafePlanError",
    "UsedPlanError",
    "UserError",
    "first_line",
]


# What a library of another maker raises over an answer whose shape it did not expect.
SDK_MISREADS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def first_line(error: Exception) -> str:
    """The first line of what such a library says, without the full stop; if it says nothing, the kind of the error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


class RequestsLeft(KeyboardInterrupt):
    """A person has stopped the program without waiting for requests under way, which may still write."""


class SyncError(Exception):
    """The root: every error that this program raises on purpose."""

    def __init__(self, message: str) -> None:
        self.message = cleaned(message)
        super().__init__(self.message)

    def say_too(self, more: str) -> None:
        """Add to the message what somebody knows who only passes the error on."""
        self.message = f"{self.message}; {more}"
        self.args = (self.message, *self.args[1:])


class UserError(SyncError):
    """A problem that a user can solve: one message, without a traceback."""


class SourceUnavailableError(UserError):
    """A database or a storage of files does not answer, or takes no requests now; a job is tried again later."""


class NoRoomError(UserError):
    """A file in the temporary folder of a workspace cannot be written, such as on a full disk; no data is the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in what a user wrote.

    Attributes:
        message: What is wrong and what to do about it; ends without a full stop.
        file: The file's path or URL as the user gave it; empty where the text came from elsewhere.
        line: 1-based line, 0 where unknown.
        column: 1-based column, 0 where unknown.
        path: Where in the document, such as ``destination.mappings[3].target``.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def __post_init__(self) -> None:
        """Take secrets out of the message."""
        object.__setattr__(self, "message", cleaned(self.message))

    def __str__(self) -> str:
        """Render as ``file:line:column: path: message``, leaving out what is unknown."""
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        return ": ".join(part for part in (place, self.path, self.message) if part)


class DefinitionError(UserError):
    """A definition holds mistakes: all of them, each with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class PlanRefusedError(UserError):
    """The plan is not applied; nothing was written."""


class UnsafePlanError(PlanRefusedError):
    """The plan would change more than its limits allow."""


class StalePlanError(PlanRefusedError):
    """The plan is not the one that was approved."""


class UsedPlanError(PlanRefusedError):
    """The saved plan has been applied already."""


class RetryLater(SyncError):  # noqa: N818 - the name is what to do next
    """The other side asked to come back later.

    Attributes:
        retry_after: Seconds to wait before the next try.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AnswerLost(SyncError):  # noqa: N818 - the name is what happened
    """A request was sent and no answer came: the server may have acted on it."""


class RequestRefused(SyncError):  # noqa: N818 - the name is what happened
    """The server refused the request.

    Attributes:
        status: HTTP status.
        code: The service's error code as text, such as ``0x80040217``; empty when it gave none.
        column: Logical name of the column that caused it, if the service names one.
    """

    def __init__(self, message: str, *, status: int, code: str = "", column: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.column = column


class AbortRun(SyncError):  # noqa: N818 - the name is what to do next
    """Nothing in this run can succeed: credentials, privilege, missing table, host not allowed.

    Attributes:
        path: The key of the definition that names what is missing; empty where no key does.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class StoreRefusedError(AbortRun):
    """The state store refuses this identity, as while its roles are given anew; a job is tried again later."""
