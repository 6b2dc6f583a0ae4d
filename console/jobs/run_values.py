"""One run as the page and the API show it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from console.access.rights import Level
from console.jobs.activity import Doing
from console.web.refusals import not_found
from console.web.visit import Visit
from shared.app.undoing import obstacle
from shared.state import RETRY, UNDO, Job, JobKind, RowsToMend, RunRecord, RunState
from shared.views.pages.masking import masked_error
from shared.views.run_reports import mirror_result, start_label, started_by, step_result
from shared.views.runs import LOST, as_seen
from shared.views.to_mend import file_to_mend, kept_to_mend, name_of_file

__all__ = ["RunShown", "download", "errors_of", "file_names", "run_of", "shown_run"]

# Name in the counts -> label and kind of a figure. The first three are always shown.
_FIGURES: Final = (
    ("created", "created", "add"),
    ("updated", "updated", "edit"),
    ("deleted", "deleted", "drop"),
    ("expired", "expired", "drop"),
    ("deactivated", "deactivated", "drop"),
    ("marked", "marked as dropped", "drop"),
    ("reactivated", "reactivated", "edit"),
    ("upserted", "created or updated", "add"),
    ("created_references", "created in other tables", "add"),
    ("adopted", "adopted", "edit"),
    ("unchanged", "unchanged", ""),
    ("ignored", "ignored", ""),
    ("edited", "changed by others, left alone", "bad"),
    ("failed", "refused by Dataverse", "bad"),
    ("skipped", "left for the next run", "bad"),
)
_ALWAYS: Final = 3
_ENDED_BADLY: Final = frozenset({RunState.FAILED, RunState.REFUSED, LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunShown:
    """One run.

    Attributes:
        run: As people see it: it may be Lost.
        job: The job that it belongs to; None where that is not known.
        doing: How far it is; None where it has ended.
        began: What its moment is called: a request that was taken back is not started.
        by: Who or what started it, in words.
        figures: (Count, label, kind) of its records and rows.
        facts: (Name, text).
        steps: The steps after the sync, as (name, text).
        errors: By side, class, type and column, as JSON values; masked unless the person may see values.
        files: Names of its files that can be downloaded.
        to_mend: Its rows to mend; None where there are none.
        to_mend_problem: Why they cannot be read; empty where they can.
        no_undo: Why the run cannot be taken back; empty where it can be.
    """

    run: RunRecord
    job: Job | None
    doing: Doing | None
    began: str
    by: str
    figures: list[tuple[int, str, str]]
    facts: list[tuple[str, str]]
    steps: list[tuple[str, str]]
    errors: list[dict[str, Any]]
    files: list[str]
    to_mend: RowsToMend | None
    to_mend_problem: str
    no_undo: str

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended."""
        return self.run.state == RunState.RUNNING

    @property
    def notice(self) -> str:
        """The kind of the notice that its message is shown as."""
        return "bad" if self.run.state in _ENDED_BADLY else "warn"

    @property
    def retry_of(self) -> str:
        """The run whose rows it tried again; empty for a run of the source."""
        return str(self.run.counts.get("retry_of") or "")

    @property
    def undo_of(self) -> str:
        """The run that it took back; empty for another run."""
        return str(self.run.counts.get("undo_of") or "")

    @property
    def plan(self) -> str:
        """The job whose plan it applied; empty where it applied none, or that is not known."""
        return self.job.request.of if self.job and self.job.request.kind is JobKind.APPLY else ""


def run_of(visit: Visit) -> RunRecord:
    """The run of the path, by its id or by that of its job.

    Raises:
        Refusal: It is not there, or the job has none yet.
    """
    state, given = visit.app.state, str(visit.request.path_params["run"])
    found = state.run(given)
    if found is None and (job := state.job(given)) and job.runs:
        found = state.run(job.runs[-1])
    if found is None:
        raise not_found()
    return as_seen(found, state)


