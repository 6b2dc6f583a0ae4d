"""When to try again: a pure function of what failed, how often, and how much time is left.

It checks, in this order: whether the server may have processed the request, whether a second try is safe, how long the
service asked to wait, and whether there is enough time left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

__all__ = [
    "FIRST_CONTACT_ATTEMPTS",
    "RETRY_POLICY",
    "FailedTry",
    "RetryPolicy",
    "Trouble",
    "date_in",
    "delay",
    "number_in",
    "retry_after",
]


class Trouble(StrEnum):
    """What kept a request from an answer that settles it."""

    UNSENT = "unsent"  # never reached the server
    LOST = "lost"  # sent, and the answer is not known
    THROTTLED = "throttled"  # 429: the service protection limits
    UNAVAILABLE = "unavailable"  # 502, 503, 504: the service is not available
    DATABASE = "database"  # deadlock, failover, rolled back elsewhere: undone, and worth another try


_MAY_HAVE_ACTED = frozenset({Trouble.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long to keep trying.

    Attributes:
        attempts: Tries of one request that end in trouble before giving up; being throttled does not count, since the
            service itself gives the time of the next try.
        throttles: Tries of one request that are throttled before giving up.
        base: Seconds before the second try; doubled for each further one.
        longest: Most seconds between two tries, unless the service asks for more.
        seconds: Most seconds for one request with trouble, including its tries and the waits between them.
    """

    attempts: int = 7
    throttles: int = 60
    base: float = 0.5
    longest: float = 60.0
    seconds: float = float("inf")


RETRY_POLICY = RetryPolicy()
# The longest wait that the service asks for and that a run itself waits. Service protection limits look back over five
# minutes, so an hour is more than they need; a longer wait is left to the schedule.
LONGEST_ASKED = 3600.0
LONGEST_TOLD = 86_400.0  # the longest wait that is passed to the caller: a date in another century is an error
# No answer so far: a wrong URL is more likely than a temporary problem, so it is reported soon.
FIRST_CONTACT_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTry:
    """One try that ended in trouble.

    Attributes:
        attempt: Counted from 1, among tries of this request that met this kind of trouble.
        repeatable: Processing the request twice is safe.
        asked: Seconds that the service asked to wait, None when it did not.
        spent: Seconds since the request was first sent.
        left: Seconds until the deadline, None without one.
    """

    trouble: Trouble
    attempt: int
    repeatable: bool
    asked: float | None = None
    spent: float = 0.0
    left: float | None = None


def delay(failed: FailedTry, retry_policy: RetryPolicy = RETRY_POLICY, *, jitter: float = 0.5) -> float | None:
    """Seconds to wait before the next try, or None to give up.

    Args:
        failed: The try that failed.
        retry_policy: Limits and pace.
        jitter: A number in [0, 1] that spreads the tries of many clients; drawn by the caller.
    """
    if failed.trouble in _MAY_HAVE_ACTED and not failed.repeatable:
        return None
    most = retry_policy.throttles if failed.trouble is Trouble.THROTTLED else retry_policy.attempts
    if failed.attempt >= most:
        return None
    wait = failed.asked
    if wait is not None and wait > LONGEST_ASKED:
        return None
    if wait is None:
        wait = min(retry_policy.base * 2 ** (failed.attempt - 1), retry_policy.longest) * (0.5 + jitter / 2)
    left = retry_policy.seconds - failed.spent
    if failed.left is not None:
        left = min(left, failed.left)
    return None if wait >= left else wait


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or an HTTP date (RFC 9110, 10.2.3); a day at most.

    Args:
        headers: Of the answer. A date is compared with its own `Date` where it has one: the clocks may differ.
        now: By the clock of this machine.

    Returns:
        None where no wait is asked for: without the header, for any other text, and for no time at all or a moment
        that has passed. A request that is repeated at once, as often as it may be, would soon be given up.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    seconds = number_in(text)
    if seconds is None:
        when = date_in(text)
        if when is None:
            return None
        seconds = (when - (date_in(headers.get("date", "")) or now)).total_seconds()
    return min(seconds, LONGEST_TOLD) if seconds > 0 else None


def date_in(text: str) -> datetime | None:
    """A moment in a header, written as an HTTP date (RFC 9110, 5.6.7); None for other text."""
    try:
        when = parsedate_to_datetime(text)
        return when.replace(tzinfo=when.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):  # dates that do not exist raise all of them
        return None


def number_in(text: str) -> float | None:
    """A number in a header of the service, such as ``1,200.00`` with thousands separators; None for other text."""
    plain = text.strip().replace(",", "")
    return float(plain) if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", plain) else None
