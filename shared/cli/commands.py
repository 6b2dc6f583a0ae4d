"""The commands: each opens the app, calls one function of it, and prints the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.syntax import Syntax
from rich.text import Text

from shared.cli import frame
from shared.cli.all_syncs import one_or_all, plan_all, run_all
from shared.cli.failed_runs import noting_next_steps
from shared.cli.frame import (
    EXIT_CHANGES,
    EXIT_ERRORS,
    EXIT_FAILED,
    EXIT_STOPPED,
    EXIT_UNSAFE,
    FLAG,
    MOST_SHOWN,
    RUN_HELP,
    AsJson,
    Force,
    Given,
    Name,
    given,
    output_of,
    program,
)
from shared.cli.screen.output import write_file, write_files
from shared.cli.screen.progress import Bars
from shared.cli.screen.run_tables import error_report, next_lines, whole_run, written_lines
from shared.cli.screen.tables import error_table, planned, run_table, sample_table, summary
from shared.cli.stopping import Stopping
from shared.errors import UserError
from shared.run_ids import SHORT_ID
from shared.state import Pause
from shared.views.listeners import listener_warnings
from shared.views.next_runs import local_time, next_run, quiet_warnings
from shared.views.next_steps import command_line
from shared.views.pages.masking import masked_plan
from shared.views.pages.runs import MOST_WITH_ERRORS, runs_page
from shared.views.plan_markdown import plan_markdown
from shared.views.plan_page import plan_page
from shared.views.run_reports import RunReport
from shared.views.runs import error_files, latest_runs, run_json, run_named, runs_named
from shared.views.to_mend import to_mend_json, to_mend_said

if TYPE_CHECKING:
    from shared.app import App
    from shared.jobs import PlanReport
    from shared.workspace import Step

__all__: list[str] = []  # importing the module adds its commands to the program

Keep = Annotated[
    Path | None, typer.Option("--keep-workspace", metavar="FILE", help="Keep the run's DuckDB database in this file.")
]
CsvFolder = Annotated[Path | None, typer.Option("--csv", metavar="DIR", help="Write the error files into this folder.")]
OneSync = Annotated[str | None, typer.Argument(metavar="NAME", help="Name of a sync definition.")]
Every = Annotated[
    bool, typer.Option("--all", metavar=FLAG, help="Every enabled sync, in the order in which lookups refer to them.")
]
Fresh = Annotated[bool, typer.Option("--fresh", metavar=FLAG, help="Read the whole table, and begin its mirror anew.")]
Whole = Annotated[bool, typer.Option("--fresh", metavar=FLAG, help="Read the whole table, although it has a mirror.")]
Values = Annotated[bool, typer.Option("--values", metavar=FLAG, help="Show the values of fields in error.")]


@program.command()
def validate(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names of definitions; default all.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", metavar=FLAG, help="Do not check against the table's metadata.")
    ] = False,
    no_privileges: Annotated[
        bool, typer.Option("--no-privileges", metavar=FLAG, help="Do not check what the application users may do.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check definitions; all problems are reported at once, with file, line and column."""
    output, app = output_of(context, as_json), frame.opened(context)
    problems = app.validate(names or (), offline=offline, privileges=not no_privileges)
    checked = names or [loaded.name for loaded in app.definitions()]
    if not checked and not problems:
        raise UserError(
            f"there is no definition in {app.settings.sync_definitions}: a definition is a file that ends in .yaml; "
            f"`dynamics-sync init` makes a folder with a first one"
        )
    definitions = [loaded.definition for loaded in app.definitions() if loaded.definition]
    said = app.warnings(names or (), offline=offline)
    warnings = (*listener_warnings(definitions), *quiet_warnings(definitions), *said)
    found = {"problems": [asdict(problem) for problem in problems], "warnings": list(warnings)}
    output.result(
        {"valid": not problems, "definitions": list(checked), **found},
        *(Text(f"• {problem}") for problem in problems),
        *(Text(f"Warning: {warning}", style="yellow") for warning in warnings),
        Text(_tally(len(problems)) if problems else f"No problems in {', '.join(checked)}."),
    )
    return EXIT_FAILED if problems else 0


