"""The commands of real time: send events, list dead letters, send dead letters again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import EXIT_ERRORS, FLAG, MOST_SHOWN, AsJson, Name, OneOrAll, output_of, program
from shared.cli.screen.letter_tables import letter_table, whole_letter
from shared.cli.screen.run_tables import next_lines
from shared.cli.screen.tables import events_text
from shared.counted import counted
from shared.errors import UserError
from shared.state import letter_pages, remove_all_letters
from shared.views.dead_letters import dead_letter_json, letter_counts, letters_named, short_id, tally

if TYPE_CHECKING:
    from shared.state import DeadLetter

__all__: list[str] = []  # importing the module adds its commands to the program

WHOLE = ", with its body; repeatable."
Unclaimed = Annotated[bool, typer.Option("--unclaimed", metavar=FLAG, help="Only events that no listener takes.")]


@program.command()
def events(
    context: typer.Context,
    name: Name,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Events as JSON or from Event Hubs Capture: files, URLs, patterns, folders; - is standard input.",
        ),
    ],
    partition: Annotated[
        str | None,
        typer.Option("--partition", metavar="HUB/ID", help="Position of Capture files whose paths do not contain it."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Process events from files as in real time."""
    from shared.cli.real_time import feed  # noqa: PLC0415 - loads the jobs: `--help` does not wait for them

    output = output_of(context, as_json)
    done = feed(frame.opened(context), name, *files, partition=partition, tell=output.say)
    command = f"dead-letters {name}" if done.dead_letters else f"runs {name}"
    hint = [Text(f"Next: dynamics-sync {command}")] if done.has_errors else []
    output.result(done.to_json(), events_text(done), *hint)
    return EXIT_ERRORS if done.has_errors else 0


@program.command("dead-letters")
def dead_letters(
    context: typer.Context,
    name: OneOrAll = None,
    ids: Annotated[list[str] | None, typer.Option("--id", metavar="ID", help=f"Show only this event{WHOLE}")] = None,
    unclaimed: Unclaimed = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_SHOWN, metavar="N", help="Events to show.")] = 50,
    as_json: AsJson = False,
) -> int:
    """Show the events that could not be applied, and why."""
    output, app = output_of(context, as_json), frame.opened(context)
    sync = _chosen(name, unclaimed=unclaimed)
    letters = letters_named(app.state, sync, ids) if ids else app.state.dead_letters(sync, limit=limit)
    count = len(letters) if ids else app.state.count_dead_letters(sync)
    if not letters:
        frame.expect(app, name)
    counts = letter_counts(app.state, (loaded.name for loaded in app.definitions()))
    value = {"count": count, "counts": counts, "dead_letters": [dead_letter_json(letter) for letter in letters]}
    if ids:
        steps = next_lines(_steps(letters, "replay", "discard"))
        output.result(value, *(line for letter in letters for line in whole_letter(letter)), *steps)
        return 0
    output.result(
        value,
        letter_table(letters) if letters else Text("No dead letters."),
        *([Text(tally(counts))] if letters else []),
        *([Text(f"Shown: the first {len(letters):,} of {count:,}.")] if count > len(letters) else []),
        *next_lines(_steps(letters, "dead-letters", "replay")),
    )
    return 0


def _chosen(name: str | None, *, unclaimed: bool) -> str | None:
    """The sync whose letters are meant; empty for those that no listener takes.

    Raises:
        UserError: A sync and `--unclaimed` are given.
    """
    if unclaimed and name:
        raise UserError("--unclaimed is for events that no sync takes: leave out the name, or --unclaimed")
    return "" if unclaimed else name


def _steps(letters: Sequence[DeadLetter], *commands: str) -> list[str]:
    """Commands about the first letter."""
    if not letters:
        return []
    first = short_id(letters[0].id)
    return [f"dynamics-sync {command} --id {first}" for command in commands]


@program.command()
def replay(
    context: typer.Context,
    name: OneOrAll = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Send only this event; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Process dead letters again; those that are applied are removed."""
    from shared.cli.real_time import try_again  # noqa: PLC0415 - loads the jobs: `--help` does not wait for them

    output, app = output_of(context, as_json), frame.opened(context)
    if not ids and not app.state.count_dead_letters(name):
        frame.expect(app, name)
    done = try_again(app, [letters_named(app.state, name, ids)] if ids else letter_pages(app.state, name))
    output.result(
        {"settled": done.settled, "kept": done.kept},
        Text(f"{done.settled:,} applied, {done.kept:,} failed again."),
        *([Text("Next: dynamics-sync dead-letters")] if done.kept else []),
    )
    return EXIT_ERRORS if done.kept else 0


@program.command()
def discard(
    context: typer.Context,
    name: OneOrAll = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Remove only this event; repeatable.")
    ] = None,
    unclaimed: Unclaimed = False,
    everything: Annotated[bool, typer.Option("--all", metavar=FLAG, help="Remove all of them.")] = False,
    as_json: AsJson = False,
) -> int:
    """Remove dead letters without applying them."""
    output, app = output_of(context, as_json), frame.opened(context)
    sync = _chosen(name, unclaimed=unclaimed)
    if not ids and not everything:
        raise UserError("write which dead letters are removed: --id ID, or --all")
    if not app.state.count_dead_letters(sync):
        frame.expect(app, name)
    removed = 0
    if ids:
        removed = app.state.remove_dead_letters([letter.id for letter in letters_named(app.state, sync, ids)])
    elif everything:
        removed = remove_all_letters(app.state, sync)
    output.result({"removed": removed}, Text(f"{counted(removed, 'dead letter')} removed."))
    return 0
