"""Write what the real Azure CLI says of the commands that this repository names, for `tests/docs/test_azure_lines.py`.

Run it with a Python that has azure-cli, which is no package of this project; CONTRIBUTING.md has the commands. Nothing is
sent: the commands are loaded and not run.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import yaml

from tests.docs.azure_lines import azure_lines


def described(command: str) -> dict[str, Any]:
    """The options of a command.

    Returns:
        `needs` and `takes`, lists of options by their first long names, and `values`: option to allowed values.

    Raises:
        SystemExit: There is no such command.
    """
    core = importlib.import_module("azure.cli.core")
    cli = core.get_default_cli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli, parser_cls=cli.parser_cls, commands_loader_cls=cli.commands_loader_cls, help_cls=cli.help_cls
    )
    loader = cli.invocation.commands_loader
    loader.load_command_table(command.split())
    if command not in loader.command_table:
        raise SystemExit(f"azure-cli {core.__version__} has no command 'az {command}'")
    cli.invocation.data["command_string"] = loader.command_name = command
    loader.load_arguments(command)
    found: dict[str, Any] = {"needs": [], "takes": [], "values": {}}
    for argument in loader.command_table[command].arguments.values():
        settings = argument.type.settings
        names = [str(each) for each in settings.get("options_list") or () if str(each).startswith("--")]
        if names and not names[0].startswith(("--cmd", "--__")):
            found["needs" if settings.get("required") else "takes"].append(names[0])
            if choices := settings.get("choices"):
                found["values"][names[0]] = sorted(map(str, choices))
    return {key: sorted(value) if isinstance(value, list) else value for key, value in found.items() if value}


def main() -> None:
    """Print the table."""
    core = importlib.import_module("azure.cli.core")
    lines = azure_lines()
    for query in {value for line in lines for value in line.options.get("--query", ())}:
        importlib.import_module("jmespath").compile(query)
    commands = {line.command: described(line.command) for line in sorted(lines, key=lambda each: each.command)}
    text = yaml.safe_dump(commands, sort_keys=False, width=120, default_flow_style=None)
    sys.stdout.write(
        f"# Made by tests/tools/azure_cli.py from azure-cli {core.__version__}; CONTRIBUTING.md says how.\n{text}"
    )


if __name__ == "__main__":
    main()
