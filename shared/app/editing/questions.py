"""Read-only jobs about a definition that need not be saved: a test of its connection, a preview of its first rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from shared.app.editing.draft_app import DRAFT, DraftApp, with_draft
from shared.dataverse.http.service import Meter
from shared.errors import DefinitionError, UserError
from shared.jobs import BatchJob, Phase, PlanOptions, Progress, RunOptions, plan_batch
from shared.jobs.batch.plans.previewing import previewed_definition
from shared.sources import open_source
from shared.state import JobRequest

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["ABOUT", "MOST_ROWS", "asked_by", "previewed", "tested"]

ABOUT: Final = "about.json"
"""The file of a read-only job: `file`, the name of the definition's file; `by`, the id of who asks; `rows`."""
MOST_ROWS: Final = 100
_ROWS: Final = 10


def asked_by(app: App, request: JobRequest) -> str:
    """The id of the person who asked for a read-only job; empty where that is not known.

    Raises:
        RetryLater: The state store is unavailable.
    """
    return str(_about(app, request).get("by", "")) if request.kind.is_read_only else ""


def tested(app: App, request: JobRequest, progress: Progress) -> dict[str, Any]:
    """Whether everything is there that a definition needs, as `test-connection --json` has it.

    Args:
        app: Definitions and state.
        request: The job; a draft is a file of its job.
        progress: Gets the phase.

    Raises:
        SyncError: The definition has mistakes, or a parameter has no value.
    """
    progress.phase(Phase.CHECK)
    drafted, _ = _asked(app, request)
    checks = [*drafted.app.setting_up.connection_checks(drafted.loaded.name, request.parameters)]
    missing = any(check.found == "missing" for check in checks)
    return {"sync": request.sync, "complete": not missing, "checks": [check.to_json() for check in checks]}


def previewed(app: App, request: JobRequest, progress: Progress) -> dict[str, Any]:
    """What a run of the first rows would do, as `plan --json` has it, with three numbers more.

    `rows`: how many rows; `throttled`: requests that were answered 429; `throttled_by_source`: those of them that the
    environment or the API of the source throttled.

    Args:
        app: Definitions and state.
        request: The job; a draft is a file of its job.
        progress: Gets phases and numbers of rows.

    Raises:
        SyncError: As `App.plan`.
    """
    drafted, about = _asked(app, request)
    rows = max(1, min(int(about.get("rows", _ROWS)), MOST_ROWS))
    ours, name = drafted.app, drafted.loaded.name
    definition, values = ours.joined(name, request.parameters)
    throttles = Meter()
    source = open_source(definition.source, ours.wiring.source_context(values, rows, throttles.include))
    job = BatchJob(definition=previewed_definition(definition), parameters=values, options=RunOptions(keyed=True))
    with ours.located(definition), ours.tools(definition, values, None, progress, source=source) as tools:
        tools.dataverse.service.meter.include(throttles)
        report = plan_batch(job, tools, PlanOptions(sample=rows))
        counts = {
            "throttled": tools.dataverse.usage().throttled,
            "throttled_by_source": throttles.usage().throttled,
        }
    return report.to_json() | {"rows": rows} | counts


def _asked(app: App, request: JobRequest) -> tuple[DraftApp, dict[str, Any]]:
    """The app that has the definition of a job: the draft of its job, or what is saved."""
    text = app.state.job_file(request.id, DRAFT)
    about = _about(app, request)
    if text is not None:
        drafted = with_draft(app, str(about.get("file", "draft.yaml")), text.decode())
        if drafted.loaded.problems:
            raise DefinitionError(drafted.loaded.problems)
        return drafted, about
    for loaded in app.definitions():
        if loaded.name == request.sync:
            return DraftApp(app=app, loaded=loaded), about
    raise UserError(f"there is no sync {request.sync} any more")


def _about(app: App, request: JobRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(app.state.job_file(request.id, ABOUT) or b"{}")
    return found
