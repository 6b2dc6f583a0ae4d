"""Sync keys that source and table would allow, and the alternate keys that guard them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.dataverse.metadata.keys import (
    IndexStatus,
    NewKey,
    create_key,
    index_status,
    key_obstacle,
    reactivate_key,
    wait,
)
from shared.definitions import SyncDefinition
from shared.entities import EntityMetadata
from shared.errors import DefinitionError, UserError
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.preparation import completed_job
from shared.jobs.batch.reading import read_records
from shared.jobs.progress import Phase
from shared.jobs.shaping import Shaping, run_all
from shared.transform import check, current_table_step, desire_of
from shared.transform.profile.keys import (
    KeyCounts,
    Side,
    by_promise,
    candidates,
    counts_of,
    counts_query,
    forms_steps,
    likely_pairs,
)
from shared.transform.targets import TargetColumn
from shared.workspace import Workspace

__all__ = ["AlternateKeyState", "KeyReport", "MadeKey", "make_key", "proposed_keys"]

_IDENTIFYING: Final = re.compile(
    r"(number|code|key|identifier|email|_?no|_?id|guid|sku|ean)(address)?\d*$", re.IGNORECASE
)
_PREFIX: Final = re.compile(r"^([a-z][a-z0-9]{1,7})_")
_LONGEST_NAME: Final = 60  # characters of the schema name that is made up


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternateKeyState:
    """The alternate key over the columns of a sync key.

    Attributes:
        name: Its name; empty where there is none.
        active: Whether it is in force.
        obstacle: Why there can be none; empty where one can be made.
    """

    name: str = ""
    active: bool = False
    obstacle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyReport:
    """The keys that were found.

    Attributes:
        sync: Name of the sync.
        table: Logical name of the table.
        now: The key that the definition has; None where a lookup gives a part of it.
        found: Keys that are possible, the most promising first.
        guards: Columns of a key -> the alternate key that guards it.
        filtered: Whether only the records of the target's filter were looked at.
    """

    sync: str
    table: str
    now: KeyCounts | None
    found: tuple[KeyCounts, ...]
    guards: Mapping[tuple[str, ...], AlternateKeyState]
    filtered: bool

    def to_json(self) -> dict[str, Any]:
        """The object of `keys --json`."""
        return {
            "sync": self.sync,
            "table": self.table,
            "filtered": self.filtered,
            "current": self._key(self.now) if self.now else None,
            "keys": [self._key(each) for each in self.found],
        }

    def _key(self, counts: KeyCounts) -> dict[str, Any]:
        guard = self.guards[counts.columns]
        return {
            "columns": list(counts.columns),
            "fits": counts.fits,
            "source": _side(counts.source),
            "target": _side(counts.target),
            "alternate_key": {"name": guard.name, "active": guard.active, "obstacle": guard.obstacle},
        }


def _side(side: Side) -> dict[str, int]:
    return {"rows": side.rows, "empty": side.empty, "repeated": side.repeated}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """An alternate key after `--create`.

    Attributes:
        made: Whether this command made it; False where it was there.
    """

    name: str
    columns: tuple[str, ...]
    status: IndexStatus
    made: bool

    def to_json(self) -> dict[str, Any]:
        """The member `created` of `keys --create --json`."""
        return {"name": self.name, "columns": list(self.columns), "status": str(self.status), "made": self.made}


def proposed_keys(job: BatchJob, tools: Tools) -> KeyReport:
    """Read the source and the table, and count the values of every possible key.

    Raises:
        DefinitionError: The definition does not fit the table.
        UserError: The source cannot be read, has no rows, or no column that could be a key.
        AbortRun: Dataverse refuses the credentials or the table.
    """
    entity = tools.dataverse.tables_of(job.definition)
    with tools.open_workspace() as workspace:
        job = completed_job(job, tools, workspace)
        definition = job.definition
        if problems := check(definition, entity):
            raise DefinitionError(problems)
        columns = _compared(job, tools, workspace, entity)
        singles = _counted(workspace, [(column.name,) for column in columns])
        if not singles[0].source.rows:
            raise UserError("the source has no row that is neither rejected nor filtered out: keys are found in rows")
        pairs = _counted(workspace, likely_pairs(singles))
        now = _current(workspace, definition, {column.name for column in columns})
    found = [counts for counts in (*singles, *pairs) if counts.possible]
    numbered = {column.name: _IDENTIFYING.search(column.name) is not None for column in columns}
    return KeyReport(
        sync=definition.name,
        table=entity.logical_name,
        now=now,
        found=tuple(by_promise(found, numbered)),
        guards={counts.columns: _guard(entity, counts.columns) for counts in [*found, *([now] if now else [])]},
        filtered=definition.destination.filter is not None,
    )


def _compared(job: BatchJob, tools: Tools, workspace: Workspace, entity: EntityMetadata) -> tuple[TargetColumn, ...]:
    """Fill the tables with the values of the candidates, and return these."""
    desire = desire_of(job.definition, entity)
    columns = candidates(desire)
    if not columns:
        raise UserError("no mapped column can be a key: map a text, a number, a date or a choice without a lookup")
    workspace.bind(job.parameters)
    tools.progress.phase(Phase.LOAD)
    tools.source.load(workspace)
    tools.progress.phase(Phase.SHAPE)
    Shaping.of(desire, entity).run(workspace, tools.scripts, run_all)
    tools.progress.phase(Phase.READ)
    workspace.run(current_table_step(columns))
    read_records(job, tools, workspace, entity, columns)
    for step in forms_steps(desire, columns, job.definition.sync_behaviour.key_match):
        workspace.run(step)
    return columns


def _counted(workspace: Workspace, keys: Sequence[tuple[str, ...]]) -> tuple[KeyCounts, ...]:
    return counts_of(keys, workspace.query(counts_query(keys))) if keys else ()


def _current(workspace: Workspace, definition: SyncDefinition, known: set[str]) -> KeyCounts | None:
    """The counts of the definition's own key."""
    key = definition.sync_behaviour.sync_key
    return _counted(workspace, [key])[0] if known.issuperset(key) else None


