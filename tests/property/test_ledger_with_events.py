"""For all mixes of batches, events and edits of others: a sync with a ledger follows its three-way table.

Also where they write at the same time: then nothing that one of them has noted is lost to the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from shared.errors import RetryLater
from shared.events import Message
from shared.jobs.progress import NoProgress
from shared.jobs.progress import Phase as Part
from shared.jobs.real_time.events import EventSync, EventTools, Listeners, WarmWorkspace, run_events
from shared.state import StateStore
from tests.property.ledger_world import KEYS, RULES, TEXTS, Event, Rules, Sync, World, happen
from tests.store_in_front import StoreInFront

Change = tuple[str, dict[str, str | None] | None]  # key, and the fields of a write; None deletes


class Instance:
    """An instance of the app that handles one partition of the hub."""

    def __init__(self, sync: Sync, partition: str, state: StateStore | None = None) -> None:
        self._sync = sync
        self._partition = partition
        self._next = 0
        opened = partial(WarmWorkspace.open, threads=1, memory_limit="256MB")
        made = EventTools.wired(state or sync.state, lambda *_: sync.connected(), opened)
        self.tools = EventTools(state=made.state, connect=made.connect, memory=made.memory, clock=sync.clock)

    def deliver(self, changes: Sequence[Change]) -> Mapping[str, int]:
        """Deliver a batch until it succeeds; returns its counts."""
        bodies = [{"op": "d" if fields is None else "u", "key": key, **(fields or {})} for key, fields in changes]
        messages = [
            Message(body=json.dumps(body).encode(), partition=self._partition, sequence=self._next + place)
            for place, body in enumerate(bodies)
        ]
        listeners = Listeners(syncs=(EventSync(definition=self._sync.definition),))
        self._next += len(messages)
        for _ in range(10):
            try:
                return run_events(messages, listeners, self.tools).syncs["items"]
            except RetryLater:
                self._sync.clock.sleep(2 * 3600)  # its process is gone for certain
        raise AssertionError("the batch never went through")

    def close(self) -> None:
        self.tools.memory.workspaces.close()
        self.tools.memory.ledgers.close()


@contextmanager
def dying_once(state: StoreInFront) -> Iterator[None]:
    """The process ends after its first write, before it has noted the result."""
    notes = iter(["before the first write", "after it"])

    def note(*_: object) -> None:
        if next(notes, "") == "after it":
            raise RetryLater("the process has ended", retry_after=1)

    with state.acting(put_ledger_entries=note, remove_ledger_entries=note):
        yield


keys, texts = st.sampled_from(KEYS), st.sampled_from(TEXTS)
changes = st.tuples(
    keys, st.none() | st.fixed_dictionaries({}, optional={"text": texts, "note": st.sampled_from(["n", "m"])})
)
others = st.builds(
    Event,
    what=st.sampled_from(["mark", "row", "no row", "edit", "open", "row", "edit", "create", "delete", "lose"]),
    key=keys,
    text=texts,
)
turns = st.tuples(
    st.lists(others, max_size=3),
    st.lists(changes, min_size=1, max_size=4) | st.none(),  # a batch of events, or a run
    st.sampled_from([False, False, False, True]),
)


@pytest.mark.timeout(9000)  # the thorough profile, on a machine that may be busy
@settings(max_examples=settings().max_examples // 5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(rule=st.sampled_from(RULES), history=st.lists(turns, min_size=5, max_size=8))
def test_runs_and_events_do_what_the_three_way_table_says(
    tmp_path_factory: pytest.TempPathFactory,
    rule: Rules,
    history: Sequence[tuple[Sequence[Event], Sequence[Change] | None, bool]],
) -> None:
    """One after the other, with processes that end: values, marks and drops are as the oracle says."""
    world, sync = World(rule), Sync(rule, tmp_path_factory.mktemp("ledger"), listens=True)
    instance = Instance(sync, "0")
    world.source = dict.fromkeys(KEYS[:2], ("A", "note A"))
    try:
        for happened, batch, dies in history:
            for event in happened:
                happen(event, world, sync)
            if batch is None:
                edited = world.run("")
                done = sync.run(world.source, "")
                assert done is not None
                reported = sum(error.count for error in done.errors if error.error_type == "Edited in target")
                assert (done.failed, done.skipped, reported) == (0, 0, edited)
            else:
                edited = sum(
                    world.write(key, fields) if fields is not None else world.remove(key) for key, fields in batch
                )
                if dies:
                    with dying_once(sync.state):
                        instance.deliver(batch)
                else:
                    assert instance.deliver(batch).get("edited", 0) == edited
            assert sync.shown() == {key: item.shown() for key, item in world.items.items()}
        assert not sync.state.dead_letters()
    finally:
        instance.close()
        sync.state.close()


# -- At the same time ------------------------------------------------------------------------------------------------


class Meddled(StoreInFront):
    """A state store before and after whose calls for the ledger others write.

    Args:
        state: The store.
        meddle: Called with the number of the call; it is negative after the call.
    """

    def __init__(self, state: StateStore, meddle: Callable[[int], None]) -> None:
        super().__init__(state)
        self._meddle = meddle
        self.number = 0

    def called(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Do one call."""
        if "ledger" not in name:
            return super().called(name, *arguments, **options)
        self.number += 1
        number = self.number
        self._meddle(number)
        result = super().called(name, *arguments, **options)
        self._meddle(-number)
        return result


