"""Each line of `az` in the docs, scripts, workflows and messages is one that the Azure CLI takes.

`azure_cli.yaml` has its commands and options; CONTRIBUTING.md says how it is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.docs.azure_lines import VALUE, AzureLine, azure_lines

TABLE: Final[dict[str, dict[str, Any]]] = yaml.safe_load(Path("tests/docs/azure_cli.yaml").read_text("utf-8"))
# Options that every command has. https://learn.microsoft.com/cli/azure/reference-index
EVERYWHERE: Final = {
    "--output": ["json", "jsonc", "none", "table", "tsv", "yaml", "yamlc"],
    "--query": [],
    "--only-show-errors": [],
    "--subscription": [],
}
LINES: Final = azure_lines()


def mistakes(line: AzureLine) -> list[str]:
    """What the CLI would refuse of a line."""
    if line.command not in TABLE:
        return [f"az {line.command} is not in tests/docs/azure_cli.yaml: make that file anew, as CONTRIBUTING.md says"]
    known = TABLE[line.command]
    needs, values = set(known.get("needs", ())), {**EVERYWHERE, **known.get("values", {})}
    lacking = set() if line.is_mention else needs - line.options.keys()
    unknown = line.options.keys() - needs - set(known.get("takes", ())) - EVERYWHERE.keys()
    refused = [
        f"{option} does not take {value}"
        for option, given in line.options.items()
        for value in given
        if values.get(option) and value not in values[option] and VALUE not in value and "$" not in value
    ]
    return [*(f"{name} is needed" for name in sorted(lacking)), *(f"no {name}" for name in sorted(unknown)), *refused]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.place}: {line.command}")
def test_the_azure_cli_takes_the_line(line: AzureLine) -> None:
    """Its command exists, with these options and what they need."""
    assert mistakes(line) == []


def test_what_is_checked_is_used() -> None:
    """The table has no command that no line uses, and the lines come from pages, scripts and messages."""
    assert TABLE.keys() == {line.command for line in LINES}
    assert {line.place.partition("/")[0] for line in LINES} >= {"docs", "scripts", "shared"}


def test_mistakes_are_found() -> None:
    """A missing command, option or value, and one that there is not."""
    said = [
        mistakes(AzureLine("page", "keyvault secret put", {}, is_mention=True)),
        mistakes(AzureLine("page", "keyvault secret set", {"--vault": ["v"], "--name": ["n"]}, is_mention=False)),
        mistakes(AzureLine("page", "account show", {"--output": ["text"]}, is_mention=False)),
        mistakes(AzureLine("page", "keyvault secret set", {}, is_mention=True)),
    ]
    assert said[0][0].startswith("az keyvault secret put is not in")
    assert said[1:] == [["--vault-name is needed", "no --vault"], ["--output does not take text"], []]
