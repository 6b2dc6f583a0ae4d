"""The command that shows all syncs on one screen."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import EXIT_FAILED, AsJson, output_of, program
from shared.cli.screen.tables import STYLES
from shared.views.status import Status, SyncStatus, status_of

__all__: list[str] = []  # importing the module adds its commands to the program

MINUTE, HOUR, DAY = 60, 3600, 86_400
WEEK = 6 * DAY  # in which the name of a day says which one is meant


@program.command()
def status(context: typer.Context, as_json: AsJson = False) -> int:
    """Show all syncs; exit with code 1 when one needs a person."""
    output, app, now = output_of(context, as_json), frame.opened(context), datetime.now(UTC)
    found = status_of(app.definitions(), app.state, now)
    needs = [Text(f"Needs a person: {need}", style="yellow") for need in found.needs]
    output.result(found.to_json(), status_table(found, now), *(needs or [Text("Nothing needs a person.")]))
    return EXIT_FAILED if needs else 0


def status_table(found: Status, now: datetime) -> Table:
    """One line a sync: at most as wide as a terminal of 80 columns."""
    table = Table(title="Syncs", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Sync", overflow="fold")
    table.add_column("Last run", min_width=max(len(word) for state in STYLES for word in state.split()))
    table.add_column("Last success", overflow="fold")
    table.add_column("Next run")
    for name in ("Rows", "Errors", "Dead letters"):
        table.add_column(name, justify="right")
    for sync in found.syncs:
        table.add_row(*_cells(sync, now))
    return table


def _cells(sync: SyncStatus, now: datetime) -> tuple[Text, ...]:
    last = Text("never")
    if sync.last:
        ended = ago(now, sync.last.ended or sync.last.started)
        last = Text("\n").join([Text(sync.last.state, style=STYLES.get(sync.last.state, "")), Text(ended, style="dim")])
    numbers = (sync.rows, sync.open_errors, sync.dead_letters)
    return (
        Text(sync.name),
        last,
        Text(ago(now, sync.last_success) if sync.last_success else "never"),
        Text("paused", style="yellow") if sync.paused else _due(now, sync.next_run),
        *(Text(f"{number:,}") for number in numbers),
    )


def _due(now: datetime, moment: datetime | None) -> Text:
    if moment is None:
        return Text("by hand")
    if moment <= now:
        return Text("due")
    seconds = (moment - now).total_seconds()
    shown = f"{moment:%a %H:%M}" if seconds < WEEK else f"{moment:%Y-%m-%d}"
    return Text("\n").join([Text(f"in {_span(seconds)}"), Text(f"{shown} {moment.tzname()}", style="dim")])


def ago(now: datetime, moment: datetime) -> str:
    """How long ago something was, in its largest unit."""
    return f"{_span((now - moment).total_seconds())} ago"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
