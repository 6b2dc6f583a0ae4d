"""The retry decision, question by question."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from shared.http.retry import FailedTry, RetryPolicy, Trouble, delay, number_in, retry_after

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def test_a_lost_answer_is_repeated_only_for_idempotent_requests() -> None:
    """Could the server have acted, and would acting twice matter?"""
    assert delay(FailedTry(trouble=Trouble.LOST, attempt=1, repeatable=False)) is None
    assert delay(FailedTry(trouble=Trouble.LOST, attempt=1, repeatable=True)) is not None


@pytest.mark.parametrize("trouble", [Trouble.UNSENT, Trouble.THROTTLED, Trouble.UNAVAILABLE, Trouble.DATABASE])
def test_what_the_server_cannot_have_acted_on_is_repeated_always(trouble: Trouble) -> None:
    """A request that was refused or never arrived is safe to send again, idempotent or not."""
    assert delay(FailedTry(trouble=trouble, attempt=1, repeatable=False)) is not None


def test_retry_after_is_obeyed_to_the_second() -> None:
    """What the service asks for wins over the client's own pace."""
    assert delay(FailedTry(trouble=Trouble.THROTTLED, attempt=3, repeatable=True, asked=17.0)) == 17.0


def test_a_wait_beyond_the_deadline_gives_up() -> None:
    """There is no point in waiting for a try that cannot end in time."""
    assert delay(FailedTry(trouble=Trouble.UNAVAILABLE, attempt=1, repeatable=True, asked=30.0, left=20.0)) is None


def test_retries_may_end_after_so_many_seconds() -> None:
    """The tries so far count, and so does the wait that the service asks for."""
    retry_policy = RetryPolicy(seconds=60.0)
    throttled = FailedTry(trouble=Trouble.THROTTLED, attempt=1, repeatable=True, asked=30.0, spent=20.0)
    assert delay(throttled, retry_policy) == 30.0
    assert delay(replace(throttled, spent=31.0), retry_policy) is None


def test_waits_double_up_to_a_bound_and_are_spread() -> None:
    """Without a word from the service the pace is exponential with jitter."""
    retry_policy = RetryPolicy(attempts=20, base=1.0, longest=10.0)
    waits = [
        delay(FailedTry(trouble=Trouble.UNAVAILABLE, attempt=n, repeatable=True), retry_policy, jitter=1.0)
        for n in range(1, 7)
    ]
    assert waits == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert delay(FailedTry(trouble=Trouble.UNAVAILABLE, attempt=1, repeatable=True), retry_policy, jitter=0.0) == 0.5


def test_attempts_end_but_throttling_is_more_patient() -> None:
    """The service itself says when it serves again, so a 429 costs no attempt of the others."""
    assert delay(FailedTry(trouble=Trouble.UNAVAILABLE, attempt=7, repeatable=True)) is None
    assert delay(FailedTry(trouble=Trouble.THROTTLED, attempt=7, repeatable=True)) is not None
    assert delay(FailedTry(trouble=Trouble.THROTTLED, attempt=60, repeatable=True)) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("17", 17.0),
        ("1,200.00", 1200.0),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", None),
        ("-5", None),
        ("0", None),
        ("200000", 86_400.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(text: str, seconds: float | None) -> None:
    """Both forms of RFC 9110 are understood; anything else counts as absent."""
    assert retry_after({"retry-after": text}, NOW) == seconds


@pytest.mark.parametrize("sent", ["Sun, 22 Nov 2026 12:02:00 GMT", "Sun, 22 Nov 2026 11:58:00 GMT"])
def test_a_date_is_a_wait_from_the_date_of_the_answer(sent: str) -> None:
    """The clock of this machine may be ahead of that of the service, or behind it."""
    later = format_datetime(parsedate_to_datetime(sent) + timedelta(seconds=60), usegmt=True)
    assert retry_after({"retry-after": later, "date": sent}, NOW) == 60.0
    assert retry_after({"retry-after": "17", "date": sent}, NOW) == 17.0
    assert retry_after({"retry-after": sent, "date": sent}, NOW) is None
    assert retry_after({"retry-after": "Sun, 22 Nov 2026 12:00:30 GMT", "date": "today"}, NOW) == 30.0


def test_numbers_with_thousands_separators_are_read() -> None:
    """The service writes 1,200.00 in its rate-limit headers."""
    assert number_in("1,200.00") == 1200.0
    assert number_in("7999") == 7999.0
    assert number_in("n/a") is None
