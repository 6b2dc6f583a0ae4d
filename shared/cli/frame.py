"""What every command shares: the program, its exit codes, common options, and the way to the app."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from shared.cli.screen.output import Output
from shared.errors import UserError

if TYPE_CHECKING:
    from shared.app import App

__all__ = [
    "EXIT_CHANGES",
    "EXIT_ERRORS",
    "EXIT_FAILED",
    "EXIT_STOPPED",
    "EXIT_UNSAFE",
    "FLAG",
    "MOST_SHOWN",
    "RUN_HELP",
    "AsJson",
    "Force",
    "Given",
    "HelpfulCommand",
    "Name",
    "OneOrAll",
    "Terminal",
    "expect",
    "given",
    "is_defined",
    "opened",
    "output_of",
    "program",
]

EXIT_FAILED = 1
EXIT_ERRORS = 2
EXIT_UNSAFE = 3
EXIT_CHANGES = 4
EXIT_STOPPED = 130  # 128 + SIGINT, as shells have it

MOST_SHOWN = 10_000  # lines of a table that are shown at once: they are held in memory, and no person reads more

RUN_HELP = "The id of a run or of its request, the first characters of it, or `last`."

FLAG = ""  # what the help shows in place of a value: a flag takes none


class _Group(TyperGroup):
    """The program."""

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The option, which is shown as a flag."""
        return _as_flag(super().get_help_option(ctx))


class HelpfulCommand(TyperCommand):
    """A command whose help says in words what typer says in signs: no types of Python, and ranges as a sentence."""

    def __init__(self, *arguments: Any, **keys: Any) -> None:
        super().__init__(*arguments, **keys)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = _no_type  # type: ignore[method-assign]  # its name says what it is
            if isinstance(parameter, TyperArgument | TyperOption) and parameter.min is not None:
                parameter.help = _with_range(parameter)
                # These two are for the help alone: the value is checked against what was declared.
                parameter.min = parameter.max = None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The names of the arguments, without the braces around those that are needed."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        """The option, which is shown as a flag."""
        return _as_flag(super().get_help_option(ctx))


def _no_type(ctx: Any) -> None:
    """Show no type."""


def _with_range(parameter: TyperArgument | TyperOption) -> str:
    """The help of a number, which ends with its range."""
    most = f" to {parameter.max:,}" if parameter.max is not None else " on"
    return f"{(parameter.help or '').rstrip('.')}, from {parameter.min:,}{most}."


def _as_flag(option: TyperOption | None) -> TyperOption | None:
    if option is not None:
        option.metavar = FLAG
    return option


program = typer.Typer(
    name="dynamics-sync",
    cls=_Group,
    help="Keeps Microsoft Dynamics 365 / Dataverse tables equal to a source.",
    epilog="Exit codes: 0 success; 1 the run failed or could not start; 2 it completed with rejected rows or refused "
    "changes; 3 refused by a safety limit; 4 (plan --detailed-exit-code) there are changes; 130 stopped (Ctrl-C or "
    "SIGTERM).",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a sync definition.")]
OneOrAll = Annotated[str | None, typer.Argument(metavar="NAME", help="Only this sync; default all.")]
Given = Annotated[
    list[str] | None, typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="Override a parameter; repeatable.")
]
Force = Annotated[bool, typer.Option("--force", metavar=FLAG, help="Override the safety limits.")]
AsJson = Annotated[bool, typer.Option("--json", metavar=FLAG, help="Print the result as one JSON object.")]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - `--help` does not wait for it

        typer.echo(f"dynamics-sync {version('dynamics-sync')}")
        raise typer.Exit


@program.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", metavar=FLAG, is_eager=True, callback=_print_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def given(parameters: Sequence[str] | None) -> dict[str, str]:
    """Read `-p name=value`.

    Raises:
        UserError: One has no equals sign or no name.
    """
    pairs = [parameter.partition("=") for parameter in parameters or ()]
    if wrong := [name + equals + value for name, equals, value in pairs if not (name.strip() and equals)]:
        raise UserError(f"-p {wrong[0]}: write -p NAME=VALUE")
    return {name.strip(): value for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Terminal:
    """What a command gets from the caller of the program.

    Attributes:
        output: Its two streams.
        open_app: Opens the app; None for the app with the settings of the environment.
    """

    output: Output
    open_app: Callable[[], App] | None = None


def output_of(context: typer.Context, as_json: bool) -> Output:
    """The command's two streams."""
    terminal = context.find_object(Terminal)
    output = terminal.output if terminal else Output()
    output.as_json = as_json
    return output


def expect(app: App, name: str | None) -> None:
    """Refuse an unknown name of a sync: if nothing is found for it, it may be a typing error.

    Raises:
        UserError: No definition has the name; the message lists those that there are.
    """
    if name is not None and not is_defined(app, name):
        app.definition(name)


def is_defined(app: App, name: str) -> bool:
    """Whether there is a definition of this name, with mistakes or without."""
    return name in {loaded.name for loaded in app.definitions()}


def opened(context: typer.Context) -> App:
    """The app that the command works with.

    Raises:
        UserError: A setting cannot be used.
    """
    terminal = context.find_object(Terminal)
    if terminal is not None and terminal.open_app is not None:
        return terminal.open_app()
    from shared import app as composition  # noqa: PLC0415 - wires all adapters: `--help` does not wait for them
    from shared.telemetry import RunContext  # noqa: PLC0415 - likewise

    if logging.lastResort is not None:  # where warnings of libraries go that no handler takes: standard error
        logging.lastResort.addFilter(RunContext())
    return composition.open_app()
