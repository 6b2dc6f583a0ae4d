"""The commands before the first run: first definitions, options of columns, keys, and a test of the connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shared.cli import frame
from shared.cli.frame import EXIT_FAILED, FLAG, AsJson, Given, Name, given, output_of, program
from shared.cli.screen.progress import Bars
from shared.cli.screen.run_tables import next_lines
from shared.views.next_steps import command_line

if TYPE_CHECKING:
    from shared.jobs.setting_up.keys import AlternateKeyState, KeyReport, MadeKey
    from shared.transform.profile.keys import KeyCounts, Side

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
    output, app = output_of(context, as_json), frame.opened(context)
    found = app.setting_up.options(table, column, connection)
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


@program.command()
def keys(
    context: typer.Context,
    name: Name,
    parameters: Given = None,
    create: Annotated[
        bool,
        typer.Option(
            "--create", metavar=FLAG, help="Make the alternate key over the sync key, and wait for its index."
        ),
    ] = False,
    wait: Annotated[
        int, typer.Option("--wait", metavar="SECONDS", min=0, max=86_400, help="With --create: how long to wait.")
    ] = 600,
    as_json: AsJson = False,
) -> int:
    """Propose sync keys that are unique and filled in the source and in the table."""
    output, app = output_of(context, as_json), frame.opened(context)
    with Bars(output.err) as bars:
        report, made = app.setting_up.keys(
            name, given(parameters), create_within=wait if create else None, progress=bars
        )
    value = report.to_json() | ({"created": made.to_json()} if made else {})
    output.result(value, *_key_lines(report), *([_made_line(made, report.table)] if made else []))
    return EXIT_FAILED if made and made.status != "Active" else 0


def _key_lines(report: KeyReport) -> list[Table | Text]:
    table = Table(title=f"Possible sync keys of {report.sync}", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("Key", "Source", "Table", "Alternate key"):
        table.add_column(column, overflow="fold")
    shown = [*report.found]
    if report.now is not None and report.now not in shown:
        shown.insert(0, report.now)
    for counts in shown:
        table.add_row(*_key_cells(counts, report))
    lines: list[Table | Text] = [table]
    if not report.found:
        lines.append(Text("No column and no pair of columns is unique and filled in the source.", style="yellow"))
    if report.filtered:
        lines.append(Text("Only records of destination.filter were looked at; an alternate key is about all records."))
    return lines


def _key_cells(counts: KeyCounts, report: KeyReport) -> list[Text]:
    own = report.now is not None and counts.columns == report.now.columns
    key = Text(", ".join(counts.columns), style="green" if counts.fits else "yellow" if counts.possible else "red")
    if own:
        key.append(" (now)", style="dim")
    sides = [Text(_side(side, unit)) for side, unit in ((counts.source, "rows"), (counts.target, "records"))]
    return [key, *sides, Text(_guarded(report.guards[counts.columns], own=own))]


def _side(side: Side, unit: str) -> str:
    if not side.rows:
        return f"no {unit}"
    wrong = [f"{side.empty:,} empty"] if side.empty else []
    wrong += [f"{side.repeated:,} repeated"] if side.repeated else []
    return f"{side.rows:,} {unit}: {', '.join(wrong) or 'all different'}"


def _guarded(guard: AlternateKeyState, *, own: bool) -> str:
    if guard.name:
        return f"{guard.name}{'' if guard.active else ' (not active)'}"
    return f"none: {guard.obstacle}" if guard.obstacle else "none; --create makes it" if own else "none"


def _made_line(made: MadeKey, table: str) -> Text:
    listed = ", ".join(made.columns)
    if made.status == "Active":
        done = "was made and is" if made.made else "is"
        return Text(f"The alternate key {made.name} over {listed} {done} active.", style="green")
    if made.status == "Failed":
        said = (
            f"The index of the alternate key {made.name} over {listed} has failed: most likely records of {table} have "
            f"equal values. The system jobs of the environment have the reason. Change the records; repeat --create."
        )
        return Text(said, style="red")
    said = (
        f"The index of the alternate key {made.name} is not built yet ({made.status}). Repeat --create to wait again."
    )
    return Text(said, style="yellow")


_MARKS = {"ok": ("✓", "green"), "missing": ("✗", "red"), "note": ("–", "yellow")}


@program.command("test-connection")
def connection_test(context: typer.Context, name: Name, parameters: Given = None, as_json: AsJson = False) -> int:
    """Check secrets, sign-in, table, privileges, key and source of a sync; exit with code 1 when one is missing."""
    from shared.jobs import Phase  # noqa: PLC0415 - loads the jobs: `--help` does not wait for them

    output, app = output_of(context, as_json), frame.opened(context)
    with Bars(output.err) as bars:
        bars.phase(Phase.CHECK)
        checks = list(app.setting_up.connection_checks(name, given(parameters)))
    table = Table(title=f"Connection of {name}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    for column in ("Area", "Checked", "Found"):
        table.add_column(column, overflow="fold")
    for check in checks:
        mark, style = _MARKS[check.found]
        table.add_row(Text(mark, style=style), Text(check.area), Text(check.subject), Text(check.message))
    missing = sum(check.found == "missing" for check in checks)
    said = f"{missing} of {len(checks)} checks found something missing." if missing else "Nothing is missing."
    output.result(
        {"sync": name, "complete": not missing, "checks": [check.to_json() for check in checks]},
        table,
        Text(said, style="red" if missing else "green"),
    )
    return EXIT_FAILED if missing else 0


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
    from shared.app.setting_up import DraftRequest  # noqa: PLC0415 - as above
    from shared.jobs.setting_up.drafting import text_of  # noqa: PLC0415 - as above

    output, app = output_of(context, as_json), frame.opened(context)
    file = out or new_definition_file(app.settings.sync_definitions, name)
    check_new(file, name)
    wanted = DraftRequest(name=name, source=source, entity=entity, table=table, connection=connection)
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
