"""What a person does next: commands that can be typed as they are, with the parameters of the run that they follow."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shared.run_ids import SHORT_ID
from shared.state import TAKEN_BACK, RunRecord, RunState
from shared.views.runs import LOST

__all__ = ["command_line", "next_steps"]

PROGRAM: Final = "dynamics-sync"
_BY_THE_APP: Final = frozenset({"timer", "job", TAKEN_BACK})


def command_line(
    command: str,
    name: str | Sequence[str],
    given: Mapping[str, Any] | None = None,
    options: Sequence[str] = (),
) -> str:
    """A command as it can be typed: with the parameters that were given, quoted for a shell.

    Args:
        command: Such as `run`.
        name: The sync or the run, or the values of a key; nothing for a command that takes none here.
        given: The parameters to repeat, as values of JSON.
        options: What follows them.
    """
    names = [name] if isinstance(name, str) else [*name]
    parameters = [part for key, value in (given or {}).items() for part in ("-p", f"{key}={_parameter_text(value)}")]
    if any(each.startswith("-") for each in names):  # it would be taken for an option
        return shlex.join([PROGRAM, command, *parameters, *options, "--", *names])
    return shlex.join([PROGRAM, command, *names, *parameters, *options])


def next_steps(run: RunRecord, *, has_errors: bool, listed: bool = False) -> tuple[str, ...]:
    """What to do about a run, one sentence or command each; nothing if there is nothing to do.

    Args:
        run: As people see it: it may be Lost.
        has_errors: Whether rows of it have errors.
        listed: Whether these errors have just been shown or written.
    """
    undone = str(run.counts.get("undo_of") or "")
    steps = list(_steps_of_undo(run, undone) if undone else _steps_of_retry(run) if _retried(run) else _steps(run))
    if has_errors and not listed:
        steps.insert(0, command_line("errors", run.run_id[:SHORT_ID], options=("--csv", "DIR")))
    return tuple(steps)


def _steps(run: RunRecord) -> Iterator[str]:
    match run.state:
        case RunState.QUEUED:
            yield "The app takes the request at its next tick"
        case RunState.RUNNING:
            yield command_line("runs", run.run_id[:SHORT_ID])
        case RunState.REFUSED:
            yield command_line("plan", run.sync, run.given)
        case RunState.FAILED if run.trigger == "definition":
            yield command_line("validate", run.sync)
        case RunState.FAILED | RunState.CANCELLED:
            yield _again(run)
        case RunState.INTERRUPTED if run.trigger in _BY_THE_APP:
            yield "The app continues the work in a new run at its next tick"
        case RunState.INTERRUPTED:
            yield _again(run)
        case state if state == LOST:
            yield f"Its process has died. To run it again: {_again(run)}"
        case RunState.COMPLETED_WITH_ERRORS if run.trigger == "events" and run.counts.get("lost"):
            yield command_line("dead-letters", run.sync)


def _steps_of_retry(run: RunRecord) -> Iterator[str]:
    """The same of a run that had a person's file as its source."""
    if run.state == RunState.RUNNING:
        yield command_line("runs", run.run_id[:SHORT_ID])
    elif run.state not in {RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS}:
        yield command_line("retry", _retried(run)[:SHORT_ID], options=("--file", "FILE"))


def _steps_of_undo(run: RunRecord, undone: str) -> Iterator[str]:
    """The same of a run that took another one back, which pauses the sync."""
    if run.state == RunState.RUNNING:
        yield command_line("runs", run.run_id[:SHORT_ID])
    elif run.state == RunState.SUCCEEDED:
        yield f"When the cause is corrected: {command_line('resume', run.sync)}"
    elif run.state != RunState.COMPLETED_WITH_ERRORS:
        # The condition of the undo is not in the log. Without it the command would take back the whole run.
        yield command_line("undo", undone[:SHORT_ID], options=("--where", "SQL") if run.counts.get("undo_part") else ())


def _retried(run: RunRecord) -> str:
    """The run whose rows a run tried again; empty for a run of the source."""
    return str(run.counts.get("retry_of") or "")


def _again(run: RunRecord) -> str:
    if run.counts.get("with_plan"):  # what a run writes without it, nobody has approved
        return command_line("plan", run.sync, run.given)
    return command_line("start" if run.trigger in _BY_THE_APP else "run", run.sync, run.given)


def _parameter_text(value: Any) -> str:
    """A parameter as `-p` takes it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case _:
            return str(value)
