"""One run whole: its row of the execution log, the errors of its rows, its files, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from shared.counted import counted
from shared.run_ids import SHORT_ID
from shared.state import TAKEN_BACK, UNBEGUN_RETRY, ErrorRecord, RowsToMend, RunRecord, StateStore
from shared.views.next_steps import command_line, next_steps
from shared.views.runs import run_json
from shared.views.to_mend import kept_to_mend, name_of_file, to_mend_json, to_mend_said

__all__ = ["RunReport", "count_lines", "mirror_result", "start_label", "started_by", "step_result"]

_TRIGGERS: Final[Mapping[str, str]] = {
    "timer": "by the schedule",
    "command": "from the command line",
    "job": "by a request",
    "retry": "from a corrected file",
    "events": "by events",
    "undo": "to undo another run",
    "definition": "the definition has mistakes",
    TAKEN_BACK: "the request was taken back",
    UNBEGUN_RETRY: "the corrected file cannot be used",
}
_STARTED_NOTHING: Final = frozenset({"definition", TAKEN_BACK, UNBEGUN_RETRY})
_ROWS: Final = ("processed", "verified", "rejected", "filtered")
_OTHERS: Final = ("unchanged", "ignored", "adopted", "edited", "failed", "skipped", "violations")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What is known of one run.

    Attributes:
        run: As people see it: it may be Lost.
        errors: Of its rows, by kind, the most frequent first.
        files: Where its error files were written just now.
        to_mend: Its rows in error that are not mended yet; None where none were kept, or can be read.
        to_mend_problem: Why they cannot be read; empty where they can.
        request: The id of the request that it belongs to; empty where nobody asked for it, or that is not known.
    """

    run: RunRecord
    errors: tuple[ErrorRecord, ...]
    files: tuple[str, ...] = ()
    to_mend: RowsToMend | None = None
    to_mend_problem: str = ""
    request: str = ""

    @classmethod
    def of(cls, run: RunRecord, state: StateStore, files: Sequence[object] = ()) -> Self:
        """Read the errors of a run."""
        errors = state.errors(run.run_id)
        to_mend, problem = kept_to_mend(state, run.run_id)
        written = tuple(map(str, files))
        request = "" if run.trigger == "timer" else str(state.progress(run.run_id).get("job") or "")
        return cls(run=run, errors=errors, files=written, to_mend=to_mend, to_mend_problem=problem, request=request)

    @property
    def next(self) -> tuple[str, ...]:
        """What to do about it."""
        steps = next_steps(self.run, has_errors=bool(self.errors), listed=bool(self.files))
        written = [file for file in self.files if file.endswith(name_of_file(self.run.run_id))]
        retries = [command_line("retry", self.run.run_id[:SHORT_ID], options=("--file", file)) for file in written]
        return (*retries, *steps)

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """What is to be said of its request, of rows that are mended, and of a run that is undone, as (name, text)."""
        said = to_mend_said(self.to_mend) if self.to_mend else self.to_mend_problem
        of = str(self.run.counts.get("retry_of") or "")[:SHORT_ID]
        undone = str(self.run.counts.get("undo_of") or "")[:SHORT_ID]
        return (
            *((("Request", self.request),) if self.request else ()),
            *((("Retry of", f"run {of}"),) if of else ()),
            *((("Undo of", f"run {undone}"),) if undone else ()),
            *((("Rows to mend", said),) if said else ()),
        )

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "run_id": self.run.run_id,
            "request_id": self.request,
            "run": run_json(self.run),
            "errors": [error.to_json() for error in self.errors],
            "to_mend": to_mend_json(self.to_mend),
            "to_mend_problem": self.to_mend_problem,
            "files": list(self.files),
            "next": list(self.next),
        }


def started_by(run: RunRecord) -> str:
    """What started a run, and where, in words; or why it was not started."""
    return " ".join(filter(None, (_TRIGGERS.get(run.trigger, run.trigger), f"on {run.host}" if run.host else "")))


def start_label(run: RunRecord) -> str:
    """What people call the moment in the row of a run."""
    return "Not started" if run.trigger in _STARTED_NOTHING else "Started"


def count_lines(counts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The counts of a run as (name, text), those that are not 0; a run that ended early may have none.

    Those of events have names of their own.
    """
    lines = []
    for side in ("source", "target"):
        rows = counts.get(side)
        if isinstance(rows, Mapping) and rows.get("processed"):
            said = ", ".join(f"{rows[name]:,} {name}" for name in _ROWS if rows.get(name))
            lines.append((side.capitalize(), said))
    for name, value in counts.items():
        if isinstance(value, Mapping) and value.get("planned"):
            lines.append((name.replace("_", " ").capitalize(), f"{value['done']:,} of {value['planned']:,}"))
    others = ((name, counts.get(name)) for name in (_OTHERS if "strategy" in counts else sorted(counts)))
    lines += [(name.capitalize(), f"{count:,}") for name, count in others if isinstance(count, int) and count]
    mirror = counts.get("mirror")
    lines += [("Mirror", mirror_result(mirror))] if isinstance(mirror, Mapping) else []
    steps = counts.get("post_sync")
    lines += [(f"Step {step['name']}", step_result(step)) for step in (steps if isinstance(steps, list) else ())]
    return lines


def mirror_result(mirror: Mapping[str, Any]) -> str:
    """What a mirror has saved, or why it has not, in one line.

    Args:
        mirror: As in the object of `run --json`.
    """
    if mirror["read"] == "whole":
        difference = mirror["difference"]
        compared = "" if difference is None else f"; mirror difference {difference:,}"
        return f"the whole table was read ({mirror['reason']}){compared}"
    return f"{counted(mirror['changed'], 'record')} read again, {mirror['removed']:,} removed"


def step_result(step: Mapping[str, Any]) -> str:
    """The result of a step after the sync, in one line.

    Args:
        step: As in the object of `run --json`.
    """
    figures = [
        f"{count:,} {name}" if name != "status" else f"status {count}" for name, count in step["figures"].items()
    ]
    took = [f"in {step['seconds']:,.1f} s"] if step["seconds"] else []
    earlier = [f"in run {step['run'][:SHORT_ID]}"] if step["run"] else []
    said = ", ".join([" ".join([step["state"], *took, *earlier]), *figures])
    return f"{said} ({step['message']})" if step["message"] else said
