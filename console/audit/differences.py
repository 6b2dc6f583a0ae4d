"""What an entry of the audit log changed: the lines that went and those that came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from shared.visible import for_terminal

__all__ = ["Line", "differences", "lines_of_diff"]

_AROUND: Final = 2  # lines that stay the same, before and behind a change
_MOST_COMPARED: Final = 400  # lines between the first and the last change: comparing takes the square of their number
_MOST_SHOWN: Final = 300  # lines of a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a text that was changed.

    Attributes:
        kind: `was`, `will`, or empty for one that stayed.
    """

    kind: str
    text: str


def differences(before: str, after: str) -> tuple[Line, ...]:
    """The lines that differ between two texts, with a few around them; at most 300.

    Args:
        before: Empty where there was nothing.
        after: Empty where nothing became of it.
    """
    old, new = for_terminal(before).splitlines(), for_terminal(after).splitlines()
    return _bounded([*_lines(old, new)])


def _bounded(lines: Sequence[Line]) -> tuple[Line, ...]:
    if len(lines) > _MOST_SHOWN:
        return (*lines[:_MOST_SHOWN], Line(kind="", text=f"… and {len(lines) - _MOST_SHOWN:,} more lines"))
    return tuple(lines)


def lines_of_diff(text: str) -> tuple[Line, ...] | None:
    """The lines of a text that `diff -u` has made, at most 300; None for another text.

    Args:
        text: As the editor notes what a person has changed in a definition.
    """
    found = for_terminal(text).splitlines()
    if not found or not found[0].startswith("@@ "):
        return None
    kinds = {"-": "was", "+": "will"}
    lines = [Line(kind=kinds.get(line[:1], ""), text="…" if line.startswith("@@ ") else line[1:]) for line in found[1:]]
    return _bounded(lines)


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    start = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    most = min(len(old), len(new)) - start
    tail = next((at for at in range(most) if old[-1 - at] != new[-1 - at]), most)
    yield from (Line(kind="", text=line) for line in old[max(0, start - _AROUND) : start])
    yield from _between(old[start : len(old) - tail], new[start : len(new) - tail])
    yield from (Line(kind="", text=line) for line in old[len(old) - tail : len(old) - tail + _AROUND])


def _between(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    if len(old) + len(new) > _MOST_COMPARED:
        yield from (Line(kind="was", text=line) for line in old)
        yield from (Line(kind="will", text=line) for line in new)
        return
    for what, first, last, to_first, to_last in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if what == "equal":
            yield from _same(old[first:last])
            continue
        yield from (Line(kind="was", text=line) for line in old[first:last])
        yield from (Line(kind="will", text=line) for line in new[to_first:to_last])


def _same(lines: Sequence[str]) -> Iterator[Line]:
    """Lines between two changes; the middle of many is left out."""
    if len(lines) <= 2 * _AROUND + 1:
        yield from (Line(kind="", text=line) for line in lines)
        return
    yield from (Line(kind="", text=line) for line in lines[:_AROUND])
    yield Line(kind="", text="…")
    yield from (Line(kind="", text=line) for line in lines[-_AROUND:])
