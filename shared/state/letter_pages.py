"""Dead letters read or removed a part at a time: large events do not fill the memory, and no other process waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

from shared.state.event_records import DeadLetter
from shared.state.store import StateStore

__all__ = ["letter_pages", "remove_all_letters"]

MOST: Final = 1000  # letters in a page, or removed together
AT_ONCE: Final = 16 * 1024 * 1024  # bytes of bodies in a page, or one letter


def letter_pages(
    state: StateStore, sync: str | None = None, sizes: Mapping[str, int] | None = None
) -> Iterator[tuple[DeadLetter, ...]]:
    """All letters that are there now, by partition and sequence number, of one sync or of all.

    A page has 1,000 letters or 16 MB of bodies at most, or one letter that is larger. Letters that are kept or removed
    meanwhile are no problem: new ones are not among them, and what is gone is left out.

    Args:
        state: Has the letters.
        sync: Their sync; None for all.
        sizes: Those that are read, of `StateStore.dead_letter_sizes`; all where they are not given.
    """
    page: list[str] = []
    size = 0
    for letter_id, most in (state.dead_letter_sizes(sync) if sizes is None else sizes).items():
        if page and (len(page) == MOST or size + most > AT_ONCE):
            yield state.dead_letters(sync, ids=page, limit=len(page))
            page, size = [], 0
        page.append(letter_id)
        size += most
    if page:
        yield state.dead_letters(sync, ids=page, limit=len(page))


def remove_all_letters(state: StateStore, sync: str | None = None) -> int:
    """Remove all letters that are there now, of one sync or of all; returns how many."""
    ids, removed = iter(state.dead_letter_sizes(sync)), 0
    while part := list(islice(ids, MOST)):
        removed += state.remove_dead_letters(part)
    return removed
