"""What an entry of the audit log changed: the lines that went and those that came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from console.audit.compared import ComparedLines
from shared.visible import for_terminal

__all__ = ["Line", "differences", "lines_of_diff"]

_AROUND: Final = 2  # lines that stay the same, before and behind a change
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
    codes = ComparedLines(old, new).get_opcodes()
    for number, (what, first, last, to_first, to_last) in enumerate(codes):
        if what == "equal":
            yield from _same(old[first:last], is_first=not number, is_last=number == len(codes) - 1)
            continue
        yield from (Line(kind="was", text=line) for line in old[first:last])
        yield from (Line(kind="will", text=line) for line in new[to_first:to_last])


def _same(lines: Sequence[str], *, is_first: bool, is_last: bool) -> Iterator[Line]:
    """Lines that stay: those beside a change; of many between two changes, a sign for those in their middle."""
    shown = lines
    if is_first:
        shown = lines[-_AROUND:]
    elif is_last:
        shown = lines[:_AROUND]
    elif len(lines) > 2 * _AROUND + 1:
        shown = [*lines[:_AROUND], "…", *lines[-_AROUND:]]
    return (Line(kind="", text=line) for line in shown)
