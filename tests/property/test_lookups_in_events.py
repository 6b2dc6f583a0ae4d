"""The same records as events: each batch has the result of a run over its rows, in any order and under faults."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.errors import AnswerLost, RetryLater
from shared.events import Message
from shared.jobs.real_time.events import EventSync, EventTools, Listeners, WarmWorkspace, run_events
from shared.state.sqlite import SqliteStateStore
from tests.property.lookup_oracle import Case, Record, Row, State, expected
from tests.property.lookup_world import (
    KEYS,
    REFUSALS,
    cases,
    columns_of,
    definition,
    named,
    passing,
    rows_of,
    seeds,
    service,
)

Change = Row | str  # a row, or the key of a record that is deleted


def batches(changes: Sequence[Change], sizes: Sequence[int]) -> Iterator[list[Change]]:
    """Parts of the changes, each record once in each."""
    part: list[Change] = []
    for place, change in enumerate(changes):
        keys = {_key(each) for each in part}
        if _key(change) in keys or len(part) >= sizes[place % len(sizes)]:
            yield part
            part = []
        part = [*part, change]
    if part:
        yield part


def _key(change: Change) -> str:
    return (change if isinstance(change, str) else change.key).lower()


def of_batch(case: Case, part: Sequence[Change]) -> Case:
    """The case with the rows and the deletes of a batch."""
    rows = tuple(change for change in part if isinstance(change, Row))
    return dataclasses.replace(case, rows=rows, deleted=tuple(change for change in part if isinstance(change, str)))


def bodies(case: Case, part: Sequence[Change]) -> Iterator[bytes]:
    """The events of a batch."""
    fields = iter(rows_of(of_batch(case, part)))
    for change in part:
        if isinstance(change, str):
            yield json.dumps({"op": "d", "key": change}).encode()
        else:
            values = zip(columns_of(case), next(fields), strict=True)
            yield json.dumps({"op": "u"} | {name: value or None for name, value in values}).encode()


def refused(part: Sequence[Change], rejected: set[int], failed: set[int | str], before: State, table: str) -> set[int]:
    """The places in a batch of the events that become dead letters; rows have numbers from 1, deletes record ids."""
    rows = [place for place, change in enumerate(part) if isinstance(change, Row)]
    deletes = {change.lower(): place for place, change in enumerate(part) if isinstance(change, str)}
    lost = {rows[number - 1] for number in (*rejected, *failed) if isinstance(number, int)}
    kept = [(before[table][each].key or "").lower() for each in failed if isinstance(each, str)]
    return lost | {deletes[key] for key in kept}


class Hub:
    """Delivers batches to one sync."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.state = SqliteStateStore(folder / "state.db")
        self._sync = EventSync(definition=definition(case, of_events=True))
        opened = partial(WarmWorkspace.open, threads=1, memory_limit="256MB")
        self.tools = EventTools.wired(self.state, lambda *_: service().clients[False], opened)
        self._next = 0

    def deliver(self, found: Sequence[bytes]) -> set[int]:
        """Deliver a batch, and redeliver it until it succeeds; returns the places of the dead letters."""
        messages = [Message(body=body, partition="0", sequence=self._next + n) for n, body in enumerate(found)]
        for _ in range(20):
            try:
                run_events(messages, Listeners(syncs=(self._sync,)), self.tools)
            except (RetryLater, AnswerLost):
                continue
            break
        else:
            raise AssertionError("the batch never went through")
        first, self._next = self._next, self._next + len(found)
        return {letter.sequence - first for letter in self.state.dead_letters() if letter.sequence >= first}

    def close(self) -> None:
        self.tools.memory.workspaces.close()
        self.state.close()


@st.composite
def histories(draw: st.DrawFn) -> tuple[Case, list[Change]]:
    """A sync and its events: rows, and with strategy full deletes."""
    case = draw(cases(["full", "full", "upsert"], of_events=True))
    deletes = draw(st.lists(st.sampled_from(KEYS), max_size=3)) if case.strategy == "full" else []
    return case, list(draw(st.permutations([*case.rows, *deletes])))


@pytest.mark.timeout(9000)  # the thorough profile, on a machine that may be busy
@settings(max_examples=settings().max_examples // 5, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    history=histories(),
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    records=seeds,
    faults=st.lists(passing, max_size=1),
)
def test_each_batch_of_events_has_the_result_of_a_run_over_its_rows(
    tmp_path_factory: pytest.TempPathFactory,
    history: tuple[Case, list[Change]],
    sizes: Sequence[int],
    records: Mapping[str, Sequence[Record]],
    faults: list[dict[str, Any]],
) -> None:
    """Parents and children in any order, with missing, ambiguous, rejected and deleted ones."""
    case, changes = history
    here = service()
    here.fill(records)
    hub = Hub(case, tmp_path_factory.mktemp("hub"))
    refusals = REFUSALS if case.refuses else []
    try:
        for part in batches(changes, sizes):
            before = here.state()
            here.transport.faults([*faults, *refusals])
            lost = hub.deliver(list(bodies(case, part)))
            here.transport.faults([])
            wanted = expected(of_batch(case, part), before)
            assert named(here.state(), before) == named(wanted.state, before)
            assert lost == refused(part, wanted.rejected, wanted.failed, before, case.table)
            faults = []
    finally:
        hub.close()
