"""How writing went over time: a bounded series of points, so that a run of hours takes little room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MOST_POINTS", "Course", "CoursePoint"]

MOST_POINTS: Final = 60
FIRST_STEP: Final = 0.5  # seconds between points; doubled whenever there are too many


@dataclass(frozen=True, slots=True)
class CoursePoint:
    """One moment.

    Attributes:
        seconds: Of the clock's `monotonic`.
        rows: Records that were written up to here.
        parallel: Requests that the writer sends at the same time at most.
        throttled: Requests up to here that were answered 429.
    """

    seconds: float
    rows: int
    parallel: int
    throttled: int


class Course:
    """The points of everything that one client writes, the first and the last moment among them."""

    def __init__(self) -> None:
        self._points: list[CoursePoint] = []
        self._step = FIRST_STEP
        self._rows = 0

    @property
    def points(self) -> tuple[CoursePoint, ...]:
        """`MOST_POINTS` at most."""
        return tuple(self._points)

    def written(self) -> None:
        """One more record was written."""
        self._rows += 1

    def note(self, now: float, *, parallel: int, throttled: int) -> None:
        """Keep how it is at a moment; called as often as the caller likes.

        The last point is replaced until it is a step behind the one before it.
        """
        point, points = CoursePoint(now, self._rows, parallel, throttled), self._points
        if len(points) > 1 and now - points[-2].seconds <= self._step:
            points[-1] = point
            return
        points.append(point)
        if len(points) > MOST_POINTS:
            self._step *= 2
            self._points = [*points[:-1:2], point]
