"""The target's records into `current`: the whole table, or what a mirror has with what has changed since."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from shared.clock import CLOCK_DIFFERENCE
from shared.dataverse import Tracking
from shared.definitions import in_odata
from shared.definitions.parameters import in_text
from shared.entities import EntityMetadata
from shared.errors import AbortRun, RequestRefused, RetryLater, SyncError, UserError
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.summary import MirrorFigures
from shared.memory import Manifest, Mirror, MirrorLostError, MirrorTables, mirror_obstacle
from shared.reconcile.queries import keys_query
from shared.transform import TargetColumn
from shared.workspace import Table, Workspace

__all__ = ["MirroredReading", "read_keyed_records", "read_records"]

log = logging.getLogger(__name__)

_FORMER: Final = "the filter, the columns, a parameter, the environment or the application users have changed"


def read_records(
    job: BatchJob, tools: Tools, workspace: Workspace, entity: EntityMetadata, columns: Sequence[TargetColumn]
) -> None:
    """Fill `current` with the records that the target's filter lets through.

    Raises:
        UserError: The service refuses the filter.
        AbortRun: Dataverse refuses the credentials or the table.
    """
    condition = _condition(job, entity)
    with _explained(condition):
        tools.dataverse.read(workspace, entity, columns, condition=condition)


def read_keyed_records(
    job: BatchJob, tools: Tools, workspace: Workspace, entity: EntityMetadata, columns: Sequence[TargetColumn]
) -> None:
    """Fill `current`, which stores its keys, with those of these records that have the key of a row of `desired`.

    Raises:
        UserError, AbortRun: As `read_records`.
    """
    condition = _condition(job, entity)
    keys = [key for (key,) in workspace.query(keys_query(columns))]
    with _explained(condition):
        tools.dataverse.read(workspace, entity, columns, condition=condition, keys=keys)


def _condition(job: BatchJob, entity: EntityMetadata) -> str | None:
    asked = job.definition.destination.filter
    return in_odata(asked, job.parameters, entity) if asked else None


@contextmanager
def _explained(condition: str | None) -> Iterator[None]:
    try:
        yield
    except RequestRefused as error:
        if not condition or error.status != HTTPStatus.BAD_REQUEST:
            raise
        raise UserError(f"destination.filter: {error.message}") from error  # the rest of the question is ours


class MirroredReading:
    """Fills `current` by way of the mirror of a sync, and keeps the mirror.

    The records are those that a read of the whole table would give: only the cost differs. What goes wrong with the
    mirror or with change tracking ends in a read of the whole table, and never ends a run.

    Args:
        job: The run.
        tools: What it works with.
        workspace: Has the table `current`, which is empty.
        entity: The table of the service.
        columns: The target columns.
        fence: Fencing number of the lease of the sync; None without a lease: then the mirror is read and not kept.
    """

    def __init__(
        self,
        job: BatchJob,
        tools: Tools,
        workspace: Workspace,
        entity: EntityMetadata,
        columns: Sequence[TargetColumn],
        *,
        fence: int | None,
    ) -> None:
        self._job = job
        self._tools = tools
        self._workspace = workspace
        self._entity = entity
        self._columns = columns
        self._fence = fence
        self._condition = _condition(job, entity)
        self._tables = MirrorTables(columns)
        self._mirror = Mirror(tools.state, job.definition.name, self._tables, workspace)
        self._tracking: Tracking = tools.dataverse.tracking(entity)
        self._is_view = False

    def prepare_removal(self) -> bool:
        """Before records that are set aside are removed from `current`.

        Returns:
            Whether there are any. If so, `current` is a table now.
        """
        if not self._workspace.query(f"SELECT _id FROM {Table.TARGET_ERRORS} WHERE rejected LIMIT 1"):
            return False
        self._store()
        return True

    def _store(self) -> None:
        if self._is_view:
            self._mirror.store()
            self._is_view = False

    def read(self) -> MirrorFigures:
        """Fill `current`.

        Raises:
            UserError: The service refuses the filter.
            AbortRun: Dataverse refuses the credentials or the table.
            RetryLater: Dataverse is unavailable.
        """
        if obstacle := mirror_obstacle(self._job.definition, self._entity, self._columns):
            return self._whole(obstacle)
        try:
            manifest = self._mirror.manifest()
        except (RetryLater, AbortRun) as error:
            return self._whole(error.message)
        if self._job.options.fresh:
            return self._tracked("--fresh")
        if manifest is None:
            return self._tracked("there is no mirror yet")
        if manifest.of != self._belongs_to():
            return self._tracked(_FORMER)
        return self._from(manifest)

    def _from(self, manifest: Manifest) -> MirrorFigures:
        self._workspace.create(self._tables.listed())
        try:
            link = self._tracking.changes(self._workspace, manifest.link, Table.MIRROR_LISTED)
        except (RequestRefused, AbortRun) as error:
            return self._tracked(f"the service does not list the changes ({error.message})")
        since = replace(manifest, link=link)
        if self._fence is not None and (due := self._verification_due(manifest)):
            return self._verified(since, due)
        ((changed,),) = self._workspace.query(f"SELECT count(*) FROM ({self._tables.changed_ids()})")
        if self._tracking.is_whole_cheaper(changed, manifest.rows):
            return self._whole(f"{changed:,} records have changed", since)
        try:
            self._read_changed()
        except (RequestRefused, AbortRun) as error:
            return self._whole(f"the changed records cannot be read again: {error.message}", since)
        try:
            self._mirror.load(manifest)
        except (MirrorLostError, RetryLater, AbortRun) as error:
            return self._whole(f"the mirror cannot be read: {_said(error)}", since)
        return self._changed(since)

    def _verification_due(self, manifest: Manifest) -> str:
        """Why the mirror is to be compared with the table; empty where it is not yet."""
        now = self._tools.clock.now()
        if manifest.read > now + CLOCK_DIFFERENCE:  # otherwise nothing would be compared until that moment
            return "a wrong clock has dated the mirror: in the future"
        return "mirror_verify_every has passed" if manifest.read + self._verify_every <= now else ""

    def _read_changed(self) -> None:
        """Read what the service lists as changed again, by the ids of the records."""
        self._workspace.create(self._tables.read())
        ids = (str(each) for (each,) in self._workspace.rows(self._tables.changed_ids()))
        self._tracking.read(self._workspace, self._columns, ids, self._condition, Table.MIRROR_READ)

    def _changed(self, manifest: Manifest) -> MirrorFigures:
        """Bring the records of the mirror up to date with those that were read again."""
        workspace = self._workspace
        workspace.create(self._tables.changes(manifest.last))
        self._mirror.show_changes(manifest)
        self._is_view = True
        if workspace.is_left_behind:  # the files of the mirror go away with the run
            self._store()
        ((read, gone),) = workspace.query(self._tables.counts())
        kept = self._kept(lambda fence: self._mirror.keep_changes(manifest, fence=fence))
        return MirrorFigures(read="changes", kept=kept, changed=read, removed=gone)

    def _verified(self, manifest: Manifest, reason: str) -> MirrorFigures:
        """Read the whole table, and compare it with the mirror: what the service lists is not compared.

        It is asked for its list again after the reading, so that nothing counts that changed meanwhile.
        """
        started = self._tools.clock.now()
        self._read_whole()
        difference = self._difference(manifest)
        if difference:
            log.warning("Mirror difference of %s: %d records", self._job.definition.name, difference)
        kept = self._kept_whole(replace(manifest, read=started))
        return MirrorFigures(read="whole", reason=reason, kept=kept, difference=difference)

    def _difference(self, manifest: Manifest) -> int | None:
        try:
            self._tracking.changes(self._workspace, manifest.link, Table.MIRROR_LISTED)
            return self._mirror.difference(manifest)
        except (MirrorLostError, RequestRefused, RetryLater, AbortRun) as error:
            log.warning("The mirror of %s was not compared: %s", self._job.definition.name, _said(error))
            return None

    def _tracked(self, reason: str) -> MirrorFigures:
        """Read the whole table, and begin a mirror: the delta link comes first."""
        if self._fence is None:
            return self._whole(reason)
        try:
            link = self._tracking.begin()
        except (RequestRefused, AbortRun) as error:
            return self._whole(f"{reason}, and none can be begun ({error.message})")
        now = self._tools.clock.now()
        return self._whole(reason, Manifest(of=self._belongs_to(), link=link, read=now, base=""))

    def _whole(self, reason: str, manifest: Manifest | None = None) -> MirrorFigures:
        """Read the whole table; with a manifest, whose delta link is older than the reading, it becomes the mirror."""
        started = self._tools.clock.now()
        self._read_whole()
        if manifest is None:
            return MirrorFigures(read="whole", reason=reason)
        whole = replace(manifest, read=started)
        return MirrorFigures(read="whole", reason=reason, kept=self._kept_whole(whole))

    def _read_whole(self) -> None:
        with _explained(self._condition):
            self._tools.dataverse.read(self._workspace, self._entity, self._columns, condition=self._condition)

    def _kept_whole(self, manifest: Manifest) -> bool:
        return self._kept(lambda fence: self._mirror.keep_whole(manifest, fence=fence))

    def _kept(self, keep: Callable[[int], bool]) -> bool:
        """Keep the mirror under the lease. A mirror that is not kept costs time in the next run, and nothing else."""
        if self._fence is None:
            return False
        try:
            return keep(self._fence)
        except (MirrorLostError, RetryLater, AbortRun) as error:
            log.warning("The mirror of %s was not kept: %s", self._job.definition.name, _said(error))
            return False

    @property
    def _verify_every(self) -> timedelta:
        return timedelta(seconds=self._job.definition.destination.mirror_verify_every)

    def _belongs_to(self) -> str:
        """What the mirror is of, as a digest: where any of it is different, the mirror is another one."""
        entity, destination = self._entity, self._job.definition.destination
        attributes = [column.attribute for column in self._columns]
        described = [
            self._tools.environment,
            in_text(destination.options.run_as or "", self._job.parameters) or None,
            [entity.logical_name, entity.entity_set, entity.primary_id, entity.metadata_id],
            self._condition,
            self._tracking.members(self._columns),
            [(column.name, column.sql_type) for column in self._columns],
            [(each.metadata_id, each.type, each.precision, each.date_behavior, each.targets) for each in attributes],
        ]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def _said(error: Exception) -> str:
    return error.message if isinstance(error, SyncError) else str(error)
