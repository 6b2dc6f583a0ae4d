"""The commands that take a run back, and that show or erase what is kept of a record."""

from __future__ import annotations

import platform
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import RenderableType
from rich.text import Text

from shared.cli import frame
from shared.cli.failed_runs import noting_next_steps
from shared.cli.frame import EXIT_ERRORS, FLAG, MOST_SHOWN, RUN_HELP, AsJson, Name, output_of, program
from shared.cli.screen.output import Output
from shared.cli.screen.progress import Bars
from shared.cli.screen.run_tables import next_lines
from shared.cli.screen.tables import error_table, records, sample_table, shown, summary
from shared.cli.stopping import Stopping
from shared.counted import counted
from shared.errors import UserError
from shared.run_ids import SHORT_ID
from shared.views.next_steps import command_line
from shared.views.runs import run_named

if TYPE_CHECKING:
    from shared.jobs.batch.undo.planning import UndoPlan

__all__: list[str] = []  # importing the module adds its commands to the program

Yes = Annotated[bool, typer.Option("--yes", metavar=FLAG, help="Do not ask before it is done.")]


@program.command()
def undo(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="SQL", help="Only records that meet this condition on what the run wrote."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar=FLAG, help="Set back what others have changed since, too.")
    ] = False,
    yes: Yes = False,
    limit: Annotated[
        int,
        typer.Option("--limit", min=0, max=MOST_SHOWN, metavar="N", help="Number of changes to show for each action."),
    ] = 5,
    as_json: AsJson = False,
) -> int:
    """Take back what a run has changed, and pause its sync."""
    from shared.app.undoing import plan_undo  # noqa: PLC0415 - `--help` does not wait for it
    from shared.app.undoing import undo as take_back  # noqa: PLC0415 - likewise
    from shared.jobs import RunOptions  # noqa: PLC0415 - likewise

    where = _condition(where)
    output, app = output_of(context, as_json), frame.opened(context)
    run, options = run_named(run_id, app.state), RunOptions(trigger="undo", force=force)
    with Bars(output.err) as bars:
        plan = plan_undo(app, run, options, bars, where=where, sample=limit)
    given = (*(("--where", where) if where else ()), *(("--force",) if force else ()), "--yes")
    if not yes and not _agreed(output, plan, command_line("undo", run.run_id[:SHORT_ID], options=given)):
        return 0
    with Bars(output.err) as bars, Stopping(output, bars) as stopping, noting_next_steps(app, options.run_id):
        options = replace(options, cancelled=stopping.cancelled)
        done = take_back(app, run, options, stopping, where=where, by=f"command line on {platform.node()}")
    tables: list[RenderableType] = [Text(), error_table(done.errors)] if done.errors else []
    steps = [command_line("errors", done.run_id[:SHORT_ID], options=("--csv", "DIR"))] if done.errors else []
    steps.append(f"When the cause is corrected: {command_line('resume', run.sync)}")
    value = done.to_json() | {"undo_of": run.run_id, "not_undone": list(plan.not_undone)}
    output.result(value, summary(done), *tables, *next_lines(steps))
    return done.exit_code or (EXIT_ERRORS if done.errors else 0)


def _condition(where: str | None) -> str:
    """The condition that was given; empty without one. A variable of a script that is not set gives an empty text.

    Raises:
        UserError: It was given, and is empty or has only blanks: it would take the whole run back.
    """
    if where is None:
        return ""
    if not where.strip():
        raise UserError("--where is empty: give a condition, or leave the option out to take the whole run back")
    return where


def _agreed(output: Output, plan: UndoPlan, again: str) -> bool:
    """Show the plan and ask; where nobody can answer, the plan is the result, with the command that carries it out."""
    said = list(_shown(plan))
    if output.as_json or not (output.err.is_terminal and output.out.is_terminal):
        output.result(plan.to_json() | {"applied": False}, *said, *next_lines([again]))
        return False
    for each in said:
        output.say(each)
    if typer.confirm("Take it back?", err=True):
        return True
    output.say("Nothing was changed.")
    return False


def _shown(plan: UndoPlan) -> list[RenderableType]:
    counts = plan.counts
    lines = (
        ("Delete, because the run created them", counts.delete),
        ("Set back to the values before the run", counts.set_back),
        ("Create again, because the run deleted them", counts.create - counts.restore),
        ("Restore deleted ones from the recycle bin", counts.restore),
        ("Already as before the run", counts.unchanged),
        ("Edited by others since, left as it is", counts.edited),
    )
    said: list[RenderableType] = [Text(f"Undo of run {plan.run_id[:SHORT_ID]} of {plan.sync}", style="bold")]
    said += [Text(f"   {name + ':':<46}{count:>9,}{records(count)}") for name, count in lines]
    if plan.sample:
        said += [Text(), sample_table([change.to_json() for change in plan.sample])]
    if plan.edited:
        said += [Text("Edited since the run:", style="yellow"), *map(_edited, plan.edited)]
    if plan.not_undone:
        said += [Text("What does not come back:", style="yellow")]
        said += [Text(f"   {sentence}.") for sentence in plan.not_undone]
    return [*said, Text(f"The undo pauses {plan.sync}, until `dynamics-sync resume {plan.sync}`.")]


def _edited(one: Any) -> Text:
    key = ", ".join(str(value) for value in one["key"].values()) or one["id"]
    column = f" {one['column']}:" if one["column"] else ""
    return Text(f"   {key}:{column} {one['message']}")


