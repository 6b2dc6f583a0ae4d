"""The course of a write: what is kept of it, and what it shows."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.course import FIRST_STEP, MOST_POINTS, Course, CoursePoint
from shared.http.transport import Request, Response
from tests.unit.dataverse.simulation import inserts, world


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(0, 5)), min_size=1, max_size=300))
def test_any_course_is_bounded_in_order_and_complete(steps: list[tuple[float, int]]) -> None:
    """The first and the last moment are in it with what was written up to then, whatever lies between them."""
    course, now, rows, seen = Course(), 10.0, 0, []
    for seconds, written in steps:
        now += seconds
        for _ in range(written):
            course.written()
        rows += written
        seen.append(CoursePoint(now, rows, 8, 0))
        course.note(now, parallel=8, throttled=0)
    points = course.points
    assert len(points) <= MOST_POINTS
    assert (points[0], points[-1]) == (seen[0], seen[-1])
    assert set(points) <= set(seen)
    assert all(before.seconds <= after.seconds and before.rows <= after.rows for before, after in pairwise(points))


def test_points_of_an_even_course_are_evenly_apart() -> None:
    """An hour with a look every half second: no gap is more than twice another but for the last one."""
    course = Course()
    for look in range(7200):
        course.note(look * FIRST_STEP, parallel=1, throttled=0)
    gaps = [after.seconds - before.seconds for before, after in pairwise(course.points)][:-1]
    assert len(gaps) >= MOST_POINTS // 2 - 2
    assert max(gaps) <= 2 * min(gaps)


def test_the_writer_shows_a_pause_and_the_lower_parallelism_after_it() -> None:
    """From second 3 to 4 the service refuses for 17 seconds: nothing is written meanwhile, and fewer go at once then."""

    def throttled(_: Request, now: float) -> Response | None:
        headers = {"retry-after": "17"}
        return Response(status=429, headers=headers, body=b"", seconds=0.01) if 3 <= now < 4 else None

    here = world(latency=0.2, gate=throttled)
    here.write(inserts(60_000))
    points = here.course.points
    assert 10 < len(points) <= MOST_POINTS
    assert (points[-1].rows, points[-1].seconds) == (60_000, here.memory.clock.seconds)
    assert points[-1].throttled == here.service.meter.usage().throttled > 0
    before = max(point.parallel for point in points if point.seconds < 3)
    pause = [point for point in points if 5 < point.seconds < 19]
    assert len({point.rows for point in pause}) == 1
    assert {point.parallel for point in pause} == {pause[0].parallel}
    assert 0 < pause[0].parallel < before
