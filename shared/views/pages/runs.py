"""The latest runs as one self-contained HTML page: what they wrote, what was wrong, how long they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from shared.counted import counted
from shared.state import ErrorRecord, RunRecord, RunState
from shared.views.pages.charts import Bar, chart, meter
from shared.views.pages.courses import course_chart
from shared.views.pages.html import escaped, listed, section, whole
from shared.views.runs import LOST, changes_made

__all__ = ["MOST_CHARTED", "MOST_COURSES", "MOST_WITH_ERRORS", "history_charts", "runs_page"]

MOST_CHARTED: Final = 500  # runs on a page
MOST_WITH_ERRORS: Final = 100  # runs whose errors are counted: each is a request to the state store
_MOST_KINDS: Final = 20  # of errors
MOST_COURSES: Final = 6  # runs whose course is drawn
_LEGEND: Final = {
    "created": "created",
    "updated": "updated",
    "dropped": "deleted or marked",
    "refused": "rejected or failed",
}
_NAMES: Final = {
    "created": ("created", "upserted"),
    "updated": ("updated", "reactivated", "adopted"),
    "dropped": ("deleted", "expired", "deactivated", "marked"),
    "refused": ("failed",),
}
_BAD: Final = (RunState.FAILED, RunState.REFUSED, LOST)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One run with the figures of the charts."""

    run: RunRecord
    rows: dict[str, int]

    @classmethod
    def of(cls, run: RunRecord) -> _Shown:
        made = changes_made(run.counts)
        rows = {kind: sum(made.get(name, 0) for name in names) for kind, names in _NAMES.items()}
        rows["refused"] += run.counts.get("source", {}).get("rejected", 0) + run.counts.get("lost", 0)
        return cls(run, rows)

    @property
    def rate(self) -> float:
        """Records a second of the write phase; 0 for a run of an earlier version, which did not keep it."""
        seconds = self.run.counts.get("write_seconds")
        written = sum(self.rows[kind] for kind in ("created", "updated", "dropped"))
        return written / seconds if isinstance(seconds, int | float) and seconds > 0 else 0.0

    @property
    def said(self) -> str:
        """When, and which sync."""
        return f"{_moment(self.run.started)}, {self.run.sync}, {self.run.state}"


def runs_page(
    runs: Sequence[RunRecord], errors: Iterable[ErrorRecord], *, sync: str | None = None, made: datetime
) -> str:
    """Render runs.

    Args:
        runs: As people see them, newest first; beyond `MOST_CHARTED` they are left out, and the page says so.
        errors: Those of the first `MOST_WITH_ERRORS` runs.
        sync: The only sync; None for all.
        made: The moment of the page.
    """
    shown = [_Shown.of(run) for run in runs[:MOST_CHARTED]]
    title = f"Runs of {sync}" if sync else "Runs"
    left = len(runs) - len(shown)
    parts = (
        f"<h1>{escaped(title)}</h1>",
        f"<p class=quiet>{escaped(_span(shown))} Made {_moment(made)} UTC.</p>",
        f"<p class=warn>{left:,} older runs are left out: a page has {MOST_CHARTED}.</p>" if left else "",
        *section("States", _totals(shown) if shown else ""),
        *section("Over time", history_charts(runs[:MOST_CHARTED])),
        *section("Within the latest runs", _courses(shown)),
        *section("Errors", _errors([*errors])),
        *section("All runs", _table(shown) if shown else ""),
    )
    return whole(title, parts)


def history_charts(runs: Sequence[RunRecord]) -> str:
    """Charts over runs: rows by outcome, duration, and speed; empty where there is nothing to show.

    Args:
        runs: As people see them, newest first.
    """
    return _charts([_Shown.of(run) for run in reversed(runs) if run.state != RunState.QUEUED])


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def _span(shown: Sequence[_Shown]) -> str:
    if not shown:
        return "There are no runs yet."
    return f"From {_moment(shown[-1].run.started)} to {_moment(shown[0].run.started)}, times in UTC."


