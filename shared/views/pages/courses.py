"""How the writing of single runs went over time: records a second, and requests at the same time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from shared.counted import counted
from shared.views.pages.charts import Bar, Plot, figure

__all__ = ["FEWEST_POINTS", "course_chart"]

FEWEST_POINTS: Final = 4  # fewer show less than the figures of the run
_SHORTEST: Final = 0.01  # of the whole time
_LEGEND: Final = {"amount": "records a second", "parallel": "requests at once, at most", "throttled": "throttled"}


@dataclass(frozen=True, slots=True)
class _Span:
    """What happened between two points of a course."""

    begin: float
    end: float
    rows: int
    parallel: int
    throttled: int

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.rows / (self.end - self.begin)

    @property
    def said(self) -> str:
        """All of it in words."""
        refused = f", {counted(self.throttled, 'request', 'requests')} throttled" if self.throttled else ""
        at_once = counted(self.parallel, "request", "requests")
        return f"{self.begin:,.1f} to {self.end:,.1f} s: {self.rate:,.0f} records a second, {at_once} at once{refused}"


def course_chart(title: str, course: Any) -> str:
    """One figure for one run; empty where its course is not known, or has too few points.

    Args:
        title: Which run.
        course: What the counts of the run have under `course`.
    """
    spans = [*_spans(course)] if isinstance(course, Mapping) else []
    if len(spans) < FEWEST_POINTS - 1:
        return ""
    begin, end = spans[0].begin, spans[-1].end
    under = f"{begin:,.0f} to {end:,.0f} seconds after the start of the run"
    rates = [_bar(span, {"amount": span.rate}) for span in spans]
    at_once = [_bar(span, {"throttled" if span.throttled else "parallel": span.parallel}) for span in spans]
    wide = end - begin
    plots = (
        Plot(bars=rates, unit="/s", wide=wide, apart=False),
        Plot(bars=at_once, unit="at once", under=under, wide=wide, apart=False),
    )
    return figure(title, plots, legend=_LEGEND)


def _bar(span: _Span, parts: dict[str, float]) -> Bar:
    return Bar(parts=parts, said=span.said, width=span.end - span.begin)


def _spans(course: Mapping[str, Any]) -> Iterator[_Span]:
    """The spans of a course; none where the log has another shape."""
    columns: list[Sequence[Any]] = [course.get(name) or () for name in ("seconds", "rows", "parallel", "throttled")]
    if len({len(column) for column in columns}) != 1:
        return
    for before, after in pairwise(_apart(list(zip(*columns, strict=True)))):
        yield _Span(before[0], after[0], after[1] - before[1], after[2], after[3] - before[3])


def _apart(points: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The points without those that are too close to the one before: a rate over a moment says nothing."""
    least = (points[-1][0] - points[0][0]) * _SHORTEST if points else 0.0
    kept = list(points[:1])
    for point in points[1:]:
        if point[0] - kept[-1][0] > least:
            kept.append(point)
        elif point is points[-1] and len(kept) > 1:
            kept[-1] = point
    return kept
