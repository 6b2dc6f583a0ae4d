"""One run on the terminal: what it was, how it ended, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shared.cli.screen.tables import STYLES, error_table
from shared.views.run_reports import RunReport, count_lines, start_label, started_by

if TYPE_CHECKING:  # only named here: `--help` need not wait for the state store to load
    from shared.state import RunRecord

__all__ = ["error_report", "next_lines", "whole_run", "written_lines"]

MOMENT = "%Y-%m-%d %H:%M:%S UTC"


def error_report(report: RunReport) -> list[RenderableType]:
    """How a run ended, then the errors of its rows, then what to do."""
    return [_described(report.run, [*_head(report.run), *report.links]), *_errors(report), *next_lines(report.next)]


def whole_run(report: RunReport) -> list[RenderableType]:
    """The same with the parameters and the counts."""
    run = report.run
    given = [("Parameters", "\n".join(f"{name}={value}" for name, value in run.parameters.items()))]
    lines = [*_head(run), *report.links, *(given if run.parameters else []), *count_lines(run.counts)]
    return [_described(run, lines), *_errors(report), *next_lines(report.next)]


def next_lines(steps: Iterable[str]) -> list[RenderableType]:
    """What to do next, one line each."""
    return [Text(f"Next: {step}") for step in steps]


def written_lines(files: Iterable[object]) -> list[RenderableType]:
    """The files that a command has written, one line each."""
    return [Text(f"Written: {file}") for file in files]


def _head(run: RunRecord) -> list[tuple[str, str]]:
    lines = [("Run", run.run_id), ("Sync", run.sync), ("State", run.state)]
    lines.append((start_label(run), f"{run.started.strftime(MOMENT)}, {started_by(run)}"))
    if run.ended:
        lines.append(("Ended", f"{run.ended.strftime(MOMENT)}, after {run.duration:,.1f} s"))
    if run.message:
        lines.append(("Message", run.message))
    return lines


def _described(run: RunRecord, lines: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, said in lines:
        table.add_row(name, Text(said, style=STYLES.get(run.state, "") if name == "State" else ""))
    return table


def _errors(report: RunReport) -> list[RenderableType]:
    found = [Text(), error_table(report.errors, whole=True)] if report.errors else [Text("No row errors.")]
    return [*found, *written_lines(report.files)]