def _totals(shown: Sequence[_Shown]) -> str:
    states = Counter(each.run.state for each in shown)
    tiles = [
        (len(shown), "run" if len(shown) == 1 else "runs", "none"),
        (states[RunState.SUCCEEDED], "succeeded", "add"),
        (states[RunState.COMPLETED_WITH_ERRORS], "completed with errors", "edit"),
        (sum(states[state] for state in _BAD), "failed, refused or lost", "drop"),
    ]
    others = len(shown) - sum(count for count, _, _ in tiles[1:])
    tiles += [(others, "in other states", "none")] if others else []
    tile = "".join(
        f"<div class='{kind}{' some' if count else ''}'><b>{count:,}</b>{words}</div>" for count, words, kind in tiles
    )
    return f"<div class=totals>{tile}</div>"


def _charts(shown: Sequence[_Shown]) -> str:
    """Three charts over the same runs, the oldest at the left."""
    if not shown:
        return ""
    under = f"{counted(len(shown), 'run')}, {_moment(shown[0].run.started)} to {_moment(shown[-1].run.started)}"
    rows = [Bar(parts=dict(each.rows), said=f"{each.said}: {_rows(each)}") for each in shown]
    took = [_amount(each, each.run.duration, "s") for each in shown]
    rates = [_amount(each, each.rate, "records a second") for each in shown]
    return "\n".join(
        (
            chart("Rows by outcome", rows, under=under, legend=_LEGEND),
            chart("Duration", took, under=under, legend={}, unit="s"),
            chart("Records written a second", rates, under=under, legend={}),
        )
    )


def _amount(each: _Shown, amount: float, unit: str) -> Bar:
    return Bar(parts={"amount": amount}, said=f"{each.said}: {amount:,.1f} {unit}")


def _rows(each: _Shown) -> str:
    return ", ".join(f"{count:,} {_LEGEND[kind]}" for kind, count in each.rows.items() if count) or "nothing written"


def _courses(shown: Sequence[_Shown]) -> str:
    """The course of the latest runs whose writing took some seconds at least, newest first."""
    drawn = (course_chart(each.said, each.run.counts.get("course")) for each in shown)
    found = "\n".join(islice(filter(None, drawn), MOST_COURSES))
    said = "How many records were written a second, and how many requests the run allowed itself at the same time."
    return f"<p class=quiet>{said}</p>{found}" if found else ""


def _errors(errors: Sequence[ErrorRecord]) -> str:
    """Kinds of error, the most frequent first, each with a bar."""
    kinds = Counter[tuple[str, str, str]]()
    runs: dict[tuple[str, str, str], set[str]] = {}
    for error in errors:
        kind = (error.error_type, error.column, error.side)
        kinds[kind] += error.count
        runs.setdefault(kind, set()).add(error.run_id)
    most = max(kinds.values(), default=0)
    rows = [
        [escaped(kind[0]), escaped(kind[1]), escaped(kind[2]), f"{len(runs[kind]):,}", f"{count:,}", meter(count, most)]
        for kind, count in kinds.most_common(_MOST_KINDS)
    ]
    if not rows:
        return ""
    table = listed(("Type", "Column", "Side", "Runs", "Count", "Share"), rows, numbers=(3, 4))
    said = f"In the latest {MOST_WITH_ERRORS} runs, the {_MOST_KINDS} most frequent kinds."
    return f"<p class=quiet>{said}</p>{table}"


def _table(shown: Sequence[_Shown]) -> str:
    rows = [
        [
            f"<span class=when>{_moment(each.run.started)}</span>",
            escaped(each.run.sync),
            escaped(each.run.state),
            *(f"{each.rows[kind]:,}" for kind in _LEGEND),
            f"{each.run.duration:,.1f}",
        ]
        for each in shown
    ]
    head = ("Started", "Sync", "State", "Created", "Updated", "Dropped", "Errors", "Seconds")
    return listed(head, rows, numbers=range(3, 8))
