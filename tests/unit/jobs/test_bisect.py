"""What fails together is halved until the item to blame is alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.jobs.real_time.boundary import Failure, bisect

BAD = Failure(error="Invalid Row", message="bad")


class Attempts:
    """Sums numbers; fails where one of them is bad, or where two that do not go together meet."""

    def __init__(self, *bad: int, apart: frozenset[int] = frozenset()) -> None:
        self.bad = frozenset(bad)
        self.apart = apart
        self.made: list[Sequence[int]] = []

    def __call__(self, items: Sequence[int]) -> int | Failure:
        self.made.append(items)
        unfit = self.bad & set(items) or (self.apart and self.apart <= set(items))
        return BAD if unfit else sum(items)


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        (Attempts(), [([1, 2, 3, 4, 5], 15)]),
        (Attempts(4), [([1, 2], 3), ([3], 3), ([4], BAD), ([5], 5)]),
        (Attempts(1, 5), [([1], BAD), ([2], 2), ([3], 3), ([4], 4), ([5], BAD)]),
        (Attempts(apart=frozenset({2, 3})), [([1, 2], 3), ([3, 4, 5], 12)]),
    ],
)
def test_items_keep_their_order_and_only_the_one_to_blame_fails(
    attempts: Attempts, expected: list[tuple[list[int], int | Failure]]
) -> None:
    """Every item is in one part; a part that fails has one item."""
    assert list(bisect([1, 2, 3, 4, 5], attempts)) == expected


def test_nothing_is_attempted_without_items() -> None:
    """An empty batch costs no attempt."""
    attempts = Attempts()
    assert (list(bisect([], attempts)), attempts.made) == ([], [])


def test_a_part_is_attempted_only_when_it_is_asked_for() -> None:
    """So an attempt sees the result of the parts before it."""
    attempts = Attempts(1)
    parts = bisect([1, 2], attempts)
    assert (next(parts), attempts.made) == (([1], BAD), [[1, 2], [1]])
    assert (next(parts), attempts.made) == (([2], 2), [[1, 2], [1], [2]])
