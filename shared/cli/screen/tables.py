"""What people see: the summary, the plan, errors and runs as lines and tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from shared.counted import counted
from shared.run_ids import SHORT_ID
from shared.views.changes import ChangeLine, change_lines, shown_counts
from shared.views.errors import first_rows
from shared.views.forecast import forecast_lines
from shared.views.run_reports import mirror_result, step_result
from shared.views.runs import LOST, changes_made
from shared.visible import with_value

if TYPE_CHECKING:  # only named here: `--help` need not wait for the jobs to load
    from shared.jobs import ErrorRow, PlanReport, RowCounts, RunSummary, StepOutcome
    from shared.jobs.real_time.record import EventsSummary
    from shared.state import ErrorRecord, RunRecord

__all__ = ["error_table", "events_text", "planned", "run_table", "sample_table", "shown", "summary"]

RULE = "=" * 61
FIGURES_END = 41  # the column in which the figures of a summary end
SHOWN_CHARACTERS = 60
MESSAGE_CHARACTERS = 200
LONGEST_NAME = 32  # characters of a column's name that are kept on one line
NOT_A_YEAR = 10_000  # a whole number below it may be one, which has no separator
STYLES = {
    "Queued": "cyan",
    "Running": "cyan",
    "Succeeded": "green",
    "Completed with errors": "yellow",
    "Refused": "red",
    "Failed": "red",
    "Interrupted": "yellow",
    LOST: "yellow",
    "Cancelled": "yellow",
}
_MEANT = {  # class of an error of a side, in words
    ("source", "Invalid Row"): "row rejected",
    ("source", "Invalid Column"): "field left out",
    ("target", "Invalid Row"): "record not touched",
    ("target", "Kept Record"): "record kept",
    ("sync", "Failed Operation"): "refused by Dataverse",
}
_EVENT_RESULTS = {
    "lost": "Dead letters",
    "joined": "Joined with later ones",
    "left_out": "With fields in error",
}  # counts whose name does not describe the result of the events
_NO_RESULTS = frozenset({"events", "left_out"})  # counts of events that have another result too
_TO_DO = {
    "created": "Create",
    "updated": "Update",
    "deleted": "Delete",
    "expired": "Expire",
    "deactivated": "Deactivate",
    "marked": "Mark",
    "reactivated": "Reactivate",
    "upserted": "Upsert",
    "created_references": "Create for lookups",
}
ACTIONS = {
    "insert": "green",
    "update": "yellow",
    "expire": "magenta",
    "deactivate": "magenta",
    "mark": "magenta",
    "reactivate": "green",
    "delete": "red",
    "upsert": "green",
}


def summary(run: RunSummary) -> Text:
    """The end of a run, in the usual lines of such platforms."""
    changes = [("Created", run.created), ("Updated", run.updated), ("Deleted", run.deleted)]
    rare = (
        ("Expired", run.expired),
        ("Deactivated", run.deactivated),
        ("Marked", run.marked),
        ("Reactivated", run.reactivated),
        ("Upserted", run.upserted),
        ("References created", run.created_references),
    )
    changes += [(name, change) for name, change in rare if change.planned]
    lines = [
        _verdict(run),
        RULE,
        *_side("Source", run.source),
        *_side("Target", run.target),
        "Reconciliation:",
        *(
            _line(f"   {name}:", f"{change.done:,}/{change.planned:,}", records(change.planned))
            for name, change in changes
        ),
        *_others(
            (
                ("Adopted", run.adopted),
                ("Unchanged", run.unchanged),
                ("Ignored", run.ignored),
                ("Edited", run.edited),
                ("Failed", run.failed),
                ("Left", run.skipped),
            )
        ),
        *_left_out(run.left_out),
        *_steps(run.post_sync),
        *([f"Mirror: {mirror_result(run.mirror.to_json())}"] if run.mirror else []),
        *([_noted(run.message)] if run.clean and run.message else []),
        "-" * 47,
        f" Total elapsed time         : {_clock(run.elapsed_seconds)}",
        f" Peak physical memory usage : {run.peak_memory_mb:,.1f} MB",
        f" Requests sent              : {run.requests:,}; {run.writes:,} wrote, {run.throttled:,} were throttled",
        f" Run                        : {run.run_id}",
    ]
    return _lines(lines, style="green" if run.clean else "yellow" if run.completed else "red")


def planned(report: PlanReport) -> Text:
    """What a run would do, in the same lines."""
    counts = shown_counts(report.to_json()["planned"])
    head = f"Plan of {report.sync} ({report.strategy}): nothing has been written."
    lines = [
        head,
        RULE,
        *_side("Source", report.source),
        *_side("Target", report.target),
        "To do:",
        *(
            _line(f"   {_TO_DO.get(name, name.capitalize())}:", f"{count:,}", records(count))
            for name, count in counts.items()
        ),
        *_left_out(report.to_json()["left_out"]),
        *_steps_to_come(report.post_sync),
        *map(_noted, report.notes),
        *_forecast(report.to_json()["forecast"]),
        "-" * 47,
        f" Total elapsed time         : {_clock(report.elapsed_seconds)}",
        f" Checksum: {report.plan.checksum}",
    ]
    return _lines(lines, style="yellow" if report.plan.violations() else "green")


def sample_table(sample: Iterable[Mapping[str, Any]]) -> Table:
    """Some changes of a plan, one line a column: what the record holds and what it will hold.

    At most as wide as a terminal of 80 columns; names are not cut.

    Args:
        sample: As in the object of `plan --json`.
    """
    lines = list(change_lines(sample))
    longest = max((len(line.column) for line in lines), default=0)
    table = Table(title="Examples of changes", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Change", overflow="fold", max_width=24)
    table.add_column("Column", overflow="fold", min_width=min(longest, LONGEST_NAME))
    table.add_column("Before", overflow="fold")
    table.add_column("After", overflow="fold")
    for line in lines:
        if line.first and table.row_count:
            table.add_section()
        name = Text("\n").join([Text(line.column), Text(line.display_name, style="dim")])
        table.add_row(
            _changed(line) if line.first else Text(),
            name if line.display_name else Text(line.column),
            Text(shown(line.before)),
            Text(shown(line.after)),
        )
    return table


def _changed(line: ChangeLine) -> Text:
    """Action, row and key of a change, one below the other."""
    row = [] if line.row is None else [Text(f"row {line.row}", style="dim")]
    return Text("\n").join([Text(line.action, style=ACTIONS[line.action]), *row, Text(", ".join(map(shown, line.key)))])


def error_table(errors: Iterable[ErrorRow | ErrorRecord], *, whole: bool = False) -> Table:
    """Errors by side, class, type, column and message, with the first rows that have them; `whole` messages are long.

    It is not wider than a terminal of 80 columns, and names of columns are not cut.
    """
    table = Table(title="Errors", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Count", justify="right", no_wrap=True)
    table.add_column("Column", overflow="fold", max_width=30)
    table.add_column("Error")
    for error in errors:
        kind = f"{error.error_type} ({_MEANT.get((error.side, error.error_class), error.error_class)})"
        rows = first_rows(error.rows, error.count, error.examples)
        message = with_value(error.message, error.rows, error.examples)
        said = [
            Text(kind),
            Text(message if whole else shortened(message), style="dim"),
            Text(f"{'Row' if error.count == 1 else 'Rows'} {rows}" if rows else "", style="dim"),
        ]
        table.add_row(f"{error.count:,}", Text(error.column), Text("\n").join([line for line in said if line]))
    return table


def run_table(runs: Iterable[RunRecord]) -> Table:
    """The execution log, newest first: at most as wide as a terminal of 80 columns."""
    table = Table(title="Runs", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Run", no_wrap=True, min_width=SHORT_ID)
    table.add_column("Sync", overflow="fold")
    table.add_column("Started (UTC)", no_wrap=True, min_width=len("2000-01-31 10:00:00"))
    table.add_column("Seconds", justify="right", no_wrap=True)
    table.add_column("State", overflow="fold", min_width=max(len(word) for state in STYLES for word in state.split()))
    for run in runs:
        state = Text(run.state, style=STYLES.get(run.state, ""))
        said = [Text(line, style="dim") for line in (_did(run.counts), shown(run.message)) if line]
        table.add_row(
            Text(run.run_id[:SHORT_ID]),
            Text(run.sync),
            f"{run.started:%Y-%m-%d %H:%M:%S}",
            f"{run.duration:,.1f}",
            Text("\n").join([state, *said]),
        )
    return table


def events_text(done: EventsSummary) -> Text:
    """The results of events from a file, one line for each count."""
    received = counted(done.received, "event received", "events received")
    lines = [f"{received}, {counted(done.dead_letters, 'became a dead letter', 'became dead letters')}."]
    lines += [_line("Unclaimed:", f"{done.unclaimed:,}")] if done.unclaimed else []
    for name, counts in done.syncs.items():
        joined = counts.get("events", 0) - sum(count for what, count in counts.items() if what not in _NO_RESULTS)
        results = {**counts, **({"joined": joined} if joined > 0 else {})}
        listed = ((_EVENT_RESULTS.get(what, what.capitalize()), count) for what, count in results.items())
        lines += [f"{name}:", *(_line(f"   {what}:", f"{count:,}") for what, count in listed)]
        lines += _became_letters(done.lost.get(name, {}))
    if "" in done.lost:
        lines += ["Taken by no listener:", *_became_letters(done.lost[""])]
    return _lines(lines, style="yellow" if done.has_errors else "green")


def _became_letters(by_error: Mapping[str, int]) -> list[str]:
    return [
        _line(f"   {error}:", f"{count:,}", " became a dead letter" if count == 1 else " became dead letters")
        for error, count in by_error.items()
    ]


def shown(value: Any) -> str:
    """A JSON value in one short line, numbers as people write them."""
    match value:
        case None:
            text = ""
        case str():
            text = value
        case bool():
            text = "yes" if value else "no"
        case float():
            text = f"{value:,.2f}" if round(value, 2) == value else f"{value:,}"
        case int() if abs(value) >= NOT_A_YEAR:
            text = f"{value:,}"
        case _:
            text = json.dumps(value, ensure_ascii=False)
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"


def shortened(message: str) -> str:
    """A message in at most three lines of a terminal."""
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_CHARACTERS else f"{line[: MESSAGE_CHARACTERS - 1]}…"


def _verdict(run: RunSummary) -> str:
    if run.clean:
        return "Data sync completed successfully."
    if run.completed:
        return "Data sync completed with errors; see below."
    return f"Data sync {run.state.value.lower()}: {run.message}"


def _side(name: str, counts: RowCounts) -> list[str]:
    return [
        _line(f"{name}:", f"{counts.processed:,}", f"{records(counts.processed)} processed"),
        _line("   Verified:", f"{counts.verified:,}"),
        _line("   Rejected:", f"{counts.rejected:,}"),
        _line("   Filtered:", f"{counts.filtered:,}"),
    ]


def records(count: int) -> str:
    """The unit of a number of records."""
    return " record" if count == 1 else " records"


def _line(name: str, figure: str, unit: str = "") -> str:
    return f"{name}{figure:>{max(FIGURES_END - len(name), len(figure) + 1)}}{unit}"


def _others(counts: Sequence[tuple[str, int]]) -> list[str]:
    return [_line(f"   {name}:", f"{count:,}", records(count)) for name, count in counts if count]


def _noted(note: str) -> str:
    return note if note.startswith("Warning:") else f"Note: {note}"


def _left_out(columns: Mapping[str, int]) -> list[str]:
    """The columns whose fields were left out."""
    if not columns:
        return []
    return [
        "Fields left out:",
        *(_line(f"   {name}:", f"{count:,}", " row" if count == 1 else " rows") for name, count in columns.items()),
    ]


def _steps(steps: Sequence[StepOutcome]) -> list[str]:
    """The result of the steps after the sync."""
    return (
        ["Steps after the sync:", *(f"   {step.name}: {step_result(step.to_json())}" for step in steps)]
        if steps
        else []
    )


def _steps_to_come(steps: Sequence[Mapping[str, str]]) -> list[str]:
    lines = (f"   {step['name']} ({step['run_on']}): {step['does']}" for step in steps)
    return ["Then, after the sync:", *lines] if steps else []


def _forecast(cost: Mapping[str, Any] | None) -> list[str]:
    lines = [f"   {name + ':':<19}{said}" for name, said in forecast_lines(cost)]
    return ["Forecast of the run:", *lines] if lines else []


def _lines(lines: Sequence[str], *, style: str) -> Text:
    return Text("\n").join([Text(lines[0], style=f"bold {style}"), *(Text(line) for line in lines[1:])])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:{rest:06.3f}"


def _did(counts: Mapping[str, Any]) -> str:
    """The changes of a run as text; empty if it changed nothing."""
    return ", ".join(f"{count:,} {name}" for name, count in changes_made(counts).items())
