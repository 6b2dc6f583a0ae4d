"""The service's refusals, read and put into the error tree.

The service's codes are more precise than its statuses: 412 alone means a version conflict, a key that is taken and a
duplicate-detection rule. So the code decides, and the status where there is no code. A plug-in chooses the status of
its refusal itself (Microsoft: "PluginHttpStatusCode Enum"), so that says nothing about the service or its user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus

from shared.dataverse.changes import KEY_TAKEN, NO_CODE
from shared.dataverse.http.answers import UnexpectedAnswer, parsed
from shared.dataverse.http.batch_requests import decoded
from shared.errors import AbortRun, RequestRefused
from shared.http.retry import Trouble, retry_after
from shared.http.transport import Response
from shared.redaction import cleaned

__all__ = [
    "CONCURRENCY_CODE",
    "FIRST_REFUSAL",
    "Conflict",
    "Refusal",
    "conflict",
    "error_of",
    "in_trouble",
    "refusal",
    "trouble",
    "troubled_part",
]

CONCURRENCY_CODE = "0x80072326"  # requests at the same time: enforced at once

DEADLOCK_CODE = "0x80044150"  # generic SQL error, among them 1205 (deadlock) and database failover
TIMEOUT_CODE = "0x80044151"  # SQL timeout: a smaller request may pass
_ROLLED_BACK = frozenset({DEADLOCK_CODE, TIMEOUT_CODE, "0x80040255", "0x80040251"})

# A plug-in has thrown an error: IsvUnExpected, IsvAborted, and one code for each status that it can choose, from
# IsvAbortedNotFound to IsvAbortedRequestEntityTooLarge.
_PLUG_IN_CODES = frozenset({"0x80040224", "0x80040265", *(f"0x80048d{number:02x}" for number in range(0x02, 0x12))})
_PRIVILEGE_CODES = frozenset({"0x80040220", "0x80040299", "0x80048306"})
# About the application user itself: no privilege would help (Microsoft: "Web service error codes").
_NOT_A_MEMBER = frozenset({"0x80072560"})
_DISABLED = frozenset({"0x80040225"})
_NOT_A_MEMBER_TEXT = re.compile(r"not a member of the organi[sz]ation", re.IGNORECASE)
_DISABLED_TEXT = re.compile(r"\buser\b.{0,80}\b(?:is|has been) (?:either )?disabled", re.IGNORECASE)
_NO_SUCH_RESOURCE = frozenset({"0x8006088a", "0x80060888", ""})

FIRST_REFUSAL = 300
_SERVER_ERROR = 500
_GATEWAY = frozenset({502, 503, 504})

_COLUMN = (
    re.compile(r"[Tt]he '(\w+)' attribute"),
    re.compile(r"value (?:\S+ )?of '(\w+)' on record"),
    re.compile(r"property (?:named )?'(\w+)'"),
    re.compile(r"[Aa]ttribute(?: with name)?:? '?(\w+)'? "),
    re.compile(r"'(\w+)' (?:is required|cannot be null)"),
)
_ID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_PRIVILEGE = re.compile(r"\bprv[A-Z]\w+")
_LONGEST_MESSAGE = 1000
_LONGEST_CODE = 60  # most have ten characters; some are names


class Conflict(StrEnum):
    """What a 412 is about."""

    KEY_TAKEN = "key taken"  # another record has these key values
    VERSION = "version"  # the record has changed since it was read
    RULE = "duplicate rule"  # a duplicate-detection rule found a likeness
    PRECONDITION = "precondition"  # without a code


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What the service answered instead of doing it.

    Attributes:
        code: As the body has it, in lower case; empty when there was none.
        message: The service's own message, shortened if it is long.
        column: Logical name of the column that caused it, if the message names one.
        spoken: The body was the service's error object, so the service itself answered, not a gateway before it.
    """

    status: int
    code: str
    message: str
    column: str = ""
    spoken: bool = True

    @property
    def by_plug_in(self) -> bool:
        """Whether a plug-in has refused the row, whatever the status is."""
        return self.code in _PLUG_IN_CODES

    def may_be_about(self, *ids: str) -> bool:
        """Whether it may be about one of these records: it names none, or one of these.

        A plug-in, or a rule of the service that acts on other records too, passes on what it was answered about those.
        """
        named = {each.lower() for each in _ID.findall(self.message)}
        return not named or not named.isdisjoint(each.lower() for each in ids)

    def __str__(self) -> str:
        """Code and message, as a person wants to read them."""
        return f"{self.code}: {self.message}" if self.code not in {"", NO_CODE} else self.message


def refusal(response: Response) -> Refusal:
    """Read the error object of an answer; an answer without one is described by its status.

    Secrets that the service repeats are taken out first: a text that is cut afterwards could hold half of one.
    """
    told = Refusal(status=response.status, code="", message=f"HTTP {response.status}", spoken=False)
    try:
        error = parsed(response.body, "a request").member("error")
        code, message = (cleaned(str(error.member(name).value or "")) for name in ("code", "message"))
    except UnexpectedAnswer:
        return told
    message = " ".join(message.split())[:_LONGEST_MESSAGE]
    return Refusal(
        status=response.status,
        code=code.lower()[:_LONGEST_CODE],
        message=message or told.message,
        column=_column(message),
    )


def _column(message: str) -> str:
    for expression in _COLUMN:
        if found := expression.search(message):
            return found[1]
    return ""


