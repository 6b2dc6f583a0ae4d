"""The commands that ask an environment what a definition can name: options of columns."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import AsJson, output_of, program

__all__: list[str] = []  # importing the module adds its commands to the program

Connection = Annotated[
    str | None,
    typer.Option(
        "--connection", metavar="NAME", help="A connection of type dynamics; default the only one, or DYNAMICS_URL."
    ),
]


@program.command()
def options(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Logical name, entity set name or display name.")],
    column: Annotated[str, typer.Argument(metavar="COLUMN", help="Logical name or display name.")],
    connection: Connection = None,
    as_json: AsJson = False,
) -> int:
    """Show the values and labels of a choice column."""
    output, app = output_of(context, as_json), frame.opened()
    found = app.options(table, column, connection)
    shown = Table(title=f"Options of {found.table}.{found.column.name}", title_justify="left", box=box.SIMPLE_HEAD)
    shown.add_column("Value", justify="right", no_wrap=True)
    shown.add_column("Label", overflow="fold")
    pairs = [found.goes_with(choice) for choice in found.column.choices]
    if any(pairs):
        shown.add_column("Goes with", overflow="fold")
    for choice, pair in zip(found.column.choices, pairs, strict=True):
        label = Text(" / ".join(choice.labels))
        if choice.value == found.column.default:
            label.append(" (default)", style="dim")
        shown.add_row(str(choice.value), label, *([Text(pair)] if any(pairs) else []))
    output.result(found.to_json(), shown)
    return 0
