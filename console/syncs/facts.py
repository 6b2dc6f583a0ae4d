"""The facts of one sync, from its definition and the state store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from console.access.rights import Level
from console.syncs.words import ScheduleWords, behaviour_words, schedule_words, source_words
from shared.app import App
from shared.app.validation import without_value
from shared.definitions import Loaded, SyncDefinition
from shared.errors import SyncError, UserError
from shared.redaction import cleaned
from shared.state import TAKEN_BACK, UNBEGUN_RETRY, AuditEntry, RunRecord
from shared.views.pages.runs import history_charts
from shared.views.run_reports import mirror_result
from shared.views.runs import as_seen, records_changed, rows_in_error
from shared.views.status import SyncStatus, status_of

__all__ = ["Facts", "MirrorLine", "RunLine", "SyncPage", "facts_of", "mirror_of", "page_of"]

_CHARTED: Final = 50  # latest runs
_LISTED: Final = 10
_ENTRIES: Final = 5  # of the audit log


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a definition says.

    Attributes:
        environment: Host of the environment; how the definition names it where only a run knows the host.
        permissions: Right -> its entries.
    """

    description: str
    version: str
    source: str
    environment: str
    table: str
    key: tuple[str, ...]
    columns: int
    schedule: ScheduleWords
    behaviour: tuple[str, ...]
    listener: str
    permissions: Mapping[Level, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """One of the latest runs.

    Attributes:
        rows: Rows of the source; of events, their number.
        errors: Rows with an error, and refused changes of records that have no row; of events, those that were lost.
    """

    run: RunRecord
    rows: int
    changes: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorLine:
    """The mirror of a sync, as its latest runs know it.

    Attributes:
        said: What it has saved in the latest run.
        run: That run.
        difference: Records that differed when table and mirror were last compared; None where that is not known.
        compared: When that was.
    """

    said: str
    run: RunRecord
    difference: int | None = None
    compared: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPage:
    """One sync.

    Attributes:
        status: Its state, as on the first page.
        facts: None where its definition has mistakes.
        watermark: How far the source has been read; None for nothing, and where a parameter has no value.
        lines: Its latest runs.
        charts: HTML of its history; empty where there is none.
        entries: The latest entries of the audit log.
        mirror: What the mirror has saved lately; None for a sync without one.
    """

    status: SyncStatus
    facts: Facts | None
    watermark: str | None
    lines: tuple[RunLine, ...]
    charts: str
    entries: tuple[AuditEntry, ...]
    mirror: MirrorLine | None


def page_of(loaded: Loaded, app: App, now: datetime) -> SyncPage:
    """All that is known of a sync.

    Raises:
        RetryLater: The state store is away.
    """
    state, name = app.state, loaded.name
    runs = [as_seen(run, state) for run in state.runs(name, _CHARTED) if run.trigger != "definition"]
    begun = [run for run in runs if run.trigger not in {TAKEN_BACK, UNBEGUN_RETRY}]
    # Rows of events are of one hour each: beside runs of the whole source they would say nothing.
    charted = [run for run in begun if run.trigger != "events"] or begun
    return SyncPage(
        status=status_of([loaded], state, now).syncs[0],
        facts=facts_of(loaded.definition, app, now) if loaded.definition else None,
        watermark=_watermark(name, app) if loaded.definition else None,
        lines=tuple(map(_line, runs[:_LISTED])),
        charts=history_charts(charted),
        entries=state.audit(name, _ENTRIES),
        mirror=mirror_of(runs) if loaded.definition and loaded.definition.destination.mirror else None,
    )


def _watermark(name: str, app: App) -> str | None:
    """Where a run with the values of the definition begins; None where it needs others."""
    with suppress(UserError):
        return app.watermark(name)
    return None


def mirror_of(runs: Sequence[RunRecord]) -> MirrorLine | None:
    """What the latest runs say of the mirror; None where none of them has read it.

    Args:
        runs: The latest first.
    """
    read = [(run, figures) for run in runs if isinstance(figures := run.counts.get("mirror"), Mapping)]
    if not read:
        return None
    run, figures = read[0]
    compared = [(run.started, figures["difference"]) for run, figures in read if figures["difference"] is not None]
    when, difference = compared[0] if compared else (None, None)
    return MirrorLine(said=mirror_result(figures), run=run, difference=difference, compared=when)


def facts_of(definition: SyncDefinition, app: App, now: datetime) -> Facts:
    """What a definition says."""
    destination, listener = definition.destination, definition.listener
    return Facts(
        description=definition.description,
        version=definition.version,
        source=source_words(definition),
        environment=_environment(definition, app),
        table=destination.entity,
        key=definition.sync_behaviour.sync_key,
        columns=len(destination.mappings),
        schedule=schedule_words(definition, now),
        behaviour=behaviour_words(definition),
        listener=listener.status.value if listener else "",
        permissions={level: getattr(definition.permissions, level.value) for level in Level},
    )


def _environment(definition: SyncDefinition, app: App) -> str:
    try:
        joined, _ = app.joined(definition.name, without_value(definition))
    except SyncError:  # the check says what is wrong
        return definition.destination.connection or ""
    address = cleaned(str(joined.destination.service_url or ""))
    return urlsplit(address).hostname or address


def _line(run: RunRecord) -> RunLine:
    counts = run.counts
    source = counts.get("source", {})
    return RunLine(
        run=run,
        rows=source.get("processed", 0) if source else counts.get("events", 0),
        changes=records_changed(run),
        errors=rows_in_error(run) if source else counts.get("lost", 0),
    )