@program.command()
def resume(context: typer.Context, name: Name, as_json: AsJson = False) -> int:
    """Let a sync run again that an undo has paused."""
    from shared.app.undoing import resume as let_run  # noqa: PLC0415 - `--help` does not wait for it

    output, app = output_of(context, as_json), frame.opened(context)
    was_paused = let_run(app, name)
    if not was_paused:
        frame.expect(app, name)
    said = f"{name} runs again." if was_paused else f"{name} was not paused."
    output.result({"sync": name, "resumed": was_paused}, Text(said))
    return 0


@program.command()
def history(
    context: typer.Context,
    name: Name,
    key: Annotated[
        list[str], typer.Argument(metavar="KEY", help="The record's key: its values in their order, or its id.")
    ],
    as_json: AsJson = False,
) -> int:
    """Show what happened to one record, run by run."""
    from shared.app.histories import history as history_of  # noqa: PLC0415 - `--help` does not wait for it

    output, app = output_of(context, as_json), frame.opened(context)
    frame.expect(app, name)
    with Bars(output.err) as bars:
        found = history_of(app, name, key, bars)
    if not found.entries and found.journals == 0:
        raise UserError(f"{name} has no journals: they are kept for JOURNAL_DAYS, for runs that changed something")
    entries = [entry.to_json() for entry in found.entries]
    several = len({entry["environment"] for entry in entries}) > 1
    lines = [line for entry in entries for line in _entry_lines(entry, with_environment=several)]
    none = [Text(f"No run with a journal has changed {', '.join(key)}."), Text(_HOW_KEYS_ARE_KEPT)]
    output.result(found.to_json(), *(lines or none))
    return 0


_HOW_KEYS_ARE_KEPT: Final = (
    "Keys are kept as Dataverse stores them: of a choice give the number and not the label, of a lookup the id of the "
    "record that it refers to, of a date 2024-01-31 or 2024-01-31T09:00:00Z. Or give the id of the record itself."
)

_DAMAGED: Final = (
    "Damaged journals may still have the record. Restore them from a backup of the state store and erase again; "
    "otherwise they are removed after JOURNAL_DAYS. They may have been the only ones that know the id of the record: "
    "so erase by the id too."
)


def _entry_lines(entry: dict[str, Any], *, with_environment: bool) -> list[Text]:
    head = Text(f"{entry['started'][:19].replace('T', ' ')}  run {entry['run_id'][:SHORT_ID]}  ", style="bold")
    head.append(entry["action"] + (f" ({entry['result']})" if entry["result"] != "applied" else ""))
    head.append(f"  in {entry['environment']}" if with_environment and entry["environment"] else "")
    lines = [Text(f"   {c['column']}: {_whole(c['before'])} → {_whole(c['after'])}") for c in entry["columns"]]
    return [head, *lines]


def _whole(value: Any) -> str:
    """A value of a record; a text is not cut."""
    return "(empty)" if value is None else value if isinstance(value, str) else shown(value)


@program.command()
def erase(
    context: typer.Context,
    key: Annotated[
        list[str], typer.Argument(metavar="KEY", help="The record's key: its values in their order, or its id.")
    ],
    sync: Annotated[
        str | None, typer.Option("--sync", metavar="NAME", help="Only what is kept of this sync; default all.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> int:
    """Remove the values of one record from everything that is kept of runs and events; not from Dataverse."""
    # `--help` does not wait for these.
    from shared.app.histories import erase as erase_record  # noqa: PLC0415
    from shared.jobs.batch.undo.record_values import SHORTEST_IN_TEXTS, found_in_texts  # noqa: PLC0415

    output, app = output_of(context, as_json), frame.opened(context)
    with Bars(output.err) as bars:
        found = erase_record(app, key, bars, sync=sync, apply=yes)
    again = [command_line("erase", key, options=(*(("--sync", sync) if sync else ()), "--yes"))]
    names = {name.replace("_", " ").capitalize(): count for name, count in found.to_json().items() if name != "unread"}
    lines = [Text(f"   {name + ':':<16}{count:>9,}") for name, count in names.items() if count]
    unread = [Text(f"{found.unread:,} dead letters are no JSON and were not searched.", style="yellow")]
    in_texts = found_in_texts(key)
    short = Text(
        "The key is too short to be looked for in messages, parameters and jobs, where it may stand: one of its values "
        f"needs {SHORTEST_IN_TEXTS} characters.",
        style="yellow",
    )
    damaged = [
        Text(f"The journal of run {run} is damaged ({', '.join(parts)}).", style="yellow")
        for run, parts in found.damaged.items()
    ]
    places = counted(found.places, "place")
    said = f"Erased in {places}." if yes else f"Found in {places}; nothing was erased."
    output.result(
        {
            "key": list(key),
            "erased": yes,
            "in_texts": in_texts,
            "places": found.to_json(),
            "damaged_journals": found.damaged,
        },
        *lines,
        Text(said),
        *([] if found.places else [Text(_HOW_KEYS_ARE_KEPT)]),
        *(unread if found.unread else []),
        *([*damaged, Text(_DAMAGED)] if damaged else []),
        *([] if in_texts else [short]),
        *(next_lines(again) if found.places and not yes else []),
    )
    return EXIT_ERRORS if found.damaged else 0