@program.command()
def plan(
    context: typer.Context,
    name: OneSync = None,
    every: Every = False,
    parameters: Given = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Save the plan to this file, for `run --plan`.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the plan as an HTML page.")] = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="Write the plan as Markdown, without values."),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=0, max=MOST_SHOWN, metavar="N", help="Number of changes to show for each action."),
    ] = 5,
    detailed_exit_code: Annotated[
        bool, typer.Option("--detailed-exit-code", metavar=FLAG, help="Exit with code 4 when there are changes.")
    ] = False,
    keep_workspace: Keep = None,
    csv: CsvFolder = None,
    fresh: Whole = False,
    values: Values = False,
    as_json: AsJson = False,
) -> int:
    """Compare without writing: print counts, and examples of changes before → after."""
    from shared.jobs import PlanOptions  # noqa: PLC0415 - loads the jobs: `--help` does not wait for them
    from shared.views.plan_files import PlanFile  # noqa: PLC0415 - likewise

    one = one_or_all(name, every, out=out, html=html, keep_workspace=keep_workspace, csv=csv, markdown=markdown)
    output, app = output_of(context, as_json), frame.opened(context)
    overrides = given(parameters)
    shown = PlanOptions(sample=limit, values=values, files=csv is not None, fresh=fresh)
    if one is None:
        return plan_all(app, output, overrides, shown, detailed=detailed_exit_code)
    parameter_values = app.parameters(app.definition(one), overrides)
    with Bars(output.err) as bars:
        report = app.plan(one, parameter_values, replace(shown, given=overrides), keep=keep_workspace, progress=bars)
    value = report.to_json()
    if out:
        kept = value if limit else masked_plan(value)
        write_file(out, PlanFile.of(kept, parameter_values, overrides).to_text())
    if html:
        write_file(html, plan_page(value))
    if markdown:
        write_file(markdown, plan_markdown(value, values=values))
    written = write_files(csv, report.files) if csv else []
    output.result(
        value,
        planned(report),
        *_plan_tables(report, value),
        *written_lines(written),
        *_after_plan(report, out, overrides, pause=app.state.pauses().get(report.sync)),
    )
    if report.plan.violations():
        return EXIT_UNSAFE
    if detailed_exit_code and report.plan.counts.changes:
        return EXIT_CHANGES
    return EXIT_ERRORS if report.has_errors else 0


@program.command()
def run(
    context: typer.Context,
    name: OneSync = None,
    every: Every = False,
    parameters: Given = None,
    force: Force = False,
    plan_file: Annotated[
        Path | None,
        typer.Option("--plan", metavar="FILE", help="Apply exactly this saved plan; otherwise write nothing."),
    ] = None,
    keep_workspace: Keep = None,
    fresh: Fresh = False,
    values: Values = False,
    as_json: AsJson = False,
) -> int:
    """Run one sync, or every enabled one."""
    from shared.jobs import ApprovedPlan, RunOptions  # noqa: PLC0415 - loads the jobs: `--help` does not wait for them
    from shared.views.plan_files import PlanFile  # noqa: PLC0415 - likewise

    one = one_or_all(name, every, plan=plan_file, keep_workspace=keep_workspace)
    output, typed = output_of(context, as_json), given(parameters)
    if one is None:
        return run_all(frame.opened(context), output, typed, RunOptions(force=force, fresh=fresh, values=values))
    saved = PlanFile.read(plan_file, sync=one) if plan_file else None
    approved = ApprovedPlan(checksum=saved.checksum, id=saved.id, watermark=saved.watermark) if saved else None
    repeated = {**(saved.given_values() if saved else {}), **typed}
    options = RunOptions(force=force, approved=approved, given=repeated, fresh=fresh, values=values)
    overrides = {**(saved.values() if saved else {}), **typed}
    app = frame.opened(context)
    with Bars(output.err) as bars, Stopping(output, bars) as stopping, noting_next_steps(app, options.run_id):
        options = replace(options, cancelled=stopping.cancelled)
        done = app.run(one, overrides, options, keep=keep_workspace, progress=stopping)
    tables: list[RenderableType] = [Text(), error_table(done.errors)] if done.errors else []
    hint = [command_line("errors", done.run_id[:SHORT_ID], options=("--csv", "DIR"))] if done.errors else []
    if done.exit_code == EXIT_STOPPED:
        hint.append(command_line("plan" if approved else "run", one, repeated))
    output.result(done.to_json(), summary(done), *tables, *next_lines(hint))
    return done.exit_code


