"""The commands that write a first definition: from the XML of another platform, or from a source and a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import AsJson, output_of, program
from shared.cli.screen.run_tables import next_lines
from shared.views.next_steps import command_line

__all__: list[str] = []  # importing the module adds its commands to the program

Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="The file to write; default NAME.yaml in the folder of definitions."),
]


@program.command()
def import_xml(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A BatchDataSyncConfig file with a DynamicsTarget.")],
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Write the definition of a BatchDataSyncConfig file, and list what needs a person."""
    from shared.app.drafting import import_config  # noqa: PLC0415 - loads the models: `--help` does not wait for them

    written = import_config(file, out, frame.opened().settings.sync_definitions)
    needs, name = written.made.needs, written.made.name
    output_of(context, as_json).result(
        {"file": str(written.file), "sync": name, "needs_a_person": list(needs)},
        Text(f"Written: {written.file}"),
        *(Text(f"Needs a person: {need}", style="yellow") for need in needs),
        *next_lines([command_line("validate", name, options=("--offline",)), command_line("validate", name)]),
    )
    return 0
