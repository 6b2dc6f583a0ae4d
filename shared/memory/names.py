"""The names of the parts of a ledger: whose records a part is about, and when it was added.

`OWNER-LINE-NUMBER-ID.parquet`. The numbers of a line grow with each part that is added, so they say which of two notes
is the later one, also where parts were written anew under other names since. A ledger that is begun anew has another
line: its numbers cannot be compared with those of the lost one. Names of earlier versions have no line, and the oldest
ones no owner.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Turn", "new_part", "next_turn", "numbers_of", "owner_of", "parts_of", "renamed", "turn_of"]

_PIECES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When a part was added to its ledger.

    Attributes:
        line: Names the ledger, as 8 hexadecimal digits.
        number: Grows with each turn, from 1.
    """

    line: str
    number: int


def new_part(owner: str, turn: Turn | None = None) -> str:
    """A name for a part; without a turn it is one that says only whose records the part is about."""
    when = f"{turn.line}-{turn.number}-" if turn else ""
    return f"{owner}-{when}{uuid.uuid4().hex}.parquet"


def renamed(name: str) -> str:
    """Another name for a part with the same owner and turn, for what takes its place."""
    return new_part(owner_of(name), turn_of(name))


def owner_of(name: str) -> str:
    """Whose records a part is about; empty for a part of a version that did not note it."""
    owner, hyphen, _ = name.partition("-")
    return owner if hyphen else ""


def turn_of(name: str) -> Turn | None:
    """When a part was added; None for a part of a version that did not note it."""
    pieces = name.split("-")
    if len(pieces) != _PIECES or not pieces[2].isdecimal():
        return None
    return Turn(line=pieces[1], number=int(pieces[2]))


def next_turn(names: Sequence[str]) -> Turn:
    """The turn of a part that is added to some parts, the oldest first; the first of a line where the last has none."""
    last = turn_of(names[-1]) if names else None
    return Turn(line=last.line, number=last.number + 1) if last else Turn(line=uuid.uuid4().hex[:8], number=1)


def numbers_of(names: Sequence[str]) -> list[int]:
    """The number of each part in the line of the last one; 0 for a part that was there before this line."""
    turns = [turn_of(name) for name in names]
    line = turns[-1].line if turns and turns[-1] else None
    return [turn.number if turn and turn.line == line else 0 for turn in turns]


def parts_of(owner: str, names: Sequence[str]) -> list[str]:
    """The parts about the records of an owner, and those of which it is not known: the first run writes them anew."""
    return [name for name in names if owner_of(name) in {"", owner}]