def _guard(entity: EntityMetadata, columns: Sequence[str]) -> AlternateKeyState:
    if tuple(columns) == (entity.primary_id,):
        return AlternateKeyState(obstacle="it is the primary key, which is unique")
    key = entity.key_over(frozenset(columns))
    if key is not None:
        return AlternateKeyState(name=key.name, active=key.active)
    return AlternateKeyState(obstacle=key_obstacle(entity, columns))


def make_key(definition: SyncDefinition, report: KeyReport, tools: Tools, *, seconds: float) -> MadeKey:
    """Make the alternate key over the sync key of a definition, and wait for its index.

    Args:
        definition: The sync.
        report: What its key looks like.
        tools: The environment and the clock.
        seconds: How long to wait for the index.

    Raises:
        UserError: There can be no such key, or records have equal keys.
        RequestRefused: The service refuses the key.
        AbortRun: The privilege is missing.
    """
    entity = tools.dataverse.tables_of(definition)
    columns, service = definition.sync_behaviour.sync_key, tools.dataverse.service
    key = entity.key_over(frozenset(columns))
    if key is not None and key.active:
        return MadeKey(name=key.name, columns=key.columns, status=IndexStatus.ACTIVE, made=False)
    _refuse_impossible(entity, columns, report)
    if key is None:
        new = _new_key(entity, columns)
        create_key(service, entity, new)
        name = new.name
    else:
        name = key.name
        if index_status(service, entity, name) is IndexStatus.FAILED:
            reactivate_key(service, entity, name)
    status = wait(service, entity, name, clock=tools.clock, seconds=seconds)
    return MadeKey(name=name, columns=tuple(columns), status=status, made=key is None)


def _refuse_impossible(entity: EntityMetadata, columns: Sequence[str], report: KeyReport) -> None:
    listed = ", ".join(columns)
    guard = _guard(entity, columns)
    if guard.obstacle:
        raise UserError(f"no alternate key over {listed} can be made: {guard.obstacle}")
    if report.now is not None and report.now.target.repeated:
        raise UserError(
            f"{report.now.target.repeated:,} records of {entity.logical_name} have a {listed} that another record has "
            f"already: change them first, or choose another key"
        )


def _new_key(entity: EntityMetadata, columns: Sequence[str]) -> NewKey:
    """A name with the prefix that the columns or the table have, or `new`, which every environment knows."""
    found = next((match[1] for each in (*columns, entity.logical_name) if (match := _PREFIX.match(each))), "new")
    stems = "_".join(column.removeprefix(f"{found}_") for column in columns)
    shown = [entity.attributes[column].display_name or column for column in columns]
    return NewKey(
        name=f"{found}_{stems}"[:_LONGEST_NAME].rstrip("_") + "_key",
        columns=tuple(columns),
        display_name=", ".join(shown)[:_LONGEST_NAME],
    )
