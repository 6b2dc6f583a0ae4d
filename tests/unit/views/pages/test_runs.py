"""The page of runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.state import ErrorRecord, RunRecord
from shared.views.pages.runs import MOST_CHARTED, runs_page

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


def run(place: int = 0, state: str = "Succeeded", sync: str = "accounts", **counts: Any) -> RunRecord:
    return RunRecord(
        run_id=f"run-{place}",
        sync=sync,
        version="",
        trigger="timer",
        state=state,
        started=START - timedelta(hours=place),
        duration=2.5,
        counts=counts,
    )


def page(*runs: RunRecord, errors: tuple[ErrorRecord, ...] = ()) -> str:
    return runs_page(runs, errors, made=START)


def done(number: int) -> dict[str, int]:
    return {"done": number, "planned": number + 5}


def test_without_runs_the_page_says_so() -> None:
    """No chart, no table."""
    text = page()
    assert "There are no runs yet." in text
    assert "<svg" not in text


def test_outcomes_are_what_was_done_with_what_was_rejected() -> None:
    """Deleted, expired, deactivated and marked are one kind; so are rejected and failed rows."""
    counts: dict[str, Any] = {
        "created": done(3),
        "upserted": done(1),
        "updated": done(2),
        "adopted": 1,
        "deleted": done(1),
    }
    more: dict[str, Any] = {"expired": done(1), "marked": done(2), "failed": 4, "source": {"rejected": 6}}
    text = page(run(**counts, **more, write_seconds=2.0))
    assert (
        "2026-11-01 12:00, accounts, Succeeded: 4 created, 3 updated, 4 deleted or marked, 10 rejected or failed"
        in text
    )
    assert ": 5.5 records a second" in text


def test_runs_of_events_and_of_earlier_versions_have_their_counts() -> None:
    """Events have numbers under the names of actions; earlier versions have no time of the write phase."""
    text = page(run(events=9, insert=4, update=3, delete=1, failed=1), run(1, created=done(7)))
    assert "4 created, 3 updated, 1 deleted or marked, 1 rejected or failed" in text
    assert "7 created" in text
    assert "Records written a second" not in text


def test_every_change_of_events_and_their_dead_letters_are_counted() -> None:
    """Rows of events name the actions; a dead letter is an event that was refused."""
    named: dict[str, Any] = {"insert": 1, "upsert": 1, "update": 2, "reactivate": 1, "adopted": 1}
    dropped: dict[str, Any] = {"delete": 1, "expire": 3, "deactivate": 2, "mark": 1}
    text = page(run(events=15, **named, **dropped, lost=2))
    assert "2 created, 4 updated, 7 deleted or marked, 2 rejected or failed" in text


def test_runs_that_wait_are_listed_and_not_drawn() -> None:
    """They have not taken any time."""
    text = page(run(state="Queued"), run(1, created=done(1)))
    assert text.count("<g><title>") == 2
    assert "in other states" in text


def test_errors_are_added_up_by_kind_the_most_frequent_first() -> None:
    """Over runs; each kind has how many runs had it."""
    kinds = [("run-0", "Max Length", 3), ("run-0", "Invalid", 5), ("run-1", "Max Length", 4)]
    errors = tuple(
        ErrorRecord(run_id=run_id, error_class="Invalid Row", error_type=kind, count=count, column="name")
        for run_id, kind, count in kinds
    )
    text = page(run(), run(1), errors=errors)
    longest, other = text.index("Max Length"), text.index("Invalid")
    assert longest < other
    assert "data-name='runs'>2</td><td class=n data-name='count'>7</td>" in text


@pytest.mark.parametrize(
    "course",
    [
        None,
        "cut",
        {"seconds": [1, 2]},
        {"seconds": [1.0, 2.0, 3.0], "rows": [0, 1, 2], "parallel": [1, 1, 1], "throttled": [0, 0, 0]},
        {"seconds": [1.0, 1.0, 1.0, 1.0], "rows": [0] * 4, "parallel": [1] * 4, "throttled": [0] * 4},
    ],
)
def test_runs_with_a_short_course_or_none_are_not_drawn_over_their_time(course: Any) -> None:
    """Nor do they keep the page from being made."""
    assert "Within the latest runs" not in page(run(created=done(1), course=course))


def test_the_latest_runs_with_a_course_are_drawn() -> None:
    """Six of them, newest first; each span says what happened in it."""
    course = {"seconds": [1, 2, 4, 6], "rows": [0, 7, 9, 10], "parallel": [4, 4, 1, 2], "throttled": [0, 0, 3, 3]}
    text = page(*(run(place, course=course) for place in range(8)))
    _, _, within = text.partition("Within the latest runs")
    assert within.count("<figure>") == 6
    assert "2026-11-01 12:00, accounts" in within
    for said in (
        "1.0 to 2.0 s: 7 records a second, 4 requests at once",
        "2.0 to 4.0 s: 1 records a second, 1 request at once, 3 requests throttled",
    ):
        assert said in within
    assert "<rect class=throttled x=1 y=75.000 width=2 height=25.000 />" in within


def test_moments_do_not_make_a_rate_of_their_own() -> None:
    """10 records in the last hundredth of a second of 20 are part of the span before: 20 records in 10 seconds."""
    course = {
        "seconds": [0, 0.01, 4, 10, 19.99, 20],
        "rows": [0, 9, 9, 9, 19, 29],
        "parallel": [1] * 6,
        "throttled": [0] * 6,
    }
    _, _, within = page(run(course=course)).partition("Within the latest runs")
    assert within.count("<g><title>") == 2 * 3
    assert "10.0 to 20.0 s: 2 records a second" in within


def test_names_stay_text_and_older_runs_are_left_out_with_a_sentence() -> None:
    """A page has a bound, whatever was asked for."""
    text = page(*(run(place, sync="<b>x", created=done(1)) for place in range(MOST_CHARTED + 3)))
    assert "<b>x" not in text
    assert "3 older runs are left out" in text
    assert text.count("<tr>") == 1 + MOST_CHARTED
