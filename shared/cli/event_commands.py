"""The commands of real time: send events, list dead letters, send dead letters again."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import EXIT_ERRORS, MOST_SHOWN, AsJson, Name, OneOrAll, output_of, program
from shared.cli.tables import events_text, letter_table
from shared.errors import UserError
from shared.views.dead_letters import dead_letter_json

__all__: list[str] = []  # importing the module adds its commands to the program

MOST_LETTERS = 1000


@program.command()
def events(
    context: typer.Context,
    name: Name,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…",
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
    done = feed(frame.opened(), name, files, partition)
    hint = [Text(f"Next: dynamics-sync dead-letters {name}")] if done.dead_letters else []
    output.result(done.to_json(), events_text(done), *hint)
    return EXIT_ERRORS if done.dead_letters else 0


@program.command("dead-letters")
def dead_letters(
    context: typer.Context,
    name: OneOrAll = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_SHOWN, help="Events to show.")] = 50,
    as_json: AsJson = False,
) -> int:
    """Show the events that could not be applied, and why."""
    output, app = output_of(context, as_json), frame.opened()
    letters, count = app.state.dead_letters(name, limit=limit), app.state.count_dead_letters(name)
    if not letters:
        frame.expect(app, name)
    output.result(
        {"count": count, "dead_letters": [dead_letter_json(letter) for letter in letters]},
        letter_table(letters) if letters else Text("No dead letters."),
        *([Text(f"{len(letters):,} of {count:,}.")] if count > len(letters) else []),
        *([Text(f"Next: dynamics-sync replay {name or letters[0].sync}".rstrip())] if letters else []),
    )
    return 0


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

    output, app = output_of(context, as_json), frame.opened()
    letters = app.state.dead_letters(name, ids=ids or (), limit=MOST_LETTERS)
    if missing := set(ids or ()) - {letter.id for letter in letters}:
        of = f" of {name}" if name else ""
        raise UserError(f"There is no dead letter {min(missing)}{of}. `dynamics-sync dead-letters` lists them")
    if not letters:
        frame.expect(app, name)
    done = try_again(app, letters)
    output.result(
        {"settled": done.settled, "kept": done.kept},
        Text(f"{done.settled:,} applied, {done.kept:,} failed again."),
        *([Text("Next: dynamics-sync dead-letters")] if done.kept else []),
    )
    return EXIT_ERRORS if done.kept else 0
