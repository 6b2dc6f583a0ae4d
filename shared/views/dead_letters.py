"""Dead letters: as JSON values, by ids that are short enough to be typed, and counted by sync."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Final

from shared.counted import counted
from shared.errors import UserError
from shared.state import DeadLetter, StateStore
from shared.visible import in_json

__all__ = [
    "UNCLAIMED",
    "body_text",
    "dead_letter_json",
    "in_lines",
    "letter_counts",
    "letters_named",
    "short_id",
    "tally",
]

UNCLAIMED: Final = "unclaimed"  # the name under which letters that no listener takes are counted
SHORT: Final = 8


def dead_letter_json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as JSON values; in a body that is not UTF-8 the invalid bytes are replaced."""
    return {
        "id": letter.id,
        "short_id": short_id(letter.id),
        "sync": letter.sync,
        "error": letter.error,
        "code": letter.code,
        "message": letter.message,
        "partition": letter.partition,
        "sequence": letter.sequence,
        "offset": letter.offset,
        "tries": letter.tries,
        "kept": letter.kept.isoformat(),
        "enqueued": letter.enqueued.isoformat() if letter.enqueued else None,
        "key": letter.system.get("key"),
        "properties": dict(letter.properties),
        "body": letter.body.decode("utf-8", "replace"),
    }


def short_id(letter_id: str) -> str:
    """The first eight characters of the id of a dead letter: commands accept them instead of the id."""
    return hashlib.sha256(letter_id.encode()).hexdigest()[:SHORT]


def letters_named(state: StateStore, sync: str | None, ids: Sequence[str]) -> tuple[DeadLetter, ...]:
    """The letters with these ids, each whole or short.

    Raises:
        UserError: One of the ids belongs to no letter, or a short one to several.
    """
    found = {letter.id: letter for letter in state.dead_letters(sync, ids=ids, limit=len(ids))} if ids else {}
    if short := [each for each in dict.fromkeys(ids) if each not in found]:
        known = _by_short_id(state, sync, {each.lower() for each in short})
        whole = [_only(each, known.get(each.lower(), []), sync) for each in short]
        found |= {letter.id: letter for letter in state.dead_letters(sync, ids=whole, limit=len(whole))}
    return tuple(found.values())


def _by_short_id(state: StateStore, sync: str | None, wanted: Container[str]) -> dict[str, list[str]]:
    """The whole ids of the letters with some short ids; no letter is read for it."""
    known: dict[str, list[str]] = {}
    for letter_id in state.dead_letter_sizes(sync):
        if (short := short_id(letter_id)) in wanted:
            known.setdefault(short, []).append(letter_id)
    return known


def _only(text: str, matches: Sequence[str], sync: str | None) -> str:
    match matches:
        case [only]:
            return only
        case []:
            of = f" of {sync}" if sync else ""
            raise UserError(f"There is no dead letter {text}{of}. `dynamics-sync dead-letters` lists them")
        case several:
            raise UserError(f"{len(several)} dead letters have the short id {text}: use the whole id, which --json has")


def letter_counts(state: StateStore, syncs: Iterable[str]) -> dict[str, int]:
    """Sync -> its letters, those that no listener takes under `unclaimed`; syncs without letters are left out.

    Letters of syncs that have no definition any more are under `without a definition`: the counts add up to all.
    """
    kept, known = state.dead_letter_counts(), set(syncs)
    counts = {name: count for name, count in sorted(kept.items()) if name in known} | {UNCLAIMED: kept.get("", 0)}
    counts["without a definition"] = sum(kept.values()) - sum(counts.values())
    return {name: count for name, count in counts.items() if count}


def tally(counts: dict[str, int]) -> str:
    """The counts as a sentence."""
    parts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return f"{counted(sum(counts.values()), 'dead letter')}: {parts}."


def body_text(letter: DeadLetter) -> str:
    """The body of a letter: JSON in lines, other text as it came; see `in_lines`."""
    return in_lines(letter.body.decode("utf-8", "replace"))


class _InexactError(ValueError):
    """Reading and writing the JSON text would not give it back."""


def in_lines(text: str) -> str:
    """JSON in lines where that keeps each key and each digit; other text as it is.

    Characters that a terminal would obey stay escaped, so that they can be seen and given back.
    """
    try:
        value = json.loads(
            text, parse_float=_number(float), parse_int=_number(int), parse_constant=_refused, object_pairs_hook=_unique
        )
        return in_json(json.dumps(value, indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return text


def _number(kind: Callable[[str], float]) -> Callable[[str], float]:
    """Reads a number of a kind that is written as it came."""

    def read(text: str) -> float:
        value = kind(text)
        return value if repr(value) == text else _refused(text)

    return read


def _refused(_text: str) -> float:
    raise _InexactError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _InexactError
    return found