@program.command()
def explain(context: typer.Context, name: Name, parameters: Given = None, as_json: AsJson = False) -> int:
    """Print the SQL of every step."""
    output = output_of(context, as_json)
    steps = frame.opened(context).explain(name, given(parameters))
    output.result(
        {"sync": name, "steps": [{"title": s.title, "origin": s.origin, "sql": s.sql} for s in steps]},
        *(
            Syntax(f"-- {number}. {step.title}{_place(step)}\n{step.sql};\n", "sql", background_color="default")
            for number, step in enumerate(steps, start=1)
        ),
    )
    return 0


@program.command()
def runs(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Only this sync; or the id of a run, or `last`: all about it."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST_SHOWN, metavar="N", help="Runs to show.")] = 20,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write them as an HTML page with charts.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show the execution log, newest first, or one run whole."""
    app, output = frame.opened(context), output_of(context, as_json)
    records = latest_runs(app.state, name, limit)
    if not records and name is not None and not frame.is_defined(app, name):
        if runs_named(name, app.state):
            if html:
                raise UserError("--html shows several runs: give the name of a sync, or none, instead of a run's id")
            report = RunReport.of(run_named(name, app.state), app.state)
            output.result(report.to_json(), *whole_run(report))
            return 0
        app.definition(name)
    if html:
        errors = [error for record in records[:MOST_WITH_ERRORS] for error in app.state.errors(record.run_id)]
        write_file(html, runs_page(records, errors, sync=name, made=datetime.now(UTC)))
    said: list[RenderableType] = [run_table(records) if records else Text("No runs yet.")]
    value: dict[str, Any] = {"runs": [run_json(record) for record in records]}
    if name is not None:
        following = _next_run(app, name)
        value["next_run"] = following.isoformat() if following else None
        said += [Text(f"Next run: {local_time(following)}")] if following else []
    output.result(value, *said)
    return 0


def _next_run(app: App, name: str) -> datetime | None:
    """When the timer starts a sync next; None for one without a schedule or without a definition that can be used."""
    from shared.jobs.batch.attempts import last_run  # noqa: PLC0415 - loads the jobs: `--help` does not wait for them

    definition = next((each.definition for each in app.definitions() if each.name == name), None)
    if definition is None:
        return None
    now = datetime.now(UTC)
    last = last_run(app.state, name, now)
    return next_run(definition.timetable, last.started if last else None, now)


@program.command()
def errors(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    csv: CsvFolder = None,
    as_json: AsJson = False,
) -> int:
    """Show how a run ended, the errors of its rows, and what to do next."""
    output, state = output_of(context, as_json), frame.opened(context).state
    record = run_named(run_id, state)
    files = write_files(csv, error_files(state, record.run_id)) if csv else []
    report = RunReport.of(record, state, files)
    output.result(report.to_json(), *error_report(report))
    return 0


@program.command()
def retry(
    context: typer.Context,
    run_id: Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)],
    file: Annotated[
        Path, typer.Option("--file", metavar="FILE", help="Its file to mend, as `errors --csv` writes it, corrected.")
    ],
    force: Force = False,
    values: Values = False,
    as_json: AsJson = False,
) -> int:
    """Run only the rows in error of a run, from a corrected file."""
    from shared.app.retrying import retry as run_again  # noqa: PLC0415 - `--help` does not wait for it
    from shared.jobs import RunOptions  # noqa: PLC0415 - likewise

    output, app = output_of(context, as_json), frame.opened(context)
    run, options = run_named(run_id, app.state), RunOptions(force=force, values=values)
    with Bars(output.err) as bars, Stopping(output, bars) as stopping, noting_next_steps(app, options.run_id):
        done = run_again(app, run, file, replace(options, cancelled=stopping.cancelled), stopping)
    tables: list[RenderableType] = [Text(), error_table(done.errors)] if done.errors else []
    left = app.state.rows_to_mend(run.run_id)
    said = [Text(f"Rows to mend of run {run.run_id[:SHORT_ID]}: {to_mend_said(left)}.")] if left else []
    hint = [command_line("errors", run.run_id[:SHORT_ID], options=("--csv", "DIR"))] if left and left.rows else []
    value = done.to_json() | {"retry_of": run.run_id, "to_mend": to_mend_json(left)}
    output.result(value, summary(done), *tables, *said, *next_lines(hint))
    return done.exit_code


