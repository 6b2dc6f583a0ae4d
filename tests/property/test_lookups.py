"""For any records, rows and lookups: a run has the result of the oracle, and in the end a plan is empty."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.dataverse import Dataverse, WriteLimits
from shared.definitions import Column
from shared.definitions.models import KeyMatch
from shared.jobs.adoption import Adoption
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.preparation import prepare
from shared.jobs.progress import NoProgress
from shared.jobs.writing import WriteOrder, write_changes
from shared.reconcile import keep_parents_of_refused
from shared.state import StateStore
from shared.transform import SOURCE_ERRORS
from shared.workspace import Workspace, quoted
from tests.emulator_transport import client
from tests.mortal_transport import Death, Killed, MortalTransport
from tests.property.lookup_oracle import Case, Record, expected
from tests.property.lookup_world import (
    CACHE,
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

STARTED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
MOST_RUNS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """A source with rows from a list."""

    case: Case

    @property
    def readable(self) -> tuple[str, ...]:
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        return definition(self.case).source.columns

    def load(self, workspace: Workspace) -> None:
        names = ", ".join(f"{quoted(name)} VARCHAR" for name in columns_of(self.case))
        workspace.run(SOURCE_ERRORS)
        workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, {names})")
        for number, row in enumerate(rows_of(self.case), 1):
            workspace.execute(f"INSERT INTO source_raw VALUES (?{', ?' * len(row)})", [number, *row])


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """How a run ended: numbers of rows that were rejected, and what failed: rows, and records that stay."""

    rejected: set[int]
    failed: set[int | str]


def planned(case: Case, workspace: Workspace, dataverse: Dataverse) -> tuple[BatchJob, Tools]:
    job = BatchJob(definition=definition(case), parameters={})
    state: StateStore = None  # type: ignore[assignment]  # a plan keeps nothing
    return job, Tools(dataverse=dataverse, source=Rows(case), state=state, open_workspace=lambda: workspace)


def changes_of(case: Case) -> list[tuple[Any, ...]]:
    """The changes that a plan has."""
    with Workspace.open(threads=1) as workspace:
        prepare(*planned(case, workspace, service().clients[case.exact]), workspace, STARTED)
        return workspace.query("SELECT action, key, payload, links FROM changes ORDER BY _change")


def run(case: Case, dataverse: Dataverse) -> Done:
    with Workspace.open(threads=1) as workspace:
        job, tools = planned(case, workspace, dataverse)
        prepared = prepare(job, tools, workspace, STARTED)
        entity, columns = prepared.entity, prepared.columns
        adoption = Adoption.of(job.definition, tools.dataverse, entity, columns, {})
        keeping = keep_parents_of_refused(job.definition, columns)
        order = WriteOrder.of(adoption, job.definition, columns, keeping=keeping)
        write_changes(workspace, tools.dataverse, entity, WriteLimits(), NoProgress(), order)
        ends = workspace.query(
            "SELECT coalesce(_row, -1), CAST(_id AS VARCHAR), result FROM changes LEFT JOIN outcomes USING (_change)"
        )
        assert len(ends) == workspace.query("SELECT count(*) FROM changes")[0][0], "two outcomes"
        assert {result for *_, result in ends} <= {"applied", "adopted", "failed"}
        rejected = {row for (row,) in workspace.query("SELECT _row FROM source_errors WHERE rejected")}
        failed = {record if row < 0 else row for row, record, result in ends if result == "failed"}
        return Done(rejected, failed)


def run_killed(case: Case, death: Death) -> None:
    """A run whose process is killed at some request, or just before the run ends."""
    key_match = KeyMatch.EXACT if case.exact else KeyMatch.SERVICE
    try:
        run(case, client(MortalTransport(service().transport, death), key_match, CACHE))
    except Killed:
        return


killed = st.none() | st.none() | st.builds(Death, requests_left=st.integers(8, 24), after=st.booleans())


@pytest.mark.timeout(9000)  # the thorough profile, on a machine that may be busy
# An example takes a third of a second: shrinking one would take minutes, and small ones are generated anyway.
@settings(max_examples=settings().max_examples // 2, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(case=cases(), records=seeds, faults=st.lists(passing, max_size=2), death=killed)
def test_a_run_ends_as_the_rules_say_and_settles(
    case: Case, records: Mapping[str, Sequence[Record]], faults: list[dict[str, Any]], death: Death | None
) -> None:
    """Records, rejected rows and failed changes are those of the oracle; if nothing is left, the plan is empty."""
    here = service()
    here.fill(records)
    refusals = REFUSALS if case.refuses else []
    if death is not None:
        here.transport.faults([*faults, *refusals])
        run_killed(case, death)
        here.transport.faults([])
        faults = []
    before = here.state()
    here.transport.faults([*faults, *refusals])
    for _ in range(MOST_RUNS if case.strategy == "full" else 2):
        wanted = expected(case, before)
        done = run(case, here.clients[case.exact])
        here.transport.faults([])
        after = here.state()
        assert named(after, before) == named(wanted.state, before)
        assert (done.rejected, done.failed) == (wanted.rejected, wanted.failed)
        case, before = dataclasses.replace(case, refuses=False), after
        wanted = expected(case, before)
        if case.strategy == "full" and not wanted.failed and named(wanted.state, before) == named(before, before):
            assert changes_of(case) == []
            return
    assert case.strategy != "full" or wanted.failed, "it does not settle"
