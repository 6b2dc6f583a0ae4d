"""`plan --all` and `run --all`: every enabled sync, in the order of lookups, and one summary."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from shared.cli.frame import EXIT_CHANGES, EXIT_ERRORS, EXIT_FAILED, EXIT_STOPPED, EXIT_UNSAFE
from shared.cli.screen.output import Output
from shared.cli.screen.progress import Bars
from shared.cli.screen.tables import shown
from shared.cli.stopping import Stopping
from shared.counted import counted
from shared.errors import DefinitionError, SyncError, UnsafePlanError, UserError
from shared.views.changes import shown_counts
from shared.views.next_steps import command_line
from shared.views.runs import changes_made

if TYPE_CHECKING:  # only named here: `--help` need not wait for the definitions to load
    from shared.app import App
    from shared.app.all_syncs import Order
    from shared.definitions import SyncDefinition
    from shared.jobs import PlanOptions, RunOptions

__all__ = ["one_or_all", "plan_all", "run_all"]

# The worst first. A sync of the first three did not reach its end, so those that need it are not started.
_WORST: Final = (EXIT_STOPPED, EXIT_FAILED, EXIT_UNSAFE, EXIT_ERRORS, EXIT_CHANGES, 0)
_STYLES: Final = {0: "green", EXIT_CHANGES: "green", EXIT_ERRORS: "yellow"}
Work = Callable[["SyncDefinition", Mapping[str, Any]], "SyncDone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDone:
    """The result of one sync.

    Attributes:
        state: In words.
        code: What the command would exit with for this sync alone; None for one that was not started.
        changes: Kind of change -> number of records.
        message: Why it did not succeed; empty otherwise.
        value: What `--json` prints for this sync alone; None where there is nothing.
    """

    state: str
    code: int | None
    changes: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    value: Mapping[str, Any] | None = None


def one_or_all(name: str | None, every: bool, **options: object) -> str | None:
    """The name of the one sync, or None for all.

    Args:
        name: What was typed.
        every: Whether `--all` was.
        options: Options that are for one sync, each with its value.

    Raises:
        UserError: A name was given beside `--all`, or none of both, or an option for one sync with `--all`.
    """
    if name is not None and every:
        raise UserError("write the name of a sync or --all, not both")
    if name is None and not every:
        raise UserError("write the name of a sync, or --all for every enabled one")
    for option, value in options.items():
        if every and value:
            raise UserError(f"--{option.replace('_', '-')} is for one sync; leave it out with --all")
    return name


def plan_all(app: App, output: Output, given: Mapping[str, str], options: PlanOptions, *, detailed: bool) -> int:
    """Plan every sync; `detailed` makes changes an exit code of their own. See `_work_on_all` for what it raises."""

    def work(definition: SyncDefinition, values: Mapping[str, Any]) -> SyncDone:
        with Bars(output.err) as bars:
            report = app.plan(definition.name, values, options, progress=bars)
        value = report.to_json()
        violations = [f"refused as unsafe: {violation}" for violation in report.plan.violations()]
        code = EXIT_UNSAFE if violations else EXIT_ERRORS if report.has_errors else 0
        if detailed and report.plan.counts.changes and not violations:
            code = EXIT_CHANGES
        state = "Refused" if violations else "Planned with errors" if report.has_errors else "Planned"
        said = "; ".join([report.cause, *violations] if report.cause else violations)
        return SyncDone(state=state, code=code, changes=shown_counts(value["planned"]), message=said, value=value)

    return _work_on_all(app, output, given, work, "plan")


def run_all(app: App, output: Output, given: Mapping[str, str], options: RunOptions) -> int:
    """Run every sync. See `_work_on_all` for what it raises."""

    def work(definition: SyncDefinition, values: Mapping[str, Any]) -> SyncDone:
        with Bars(output.err) as bars, Stopping(output, bars) as stopping:
            own = replace(options, run_id=uuid.uuid4().hex, given=values, cancelled=stopping.cancelled)
            done = app.run(definition.name, values, own, progress=stopping)
        value = done.to_json()
        return SyncDone(
            state=done.state.value,
            code=done.exit_code,
            changes=changes_made(value),
            message=done.message,
            value=value,
        )

    return _work_on_all(app, output, given, work, "run")


def _work_on_all(app: App, output: Output, given: Mapping[str, str], work: Work, what: str) -> int:
    """Do some work for every enabled sync and print the summary.

    Args:
        app: The program.
        output: Where to print.
        given: Parameters; each sync gets those that it declares.
        work: Plans or runs one sync.
        what: Key of its result in the JSON object.

    Returns:
        The worst exit code.

    Raises:
        UserError: There is no enabled sync, or no sync declares a parameter.
    """
    from shared.app.all_syncs import check_parameters, order_of  # noqa: PLC0415 - `--help` does not wait

    loaded = app.definitions()
    batches = {each.name: each.definition for each in loaded if each.definition and _is_batch(each.definition)}
    broken = {each.name: _broken(each.name, len(each.problems)) for each in loaded if each.definition is None}
    if not batches and not broken:
        raise UserError(f"there is no enabled sync in {app.settings.sync_definitions}")
    check_parameters(batches.values(), given)
    order = order_of(app, batches.values(), given)
    for circle in order.circles:
        output.say(f"The lookups of {', '.join(circle)} refer to each other: they run in this order.", style="yellow")
    done: dict[str, tuple[SyncDone, float]] = {name: (each, 0.0) for name, each in broken.items()}
    for place, name in enumerate(order.names, start=1):
        held, start = _held(name, order, done), time.monotonic()
        output.say(f"{place} of {len(order.names)}: {name}{f' is not run: {held.message}' if held else ''}")
        result = held or _tried(work, batches[name], given)
        done[name] = (result, time.monotonic() - start)
    worst = min((each.code for each, _ in done.values() if each.code is not None), key=_WORST.index)
    output.result(_json(done, order, what, worst), _table(done))
    return worst


def _is_batch(definition: SyncDefinition) -> bool:
    return definition.enabled and definition.source.type != "events"


def _broken(name: str, problems: int) -> SyncDone:
    message = f"its definition has {counted(problems, 'mistake')}: {command_line('validate', name)}"
    return SyncDone(state="Failed", code=EXIT_FAILED, message=message)


def _held(name: str, order: Order, done: Mapping[str, tuple[SyncDone, float]]) -> SyncDone | None:
    """Why a sync is not started; None where it is."""
    if any(each.code == EXIT_STOPPED for each, _ in done.values()):
        return SyncDone(state="Not run", code=None, message="stopped before it began")
    wrong = [other for other in order.needs[name] if done[other][0].code in (None, EXIT_FAILED, EXIT_UNSAFE)]
    if not wrong:
        return None
    said = f"its lookups refer to the table of {', '.join(wrong)}, which did not succeed"
    return SyncDone(state="Not run", code=None, message=said)


def _tried(work: Work, definition: SyncDefinition, given: Mapping[str, str]) -> SyncDone:
    from shared.app.all_syncs import own_parameters  # noqa: PLC0415 - `--help` does not wait for it

    try:
        return work(definition, own_parameters(definition, given))
    except UnsafePlanError as error:
        return SyncDone(state="Refused", code=EXIT_UNSAFE, message=error.message)
    except DefinitionError as error:
        return SyncDone(state="Failed", code=EXIT_FAILED, message="; ".join(map(str, error.problems)) or error.message)
    except SyncError as error:
        return SyncDone(state="Failed", code=EXIT_FAILED, message=error.message)
    except KeyboardInterrupt:  # the summary tells what the syncs before it have done
        return SyncDone(state="Cancelled", code=EXIT_STOPPED, message="stopped before it ended")


def _json(done: Mapping[str, tuple[SyncDone, float]], order: Order, what: str, worst: int) -> dict[str, Any]:
    syncs = [
        {
            "sync": name,
            "state": each.state,
            "exit_code": each.code,
            "message": each.message,
            "needs": list(order.needs.get(name, ())),
            what: each.value,
        }
        for name, (each, _) in done.items()
    ]
    return {"syncs": syncs, "circles": [list(circle) for circle in order.circles], "exit_code": worst}


def _table(done: Mapping[str, tuple[SyncDone, float]]) -> Table:
    """One line a sync: at most as wide as a terminal of 80 columns."""
    table = Table(title="Syncs", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("Sync", overflow="fold")
    table.add_column("Result", overflow="fold")
    table.add_column("Seconds", justify="right", no_wrap=True)
    for name, (each, seconds) in done.items():
        style = "dim" if each.code is None else _STYLES.get(each.code, "red")
        changes = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in each.changes.items() if count)
        said = [Text(line, style="dim") for line in (changes, shown(each.message)) if line]
        table.add_row(name, Text("\n").join([Text(each.state, style=style), *said]), f"{seconds:,.1f}")
    return table
