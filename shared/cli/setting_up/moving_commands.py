"""The commands that write a first definition: from the XML of another platform, or from a source and a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import AsJson, output_of, program
from shared.cli.screen.progress import Bars
from shared.cli.screen.run_tables import next_lines
from shared.cli.setting_up.metadata_commands import Connection
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

    written = import_config(file, out, frame.opened(context).settings.sync_definitions)
    needs, name = written.made.needs, written.made.name
    output_of(context, as_json).result(
        {"file": str(written.file), "sync": name, "needs_a_person": list(needs)},
        Text(f"Written: {written.file}"),
        *(Text(f"Needs a person: {need}", style="yellow") for need in needs),
        *next_lines([command_line("validate", name, options=("--offline",)), command_line("validate", name)]),
    )
    return 0


@program.command()
def new(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new sync: a-z, 0-9 and -.")],
    source: Annotated[
        str, typer.Option("--source", metavar="FILE", help="A path or URL, or the name of a connection.")
    ],
    entity: Annotated[
        str, typer.Option("--entity", metavar="TABLE", help="The table that is written: logical name or display name.")
    ],
    table: Annotated[
        str | None, typer.Option("--table", metavar="TABLE", help="With a connection: what is read from it.")
    ] = None,
    connection: Connection = None,
    out: Out = None,
    as_json: AsJson = False,
) -> int:
    """Write a first definition from a source and a table; what is uncertain has a comment."""
    from shared.app.drafting import check_new, new_definition_file, write_new  # noqa: PLC0415 - as above
    from shared.app.setting_up import Wanted  # noqa: PLC0415 - as above
    from shared.jobs.setting_up.drafting import text_of  # noqa: PLC0415 - as above

    output, app = output_of(context, as_json), frame.opened(context)
    file = out or new_definition_file(app.settings.sync_definitions, name)
    check_new(file, name)
    wanted = Wanted(name=name, source=source, entity=entity, table=table, connection=connection)
    with Bars(output.err) as bars:
        draft = app.setting_up.draft(wanted, bars)
    write_new(file, text_of(draft))
    mapped = {label: match.attribute.name for label, match in draft.matches.items()}
    left = [column.name for column in draft.columns if column.label not in mapped]
    uncertain = [
        f"{label} → {match.attribute.name}: {match.reason}" for label, match in draft.matches.items() if match.reason
    ]
    output.result(
        {
            "file": str(file),
            "sync": name,
            "mapped": mapped,
            "not_mapped": left,
            "sync_key": list(draft.key),
            "key_note": draft.key_note,
        },
        Text(f"Written: {file}"),
        Text(f"Mapped: {len(mapped)} of {len(draft.columns)} columns. Key: {', '.join(draft.key)}."),
        *(Text(f"Check: {line}", style="yellow") for line in (*uncertain, draft.key_note) if line),
        *([Text(f"Not mapped: {', '.join(left)}", style="yellow")] if left else []),
        *next_lines([command_line("validate", name), command_line("plan", name)]),
    )
    return 0