def shown_run(visit: Visit) -> RunShown:
    """Read what is known of the run of the path.

    Raises:
        Refusal: It is not there.
    """
    state, run = visit.app.state, run_of(visit)
    note = state.progress(run.run_id)
    job = state.job(str(note["job"])) if note.get("job") else None
    rows, problem = kept_to_mend(state, run.run_id)
    return RunShown(
        run=run,
        job=job,
        doing=Doing.of(note) if run.state == RunState.RUNNING else None,
        began=start_label(run),
        by=_by(run, note),
        figures=_figures(run.counts),
        facts=_facts(run),
        no_undo=obstacle(visit.app, run),
        steps=[(step["name"], step_result(step)) for step in run.counts.get("post_sync") or ()],
        errors=errors_of(visit, run),
        files=file_names(visit, run, rows),
        to_mend=rows,
        to_mend_problem=problem,
    )


def _by(run: RunRecord, note: Mapping[str, Any]) -> str:
    """Who or what started a run: a person by name where that is known."""
    person = note.get("by")
    return f"by {person}" if person and run.trigger in {"job", RETRY, UNDO} else started_by(run)


def errors_of(visit: Visit, run: RunRecord) -> list[dict[str, Any]]:
    """The errors of a run as JSON values, without values of rows unless the person may see them."""
    may_read = visit.may(Level.READ)
    return [error.to_json() if may_read else masked_error(error) for error in visit.app.state.errors(run.run_id)]


def _figures(counts: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    if "strategy" not in counts:  # it has not come so far, or it is a run of events
        return [(value, name, "") for name, value in counts.items() if type(value) is int and name != "attempt"]
    found = [(_done(counts.get(name)), label, kind) for name, label, kind in _FIGURES]
    source = counts.get("source") or {}  # an undo reads none
    rejected = [(source.get("rejected", 0), "rows rejected", "bad")] if "undo_of" not in counts else []
    return [*found[:_ALWAYS], *(each for each in found[_ALWAYS:] if each[0]), *rejected]


def _done(value: Any) -> int:
    number = value.get("done") if isinstance(value, Mapping) else value
    return number if type(number) is int else 0


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    counts = run.counts
    facts = [("Strategy", counts.get("strategy")), ("Environment", counts.get("environment")), ("Machine", run.host)]
    for name, key in (("Requests", "requests"), ("Throttled", "throttled"), ("Sent again", "retries")):
        facts.append((name, f"{counts[key]:,}" if counts.get(key) else ""))
    mirror = counts.get("mirror")
    facts.append(("Mirror", mirror_result(mirror) if isinstance(mirror, Mapping) else ""))
    facts.append(("Attempt", f"{counts['attempt']}" if counts.get("attempt", 1) != 1 else ""))
    facts.append(("Version of the definition", run.version))
    return [(name, str(text)) for name, text in facts if text]


# -- Files --


def file_names(visit: Visit, run: RunRecord, rows: RowsToMend | None) -> list[str]:
    """The files of a run that can be downloaded: its error files, and its rows to mend."""
    names = [PurePath(path).name for path in visit.app.state.files(run.run_id)]
    return [*names, *([name_of_file(run.run_id)] if rows and rows.rows else [])]


def download(visit: Visit, run: RunRecord, name: str) -> tuple[bytes, dict[str, str]]:
    """A file with the headers that have a browser keep it, and never show it as a page.

    Cells of error files that look like formulas were made text when the file was written. The file to mend has the
    values as they are, because it is read again.

    Raises:
        Refusal: The run has no such file.
    """
    state = visit.app.state
    if name == name_of_file(run.run_id):
        rows, _ = kept_to_mend(state, run.run_id)
        data = file_to_mend(rows) if rows and rows.rows else None
    else:
        path = next((each for each in state.files(run.run_id) if PurePath(each).name == name), None)
        data = state.file(run.run_id, path) if path else None
    if data is None:
        raise not_found()
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return data, {"content-disposition": f'attachment; filename="{plain}"'}
