"""Two texts compared line by line: every line that is different is found, in texts of any length."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher
from typing import Final

__all__ = ["ComparedLines", "difference"]

# Comparing all lines with all others takes the product of their numbers, several times: of what lies between two lines
# that stay, and of a whole text. More is taken for replaced: nothing is left out, only lines are told that stayed too.
_MOST_BETWEEN: Final = 40_000
_MOST_IN_ALL: Final = 4_000_000
_AROUND: Final = 3  # lines that stay, before and behind a change
_ENDS: Final = "\\ No line is different, only how lines end"


class ComparedLines(SequenceMatcher[str]):
    """A comparison of two texts; see `difflib.SequenceMatcher`, whose time may grow with the square of the lines.

    What lies between two changes far from each other is found by the lines that both texts have once.

    Args:
        old: The lines before.
        new: The lines afterwards.
    """

    def __init__(self, old: Sequence[str], new: Sequence[str]) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._old, self._new = old, new
        self._left = _MOST_IN_ALL

    def get_matching_blocks(self) -> list[Match]:
        """The lines that are equal, in order, with the greatest blocks that they make; the last block is empty."""
        blocks = list[Match]()
        for a, b, size in self._equal(0, len(self._old), 0, len(self._new)):
            last = blocks[-1] if blocks else None
            if last is not None and (last.a + last.size, last.b + last.size) == (a, b):
                blocks[-1] = Match(last.a, last.b, last.size + size)
            else:
                blocks.append(Match(a, b, size))
        return [*blocks, Match(len(self._old), len(self._new), 0)]

    def _equal(self, a: int, a_end: int, b: int, b_end: int, *, is_part: bool = False) -> Iterator[Match]:
        """The equal lines between two places of both texts; of a part, no other lines divide it."""
        old, new = self._old, self._new
        ahead = 0
        while a + ahead < a_end and b + ahead < b_end and old[a + ahead] == new[b + ahead]:
            ahead += 1
        yield from [Match(a, b, ahead)] if ahead else ()
        a, b, behind = a + ahead, b + ahead, 0
        while a < a_end - behind and b < b_end - behind and old[a_end - 1 - behind] == new[b_end - 1 - behind]:
            behind += 1
        yield from self._between(a, a_end - behind, b, b_end - behind, is_part=is_part)
        yield from [Match(a_end - behind, b_end - behind, behind)] if behind else ()

    def _between(self, a: int, a_end: int, b: int, b_end: int, *, is_part: bool) -> Iterator[Match]:
        cost = (a_end - a) * (b_end - b)
        if not cost:
            return
        if cost <= min(_MOST_BETWEEN, self._left):
            self._left -= cost
            matcher = SequenceMatcher(None, self._old[a:a_end], self._new[b:b_end], autojunk=False)
            yield from (Match(a + at, b + to, size) for at, to, size in matcher.get_matching_blocks() if size)
        elif not is_part:
            for at, to in [*self._that_stay(a, a_end, b, b_end), (a_end, b_end)]:
                yield from self._equal(a, at, b, to, is_part=True)
                a, b = at, to

    def _that_stay(self, a: int, a_end: int, b: int, b_end: int) -> list[tuple[int, int]]:
        """The places of lines that both texts have once, as many as come in the same order in both."""
        places = _single(self._new, b, b_end)
        pairs = [(at, places[line]) for line, at in _single(self._old, a, a_end).items() if line in places]
        ends, heads, before = list[int](), list[int](), list[int]()  # the longest row of growing places
        for number, (_, to) in enumerate(pairs):
            length = bisect_left(ends, to)
            ends[length : length + 1], heads[length : length + 1] = [to], [number]
            before.append(heads[length - 1] if length else -1)
        found, number = list[tuple[int, int]](), heads[-1] if heads else -1
        while number >= 0:
            found.append(pairs[number])
            number = before[number]
        return found[::-1]


def _single(lines: Sequence[str], first: int, end: int) -> dict[str, int]:
    """The lines that come once, with their places, in order."""
    counts = Counter(lines[first:end])
    return {lines[at]: at for at in range(first, end) if counts[lines[at]] == 1}


def difference(before: str, after: str) -> list[str]:
    """The lines of two texts that differ, with three lines around them, as `diff -u` shows them: each change is there.

    Returns:
        No line where the texts are equal; only a remark where no line is different, but how lines end.
    """
    if before == after:
        return []
    old, new = before.splitlines(), after.splitlines()
    found = list[str]()
    for group in ComparedLines(old, new).get_grouped_opcodes(_AROUND):
        found.append(f"@@ -{_range(group[0][1], group[-1][2])} +{_range(group[0][3], group[-1][4])} @@")
        for what, a, a_end, b, b_end in group:
            if what == "equal":
                found += [f" {line}" for line in old[a:a_end]]
                continue
            found += [f"-{line}" for line in old[a:a_end]]
            found += [f"+{line}" for line in new[b:b_end]]
    return found or ["@@ @@", _ENDS]


def _range(first: int, end: int) -> str:
    count = end - first
    start = first + 1 if count else first  # as `diff` counts: an empty range begins behind the line before it
    return str(start) if count == 1 else f"{start},{count}"