def trouble(response: Response, refused: Refusal) -> Trouble | None:
    """The kind of trouble that an answer means; None if it is a final success or refusal.

    A 502 or 504, and a 503 without an error of the service and without `Retry-After`, come from a gateway
    that may have passed the request on: the answer is lost, not negative. So is any other fault of a server that does
    not speak as the service does, and its 408 (too slow) is like a 504. With an error of the service, 408 and 425 are
    statuses that a plug-in has chosen for its refusal.
    """
    if response.status == 429:  # noqa: PLR2004 - the status is the name
        return Trouble.THROTTLED
    if refused.code in _ROLLED_BACK:
        return Trouble.DATABASE
    if response.status in _GATEWAY:
        refused_early = response.status == 503 and (refused.spoken or "retry-after" in response.headers)  # noqa: PLR2004
        return Trouble.UNAVAILABLE if refused_early else Trouble.LOST
    if refused.spoken:
        return None
    if response.status == HTTPStatus.TOO_EARLY:
        return Trouble.UNAVAILABLE
    return Trouble.LOST if response.status >= _SERVER_ERROR or response.status == HTTPStatus.REQUEST_TIMEOUT else None


def in_trouble(answer: Response) -> bool:
    """Whether another try of a request that only reads may get another answer than this one."""
    if answer.status < FIRST_REFUSAL:
        return False
    return answer.status >= _SERVER_ERROR or trouble(answer, refusal(answer)) is not None


def troubled_part(response: Response, met: Trouble | None, now: datetime) -> Response:
    """The answer that says what the trouble is and how long to wait: of a `$batch` one of its parts, otherwise itself.

    Args:
        response: What came back for a request.
        met: The trouble, as it was found in the answer; None for none.
        now: By the clock of this machine.

    Returns:
        Of several such parts the one that asks for the longest wait, with the headers of the whole where it has none.
    """
    if met is None or response.status >= FIRST_REFUSAL:
        return response
    try:
        every = [part for part in decoded(response) if in_trouble(part)]
    except ValueError:
        return response
    parts = [part for part in every if trouble(part, refusal(part)) is met] or every
    whole = [replace(part, headers={**response.headers, **part.headers}) for part in parts]
    return max(whole, key=lambda part: retry_after(part.headers, now) or 0.0, default=response)


def conflict(refused: Refusal) -> Conflict | None:
    """What a refusal is in conflict with; None when it is about something else."""
    if refused.code in KEY_TAKEN:
        return Conflict.KEY_TAKEN
    match refused.code:
        case "0x80040333":
            return Conflict.RULE
        case "0x80060882":
            return Conflict.VERSION
    return Conflict.PRECONDITION if refused.status == 412 else None  # noqa: PLR2004


def ends_run(refused: Refusal) -> bool:
    """Whether no other request of this kind could succeed either: credentials, privilege, table or URL."""
    if refused.by_plug_in:
        return False
    match refused.status:
        case 301 | 302 | 303 | 307 | 308 | 401:
            return True  # a redirect leads to a page for people, never to the Web API
        case 403:
            if _is_about_the_user(refused):
                return True
            # An access check (0x80048306) may be about one record; a privilege by name is about the whole table.
            return bool(_PRIVILEGE.search(refused.message)) or refused.code not in _PRIVILEGE_CODES
        case 404:
            return refused.code in _NO_SUCH_RESOURCE or not refused.spoken
    return False


def _is_about_the_user(refused: Refusal) -> bool:
    return bool(_user_trouble(refused))


def _user_trouble(refused: Refusal) -> str:
    """What is wrong with the application user itself, and what to do; empty where a privilege is what it lacks.

    Some messages name both, such as a user that is disabled or has no licence: the code decides where it can.
    """
    if refused.code in _NOT_A_MEMBER or _NOT_A_MEMBER_TEXT.search(refused.message):
        return (
            "this environment has no application user for the application, or no user with the id of options.run_as: "
            "add one (Power Platform admin center, environment, Settings, Application users) and give it a security "
            "role, or correct client_id, service_url or options.run_as"
        )
    if refused.code in _DISABLED or _DISABLED_TEXT.search(refused.message):
        return (
            "the application user of this environment, or the user of options.run_as, is disabled or has no business "
            "unit: enable it (Power Platform admin center, environment, Settings, Application users)"
        )
    return ""


def error_of(refused: Refusal, *, table: str, doing: str) -> AbortRun | RequestRefused:
    """The refusal as an error of the tree.

    Args:
        refused: The refusal of the service.
        table: Logical name of the table, for the message.
        doing: What was tried, such as ``create`` or ``read``.
    """
    if not ends_run(refused):
        return RequestRefused(refused.message, status=refused.status, code=refused.code, column=refused.column)
    match refused.status:
        case 401:
            return AbortRun(
                "the service refuses the token: check that the application is registered as an application user of "
                f"this environment ({refused})"
            )
        case 403 if said := _user_trouble(refused):
            return AbortRun(f"{said}. ({refused})")
        case 403:
            found = _PRIVILEGE.search(refused.message)
            needs = f"it needs {found[0]}" if found else "a privilege is missing"
            return AbortRun(f"the application user may not {doing} {table} records: {needs}. ({refused})")
    return AbortRun(
        f"the service does not have this address: check service_url, the API version in it, and the table {table}. "
        f"({refused})"
    )
