"""For all edits on both sides, faults and deaths: a run with a mirror writes what a run without one would write."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.state.sqlite import SqliteStateStore
from tests.mirror_world import (
    KEY,
    NOTE,
    TEXT,
    LateClock,
    Sync,
    created,
    edit,
    expiring,
    made_again,
    transport,
)
from tests.mortal_transport import Death, Killed
from tests.store_in_front import StoreInFront, failing

KEYS = ("1", "2", "3", "4", "5", "6")
TEXTS = ("A", "B", "Ä", None)
# The answers to a delta link, and to the queries by id that follow, get lost or are refused for a while.
FAULTS: list[dict[str, Any]] = [
    {"action": "drop_before", "match": {"path": "deltatoken"}},
    {"action": "drop_after", "match": {"path": "deltatoken"}},
    {"action": "status", "status": 503, "match": {"path": "deltatoken"}},
    {"action": "status", "status": 429, "retry_after": 1, "match": {"path": "new_items"}},
    {"action": "drop_after", "match": {"path": "new_items", "method": "GET"}},
]


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to one key between two runs: in the source, or in the table by another user."""

    what: Literal["row", "no row", "create", "edit", "note", "delete", "make column again"]
    key: str
    text: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """What happens between two runs, and how the next ones go.

    Attributes:
        sync: Which of the two syncs of the table runs.
        trouble: What happens to its run.
        requests: The number of the request at which it dies.
    """

    events: Sequence[Event]
    sync: int
    trouble: Literal["", "dies", "dies at the swap", "expired", "faults", "a week later"]
    requests: int
    faults: Sequence[dict[str, Any]]


events = st.builds(
    Event,
    what=st.sampled_from(
        ["row", "edit", "no row", "create", "delete", "note", "row", "edit", "create", "note", "make column again"]
    ),
    key=st.sampled_from(KEYS),
    text=st.sampled_from(TEXTS),
)
turns = st.builds(
    Turn,
    events=st.lists(events, max_size=5),
    sync=st.integers(0, 1),
    trouble=st.sampled_from(["", "", "", "dies", "dies at the swap", "expired", "faults", "faults", "a week later"]),
    requests=st.integers(1, 12),
    faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3),
)


class World:
    """Two syncs of one table, one of them with a filter."""

    def __init__(self, folder: Path) -> None:
        transport().reset()
        self.state = StoreInFront(SqliteStateStore(folder / "state.db"))
        self.source: dict[str, str | None] = dict.fromkeys(KEYS[:3], "A")
        self.syncs = (
            Sync(self.state, name="all", behaviour={"dropped": "ignore"}),
            Sync(self.state, name="some", destination={"filter": f"{NOTE} ne 'old'"}),
        )
        self._weeks = 0

    def happen(self, event: Event) -> None:
        match event.what:
            case "row":
                self.source[event.key] = event.text
            case "no row":
                self.source.pop(event.key, None)
            case "create":  # also where there is one: its key is then in the table twice
                created([{KEY: event.key, TEXT: event.text, NOTE: "old" if event.text == "B" else "theirs"}])
            case "edit":
                edit(event.key, {TEXT: event.text})
            case "note":
                edit(event.key, {NOTE: "old" if event.text in {"A", None} else "new"})
            case "delete":
                edit(event.key, None)
            case "make column again":
                made_again(TEXT)

    def run(self, turn: Turn) -> None:
        sync = self.syncs[turn.sync]
        match turn.trouble:
            case "dies":
                with _dying():
                    sync.equal_run(self.source, Death(turn.requests, after=bool(turn.requests % 2)))
            case "dies at the swap":
                with _dying(), self.state.acting(swap_mirror=failing(Killed())):
                    sync.equal_run(self.source)
            case "expired":
                with expiring():
                    sync.equal_run(self.source)
            case "faults":
                transport().faults(turn.faults)
                sync.equal_run(self.source)
                transport().faults([])
            case "a week later":
                self._weeks += 1
                clock = LateClock(timedelta(days=8 * self._weeks))
                for each in self.syncs:
                    each.clock = clock
                done = sync.equal_run(self.source)
                assert done.mirror is not None
                assert done.mirror.kept
            case _:
                sync.equal_run(self.source)


@contextmanager
def _dying() -> Iterator[None]:
    """The process may have been killed."""
    try:
        yield
    except Killed:
        return


@pytest.mark.timeout(9000)  # the thorough profile, on a machine that may be busy
@settings(max_examples=settings().max_examples // 10, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(history=st.lists(turns, min_size=4, max_size=5))
def test_a_run_with_a_mirror_writes_what_a_run_without_one_would_write(
    tmp_path_factory: pytest.TempPathFactory, history: Sequence[Turn]
) -> None:
    """For each run; and what its mirror has is compared with the table in the end."""
    world = World(tmp_path_factory.mktemp("mirror"))
    try:
        for turn in history:
            for event in turn.events:
                world.happen(event)
            world.run(turn)
        for number in range(2):
            world.run(Turn([], number, "a week later", 0, []))
    finally:
        transport().faults([])
        world.state.close()
