"""What one batch run is asked to do, and what it works with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.dataverse import Clock, Dataverse, SystemClock
from shared.definitions import ParameterValue, Strategy, SyncDefinition
from shared.jobs.batch.mending.retrying import Retry
from shared.jobs.progress import NoProgress, Progress
from shared.jobs.writing import TAKEN_AT_ONCE
from shared.reconcile.forecast.cost import DAILY_REQUESTS
from shared.scripts import ScriptEngine
from shared.sources import Source, SourceContext
from shared.state import RunRecord, StateStore
from shared.workspace import DiskUse, Workspace

__all__ = ["ApprovedPlan", "BatchJob", "PlanOptions", "RunOptions", "Tools", "keeps_journal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedPlan:
    """The plan that a run applies: exactly it, or nothing.

    Attributes:
        checksum: The plan's checksum.
        id: Identifies the saved plan, so that it is applied once; empty where it was not saved.
        watermark: Where the plan began to read, as the state store had it; None where the sync has no watermark.
    """

    checksum: str
    id: str = ""
    watermark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How one run is started, and what limits it.

    Attributes:
        trigger: `timer`, `command` or `job`.
        force: Whether the safety limits are overridden.
        approved: The plan that was approved; None to apply whatever the plan turns out to be.
        deadline: `time.monotonic()` at which the planning is given up or the writer stops, None for no limit.
        run_id: Names the run in logs and files.
        given: The parameters that the next command repeats; None for all that override the definition's.
        values: Whether the values of fields in error are shown and kept.
        cancelled: Asked about twice a second while the run writes: whether a person has stopped it from here. A mark in
            the state store stops it too.
        ending: Asked likewise: whether the process is to end. Then the run is Interrupted, and is continued.
        waiting: Inserts that wait at once until the record with their key is known.
        still_due: Asked under the lease, with the sync's latest run: whether this run is still to be.
        retry: The mended rows that the run has as its source; None for a run of the source.
        fresh: Whether the whole table is read although there is a mirror, which is then begun anew.
        keyed: Of the target, only the records are read that have the keys of the rows, which are few.
    """

    trigger: str = "command"
    force: bool = False
    approved: ApprovedPlan | None = None
    deadline: float | None = None
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    given: Mapping[str, ParameterValue] | None = None
    values: bool = False
    cancelled: Callable[[], bool] = lambda: False
    ending: Callable[[], bool] = lambda: False
    waiting: int = TAKEN_AT_ONCE
    still_due: Callable[[RunRecord | None], bool] = lambda _: True
    retry: Retry | None = None
    fresh: bool = False
    keyed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a plan shows.

    Attributes:
        sample: Changes of each action.
        values: Whether the values of fields in error are shown.
        files: Whether the error files are made.
        fresh: Whether the whole table is read although there is a mirror.
        given: The parameters whose values are from outside, as those of a run; None for all that override the
            definition's. A plan that is saved has the values of all parameters.
    """

    sample: int = 20
    values: bool = False
    files: bool = False
    fresh: bool = False
    given: Mapping[str, ParameterValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """What one run is asked to do: a definition with the value of every parameter, and the options of the run."""

    definition: SyncDefinition
    parameters: Mapping[str, ParameterValue]
    options: RunOptions = field(default_factory=RunOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run works with: wired by the composition root.

    Attributes:
        steps: What steps after the sync need outside.
        environment: Digest of the address of the environment and its application users.
        daily_requests: Requests that Dataverse allows in 24 hours, for the forecast.
        journal: Whether runs keep what they change, so that they can be undone.
    """

    dataverse: Dataverse
    source: Source
    state: StateStore
    open_workspace: Callable[[], Workspace]
    disk: DiskUse = field(default_factory=DiskUse)
    clock: Clock = field(default_factory=SystemClock)
    progress: Progress = field(default_factory=NoProgress)
    scripts: ScriptEngine = field(default_factory=ScriptEngine)
    steps: SourceContext = field(default_factory=SourceContext)
    environment: str = ""
    daily_requests: int = DAILY_REQUESTS
    journal: bool = False


def keeps_journal(definition: SyncDefinition, tools: Tools) -> bool:
    """Whether the runs of a sync keep what they change; other strategies than `full` do not know what was before."""
    return tools.journal and definition.sync_behaviour.strategy is Strategy.FULL
