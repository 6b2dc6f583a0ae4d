"""The command that shows all syncs on one screen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import EXIT_FAILED, AsJson, output_of, program
from shared.cli.screen.tables import STYLES
from shared.clock import CLOCK_DIFFERENCE
from shared.views.status import Need, Status, SyncStatus, pauses_left, status_of

if TYPE_CHECKING:
    from shared.app.event_hub.waiting import HubWaiting

__all__: list[str] = []  # importing the module adds its commands to the program

MINUTE, HOUR, DAY = 60, 3600, 86_400
WEEK = 6 * DAY  # in which the name of a day says which one is meant
_PATIENCE: Final = 20.0  # seconds for which the hub may take: the first token of a developer takes some of them
_AGAIN: Final = "it has not answered in time; run the command again"


@program.command()
def status(context: typer.Context, as_json: AsJson = False) -> int:
    """Show all syncs; exit with code 1 when one needs a person."""
    from shared.app.event_hub.listening import events_waiting  # noqa: PLC0415 - `--help` does not wait for it
    from shared.app.event_hub.saying import needs_of_hub  # noqa: PLC0415 - likewise

    output, app, now = output_of(context, as_json), frame.opened(context), datetime.now(UTC)
    definitions = app.definitions()
    found, left = status_of(definitions, app.state, now), pauses_left(definitions, app.state)
    hub = events_waiting(app, _PATIENCE)
    all_needs = (*found.needs, *left, *needs_of_hub(hub))
    value = found.to_json() | {
        "paused_without_definition": [need.sync for need in left],
        "needs_a_person": bool(all_needs),
        "hub": hub.to_json() if hub else None,
    }
    needs = [Text(f"Needs a person: {_about(need)}", style="yellow") for need in all_needs]
    shown = (status_table(found, now), *_of_hub(hub), *(needs or [Text("Nothing needs a person.")]))
    output.result(value, *shown)
    return EXIT_FAILED if needs else 0


def _of_hub(hub: HubWaiting | None) -> Iterator[RenderableType]:
    """What waits in the event hub; nothing where none was asked."""
    from shared.app.event_hub.saying import hub_sentences  # noqa: PLC0415 - `--help` does not wait for it

    if hub is None:
        return
    if any(each.waiting != 0 for each in hub.partitions):
        yield _partitions_table(hub)
    for each in hub_sentences(hub, _AGAIN):
        yield Text(f"{each.count} {each.text}".strip(), style="yellow" if each.kind else "")


def _partitions_table(hub: HubWaiting) -> Table:
    """The partitions in which events wait, and those of which it is not known."""
    table = Table(title="Event hub", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Partition", overflow="fold")
    table.add_column("Events waiting", justify="right")
    for each in hub.partitions:
        if each.waiting != 0:
            table.add_row(Text(each.partition), Text(each.state if each.waiting is None else f"{each.waiting:,}"))
    return table


def _about(need: Need) -> str:
    return f"{need.sync}: {need}" if need.sync else str(need)


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
    """How long ago something was, in its largest unit; a moment that a wrong clock wrote has no such time."""
    if moment > now + CLOCK_DIFFERENCE:
        return "in the future"
    return f"{_span((now - moment).total_seconds())} ago"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