@program.command()
def watermark(
    context: typer.Context,
    name: Name,
    reset: Annotated[
        bool, typer.Option("--reset", metavar=frame.FLAG, help="Remove all of the sync: the next run reads all rows.")
    ] = False,
    value: Annotated[
        str | None, typer.Option("--set", metavar="VALUE", help="Let the next run begin at this value of the column.")
    ] = None,
    parameters: Given = None,
    as_json: AsJson = False,
) -> int:
    """Show how far the source of a sync has been read, or change it."""
    output, app = output_of(context, as_json), frame.opened(context)
    if reset and value is not None:
        raise UserError("write --reset or --set VALUE, not both")
    if reset or value is not None:
        app.set_watermark(name, value, given(parameters))
    found = app.watermark(name, given(parameters))
    said = f"The next run of {name} begins at {found}." if found else f"The next run of {name} reads all rows."
    output.result({"sync": name, "watermark": found}, Text(said))
    return 0


@program.command()
def schema(context: typer.Context) -> int:
    """Print the JSON Schema of a definition; editors use it for completion."""
    from shared.definitions import export_schema  # noqa: PLC0415 - loaded when it is asked for: `--help` does not wait

    output_of(context, True).result(export_schema())
    return 0


def _tally(problems: int) -> str:
    return "1 problem." if problems == 1 else f"{problems} problems."


def _place(step: Step) -> str:
    return f" ({step.origin})" if step.origin else ""


def _plan_tables(report: PlanReport, value: Mapping[str, Any]) -> list[RenderableType]:
    tables: list[RenderableType] = [sample_table(value["sample"])] if value["sample"] else []
    tables += [error_table(report.errors)] if report.errors else []
    return [Text(), *tables] if tables else []


def _after_plan(
    report: PlanReport, out: Path | None, overrides: Mapping[str, str], *, pause: Pause | None
) -> list[RenderableType]:
    """What stands in the way of the plan, or the next command."""
    violations = [f"Refused as unsafe: {violation}." for violation in report.plan.violations()]
    if report.cause:
        return [Text(line, style="yellow") for line in (report.cause, *violations)]
    if violations:
        todo = "Next: check the changes. If they are correct, change sync_behaviour.safety in the definition."
        return [*(Text(line, style="yellow") for line in violations), Text(todo)]
    if not report.plan.counts.changes:
        whole = not report.errors and not report.plan.counts.ignored
        return [Text("No changes: the target equals the source." if whole else "No changes to write.")]
    # The saved plan has the parameters.
    step = (
        command_line("run", report.sync, options=("--plan", str(out)))
        if out
        else command_line("run", report.sync, overrides)
    )
    if pause is not None:  # a run is refused until then
        return [Text(str(pause), style="yellow"), *next_lines([command_line("resume", report.sync), step])]
    return next_lines([step])