class Phases(NoProgress):
    """Others write when the phases of a run begin."""

    def __init__(self, meddle: Callable[[Part], None]) -> None:
        self._meddle = meddle

    def phase(self, phase: Part, total: int | None = None) -> None:
        """A phase begins."""
        self._meddle(phase)


Place = int | Part  # at which call for the ledger, or in which phase of a run, others write
Doer = Literal["run", "0", "1"]
few = st.tuples(
    st.sampled_from(KEYS[:2]),
    st.none() | st.fixed_dictionaries({"text": texts}, optional={"note": st.sampled_from(["n", "m"])}),
)
doers = st.sampled_from(["run", "0", "1"])
rounds = st.tuples(
    doers,
    st.lists(few, min_size=1, max_size=3),
    st.dictionaries(
        st.integers(-12, 12) | st.just(Part.WRITE), st.tuples(doers, st.lists(few, min_size=1, max_size=2)), max_size=3
    ),
    st.lists(few, max_size=2),  # changes of the source that no event tells
)


class Crowd:
    """A run and two instances that work at the same time, for a source that changes all the time."""

    def __init__(self, sync: Sync) -> None:
        self._sync = sync
        self.source: dict[str, tuple[str | None, str]] = {}
        self._places: dict[Place, tuple[Doer, Sequence[Change]]] = {}
        self._busy: set[str] = set()
        self._meddled = Meddled(sync.state, self._meddle)
        self.instances = {name: Instance(sync, name, self._meddled) for name in ("0", "1")}

    def round(
        self,
        who: Doer,
        batch: Sequence[Change],
        places: Mapping[Place, tuple[Doer, Sequence[Change]]],
        silent: Sequence[Change],
    ) -> None:
        """One works, and others in its midst."""
        self._places = dict(places)
        self.change(silent)
        self._meddled.number = 0
        self._work(who, batch)

    def _work(self, who: Doer, batch: Sequence[Change]) -> None:
        if who in self._busy:
            return
        self._busy.add(who)
        try:
            if who == "run":
                self._sync.run_meddled(dict(self.source), Phases(self._meddle), self._meddled)
            else:
                self.change(batch)
                self.instances[who].deliver(batch)
        finally:
            self._busy.discard(who)

    def change(self, batch: Sequence[Change]) -> None:
        """Change the source."""
        for key, fields in batch:
            if fields is None:
                self.source.pop(key, None)
            else:
                text, note = self.source.get(key, (None, "n"))
                self.source[key] = (fields.get("text", text), fields.get("note") or note)

    def _meddle(self, place: Place) -> None:
        if place in self._places:
            self._work(*self._places.pop(place))


MARKS = Rules(unless_edited=True, dropped="deactivate", returned="reactivate", own=False)
# While a run reads the records, an event marks one that the run has read already.
READ_TOO_EARLY: list[Any] = [("run", [], {2: ("0", [("1", None)])}, [])]
# Between the note of an event and its mark, another event writes the record.
NOT_MARKED_YET: list[Any] = [("0", [("1", None)], {-6: ("1", [("1", {"text": "B"})])}, [])]


@pytest.mark.timeout(9000)
@settings(max_examples=settings().max_examples // 5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(rule=st.sampled_from(RULES), history=st.lists(rounds, min_size=2, max_size=4), last=st.lists(few, min_size=2))
@example(rule=MARKS, history=READ_TOO_EARLY, last=[("1", {"text": "A"})])
@example(rule=MARKS, history=NOT_MARKED_YET, last=[])
def test_runs_and_events_at_the_same_time_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, rule: Rules, history: Sequence[Any], last: Sequence[Change]
) -> None:
    """All values, marks and records are the sync's: in the end a run makes them equal to the source, and spares none."""
    sync = Sync(rule, tmp_path_factory.mktemp("crowd"), listens=True)
    crowd = Crowd(sync)
    crowd.source = dict.fromkeys(KEYS[:2], ("A", "n"))
    try:
        sync.run(crowd.source, "")
        for who, batch, places, silent in history:
            crowd.round(who, batch, places, silent)
        crowd.change(last)
        sync.clock.sleep(2 * 3600)
        done = sync.run(crowd.source, "")
        assert done is not None
        assert [error.error_type for error in done.errors] == []
        shown = sync.shown()
        assert {key: shown[key][:2] for key in crowd.source} == crowd.source
        left = {key: marked for key, (_, _, marked) in shown.items() if key not in crowd.source}
        if rule.dropped == "delete":
            assert not left
        elif rule.dropped != "ignore":
            assert all(left.values())
        if rule.returned == "reactivate":
            assert not any(shown[key][2] for key in crowd.source)
        assert not sync.state.dead_letters()
    finally:
        for instance in crowd.instances.values():
            instance.close()
        sync.state.close()
