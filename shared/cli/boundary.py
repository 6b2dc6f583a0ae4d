"""The boundary of the command line: every way in which a command can end becomes a message and an exit code.

0 success · 1 failed or could not start · 2 completed with rejected rows or refused changes ·
3 refused by a safety limit · 4 there are changes (`plan --detailed-exit-code`) · 130 stopped, from the keyboard or
by SIGTERM.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from typer.exceptions import Abort, TyperException
from typer.models import CommandInfo

from shared.cli import (
    commands,
    console_command,
    event_commands,
    job_commands,
    pipeline_commands,
    status_commands,
    undo_commands,
)
from shared.cli.frame import EXIT_FAILED, EXIT_STOPPED, EXIT_UNSAFE, HelpfulCommand, Terminal, program
from shared.cli.screen.output import Output
from shared.cli.setting_up import init_command, setting_up_commands
from shared.errors import DefinitionError, RetryLater, SyncError, UnsafePlanError, UserError
from shared.redaction import cleaned

if TYPE_CHECKING:
    from shared.app import App  # `--help` need not wait for it

__all__ = ["run"]

# Each adds its commands to the program.
COMMANDS = (
    init_command,
    setting_up_commands,
    commands,
    event_commands,
    console_command,
    job_commands,
    pipeline_commands,
    status_commands,
    undo_commands,
)
# The tasks and their commands, in the order of the help and of docs/commands.md.
TASKS: Final = {
    "First steps": ("init", "new", "import-xml", "options", "keys", "test-connection"),
    "Check and run": ("validate", "plan", "run", "explain"),
    "Look at results": ("status", "runs", "errors", "history"),
    "Repair": ("retry", "undo", "resume", "watermark"),
    "Real time": ("events", "dead-letters", "replay", "discard"),
    "Operate": ("start", "cancel", "publish", "console", "erase", "schema"),
}
_PLACES: Final = {
    name: (place, task)
    for place, (task, name) in enumerate((task, name) for task, names in TASKS.items() for name in names)
}


def _place(command: CommandInfo) -> tuple[int, str]:
    """The place of a command in the help, and its task."""
    return _PLACES[command.name or getattr(command.callback, "__name__", "").replace("_", "-")]


program.registered_commands.sort(key=_place)
for _command in program.registered_commands:
    _command.cls = HelpfulCommand
    _command.rich_help_panel = _place(_command)[1]


def run(arguments: Sequence[str], *, open_app: Callable[[], App] | None = None) -> int:
    """Run one command and return its exit code; no exception gets past here, and no traceback to a user.

    Args:
        arguments: What was typed.
        open_app: Opens the app; that with the settings of the environment when not given.
    """
    output = Output()
    output.as_json = "--json" in arguments  # until the options are read, and where they are not read to their end
    try:
        _check_text(arguments)
        given = list(arguments) or ["--help"]
        terminal = Terminal(output, open_app)
        code = int(program(given, prog_name="dynamics-sync", standalone_mode=False, obj=terminal) or 0)
    except SyncError as error:
        return _refused(error, output)
    except TyperException as error:
        said = error.format_message().rstrip(".")
        return _failed(output, "UsageError", f"{said}{'' if said.endswith('?') else '.'} Try --help.")
    except Abort:  # Ctrl-C or the end of the input at a question
        return _failed(output, "Stopped", "Stopped at the question. Nothing was changed.", code=EXIT_STOPPED)
    except Exception:  # noqa: BLE001 - the boundary of the program: an unexpected error becomes a message and a file
        return _unforeseen(output)
    if code == EXIT_STOPPED and not output.told:  # typer exits with this code and no message
        return _failed(output, "Stopped", "Stopped before the run ended.", code=code)
    return code


def _check_text(arguments: Sequence[str]) -> None:
    """Refuse an option with an empty value, and bytes that are not text: Python gives them as lone surrogates.

    A variable of a script that is not set gives an empty text. It may stand for a condition or a file, and without it a
    command would do something else.

    Raises:
        UserError: An argument is one of these.
    """
    for place, argument in enumerate(arguments, start=1):
        if option := _empty_option(argument, before=arguments[place - 2] if place > 1 else ""):
            raise UserError(f"the value of {option} is empty: give one, or leave the option out")
        try:
            argument.encode("utf-8")
        except UnicodeEncodeError:
            raise UserError(f"argument {place} ({argument}) holds bytes that are not valid UTF-8") from None


def _empty_option(argument: str, *, before: str) -> str:
    """The option whose value is empty; empty where there is none."""
    if not argument:
        return before if before.startswith("-") else ""
    return argument.removesuffix("=") if argument.startswith("--") and argument.endswith("=") else ""


def _refused(error: SyncError, output: Output) -> int:
    problems = [asdict(problem) for problem in error.problems] if isinstance(error, DefinitionError) else []
    message = error.message
    if isinstance(error, RetryLater):
        message = f"{message.rstrip('.')}. Try again in {error.retry_after:.0f} s."
    code = EXIT_UNSAFE if isinstance(error, UnsafePlanError) else EXIT_FAILED
    more = {"problems": problems, "next": getattr(error, "__notes__", [])}
    return _failed(output, type(error).__name__, message, more=more, code=code)


def _failed(
    output: Output, kind: str, message: str, *, more: Mapping[str, list[Any]] | None = None, code: int = EXIT_FAILED
) -> int:
    """Tell an error, with what there is of `more`: the problems of a definition, and the next steps."""
    lists = {name: listed for name, listed in (more or {}).items() if listed}
    output.say(f"ERROR: {message}", style="red")
    for step in lists.get("next", ()):
        output.say(f"Next: {step}")
    error = {"type": kind, "message": message} | lists
    with suppress(UserError):  # where standard output is what failed, standard error has it
        output.result({"error": error, "exit_code": code})
    return code


def _unforeseen(output: Output) -> int:
    """Keep the traceback in a file, for the developers of the program."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="dynamics-sync-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(cleaned(traceback.format_exc()))
    kind = sys.exc_info()[0]
    name = kind.__name__ if kind else "Error"
    return _failed(output, name, f"An unexpected error occurred ({name}). Details: {file.name}")
