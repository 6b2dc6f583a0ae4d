"""Numbers of things in sentences."""

from __future__ import annotations

import pytest

from shared.counted import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (1, ("row",), "1 row"),
        (0, ("row",), "0 rows"),
        (2000, ("row",), "2,000 rows"),
        (1, ("reply", "replies"), "1 reply"),
        (2, ("reply", "replies"), "2 replies"),
    ],
)
def test_one_is_not_several(number: int, words: tuple[str, ...], said: str) -> None:
    """The plural is regular unless it is given."""
    assert counted(number, *words) == said
