"""The docs say what the program does: commands, options, error types, tables, links."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import TypeAdapter, ValidationError

from emulator.http.options import Options
from shared import errors
from shared.cli import boundary  # noqa: F401 - importing it registers every command
from shared.cli.frame import program
from shared.definitions import load_definition
from shared.definitions.loading.located import pydantic_problems, typed_values, unknown_keys
from shared.definitions.loading.yaml_loader import read_yaml
from shared.definitions.models import (
    Column,
    Connection,
    DynamicsDestination,
    Listener,
    Mapping,
    Source,
    SyncBehaviour,
    SyncDefinition,
)
from shared.definitions.models.sources.fixed_width import FixedColumn
from shared.jobs import RunState, RunSummary
from shared.transform import ErrorType
from shared.workspace import Table, checked


def list_of(item: Any) -> Any:
    return tuple[item, ...]


ARCHITECTURE = Path("docs/architecture.md")
PAGES = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").glob("*.md"))]
COMMANDS = Path("docs/commands.md").read_text("utf-8")
ERRORS = Path("docs/errors.md").read_text("utf-8")


@cache
def commands() -> dict[str, set[str]]:
    """Each command with its options, as the program has them."""
    group = typer.main.get_command(program)
    return {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
        for name, command in group.commands.items()  # type: ignore[attr-defined]  # a group, as the program has commands
    }


def test_every_command_is_documented() -> None:
    """The table of commands is the program's, no more and no less, in the order of its help."""
    named = re.findall(r"^\| `([a-z][a-z-]*)[ `]", COMMANDS, re.MULTILINE)
    assert [*dict.fromkeys(named)] == [*commands()]


def test_every_documented_option_exists() -> None:
    """Options in the docs belong to the commands that they are said to belong to."""
    for option, owners in re.findall(r"^\| `(-[-\w]+)[^`]*` \| ([^|]+) \|", COMMANDS, re.MULTILINE):
        for owner in re.findall(r"`([a-z-]+)`", owners):
            assert option in commands()[owner], (option, owner)


def test_every_command_line_in_the_docs_can_be_typed() -> None:
    """Each `dynamics-sync …` in the docs names a command that there is."""
    for page in PAGES:
        for name in re.findall(r"dynamics-sync +([a-z][a-z-]*)\b", page.read_text("utf-8")):
            assert name in commands(), (page, name)


def test_every_option_in_a_sentence_belongs_to_its_command() -> None:
    """As in `dynamics-sync errors RUN --csv DIR`."""
    spans = [(page, each) for page in PAGES for each in re.findall(r"`([^`\n]+)`", page.read_text("utf-8"))]
    named = [
        (page, str(found[1]), str(found[2]))
        for page, each in spans
        if (found := re.match(r"(?:dynamics-sync )?([a-z-]+) (.*)", each))
    ]
    wrong = [
        (page, name, option)
        for page, name, rest in named
        if name in commands()
        for option in re.findall(r"(?<!\S)\[?(-p|--[a-z-]+)", rest)
        if option not in {*commands()[name], "--help"}
    ]
    assert len(named) > 50
    assert wrong == []


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (page, block)
        for page in PAGES
        for block in re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    ],
    ids=lambda each: str(each)[:30],
)
def test_every_block_of_a_shell_is_shell(page: Path, text: str) -> None:
    """Its quotes, brackets and continued lines are complete; nothing is run."""
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == 0, (page, done.stderr)


def test_every_extra_is_in_quotes() -> None:
    """In the docs and in messages: zsh refuses `pip install dynamics-sync[mysql]`, because brackets are a pattern."""
    code = [file for folder in ("shared", "console", "batch_sync", "event_sync") for file in Path(folder).rglob("*.py")]
    named = [
        (path, found)
        for path in (*PAGES, *code)
        for found in re.findall(r"(.?)dynamics-sync\[", path.read_text("utf-8"))
    ]
    assert len(named) >= 7
    assert [path for path, before in named if before != '"'] == []


COMMAND_LINES = [
    (page, line.partition(" # ")[0].strip().removeprefix("$ "))
    for page in PAGES
    for block in re.findall(r"```(?:bash|sh|console)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


@pytest.mark.parametrize(("page", "line"), [each for each in COMMAND_LINES if "dynamics-sync " in each[1]], ids=str)
def test_every_example_of_a_command_can_be_typed(page: Path, line: str) -> None:
    """Its command, its options and the number of its arguments are the program's; nothing is run."""
    program_name, name, *arguments = shlex.split(line)
    assert program_name in {"dynamics-sync", ".venv/bin/dynamics-sync"}, (page, line)
    group = typer.main.get_command(program)
    command = group.commands[name]  # type: ignore[attr-defined]  # a group, as the program has commands
    assert command.make_context(name, arguments), (page, line)


@pytest.mark.parametrize("line", [line for _, line in COMMAND_LINES if "-m emulator" in line])
def test_every_example_of_the_emulator_can_be_typed(line: str) -> None:
    """Its options are those that the emulator has."""
    assert Options.parse(shlex.split(line.partition("-m emulator")[2]))


def test_every_target_of_make_in_the_docs_exists() -> None:
    """`make demo` and the others are in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", Path("Makefile").read_text("utf-8"), re.MULTILINE))
    named = {name for _, line in COMMAND_LINES for name in re.findall(r"^make ([a-z-]+)", line)}
    assert named
    assert named <= targets


# What an example in the docs may be a part of.
PARTS: list[Any] = [
    SyncDefinition, list_of(Column), list_of(Mapping), list_of(FixedColumn), Source, SyncBehaviour, Column, Mapping,
    FixedColumn, DynamicsDestination, Listener, Connection,
]  # fmt: skip
SNIPPETS = [
    (page, text)
    for page in PAGES
    if page.name != "emulator.md"  # tables of the emulator; its own tests read them
    for text in re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
]


@pytest.mark.parametrize(("page", "text"), SNIPPETS, ids=lambda each: str(each)[:40])
def test_every_example_of_a_definition_is_one(page: Path, text: str) -> None:
    """It is YAML, and as a definition or as a part of one all its keys and values are allowed; keys may be left out."""
    document = read_yaml(text)
    assert document.problems == [], page
    mistakes = {str(part): [*_mistakes(part, document.value)] for part in PARTS}
    assert not all(mistakes.values()), (page, text, mistakes)


def _mistakes(part: Any, value: object) -> Iterator[str]:
    found = [*typed_values(part, value)]
    yield from (f"{each.path}: {each.message}" for each in unknown_keys(found))
    try:
        TypeAdapter(part).validate_python(value)
    except ValidationError as error:
        problems = pydantic_problems(error.errors(include_url=False), value, found)
        yield from (f"{each.path}: {each.message}" for each in problems if "is missing" not in each.message)


def test_summary_in_the_docs_has_the_keys_of_the_real_one() -> None:
    """`run --json` is documented key by key."""
    (text,) = re.findall(r"```json\n(.*?)```", COMMANDS, re.DOTALL)
    real = RunSummary(run_id="", sync="", state=RunState.RUNNING, strategy="full").to_json()
    assert list(json.loads(text)) == list(real)


def test_every_state_of_a_run_is_documented() -> None:
    """The table of states is the program's, in its order."""
    table = COMMANDS.partition("## States of a run")[2].partition("`runs` shows")[0]
    assert re.findall(r"^\| ([A-Z][a-z ]+) \|", table, re.MULTILINE) == [state.value for state in RunState]


def test_every_error_of_the_tree_is_documented() -> None:
    """The table of errors is the tree."""
    tree = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)} - {"Problem", "SyncError"}
    assert set(re.findall(r"^\| `(\w+)` \|", ERRORS, re.MULTILINE)) == tree


def test_every_error_type_in_the_code_is_documented() -> None:
    """An error type that a run can report has a line in the docs."""
    kinds = set(re.findall(r"^\| ([A-Z][A-Za-z -]+) \|", ERRORS, re.MULTILINE))
    assert {kind.value for kind in ErrorType} <= kinds
    pattern = r"""["']((?:Duplicate|Malformed|Invalid Format|Input Format|Max Length|Mandatory Rule|Unresolved|Unknown)
                  \ (?:Key|Row|Exception|Violation|Link|Choice))["']"""
    for source in Path("shared").rglob("*.py"):
        for kind in re.findall(pattern, source.read_text("utf-8"), re.VERBOSE):
            assert kind in kinds, (source, kind)


def test_every_folder_of_the_code_has_a_line_in_the_table_of_rooms() -> None:
    """Each top folder with Python modules and each such folder in `shared`, `console` and `emulator`, once, and no other."""
    top = [folder for folder in Path().iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    below = [
        folder for room in ("shared", "console", "emulator") for folder in Path(room).rglob("*") if folder.is_dir()
    ]
    rooms = {folder.as_posix() for folder in [*top, *below] if any(folder.glob("*.py"))}
    table = ARCHITECTURE.read_text("utf-8").partition("## Rooms")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `([a-z_/]+)` \| .+\. \|$", table, re.MULTILINE)
    assert sorted(lines) == sorted(rooms)


def test_every_name_in_the_path_of_an_event_exists() -> None:
    """Each function or class is in the module that the paragraph names after it, and each stage has its function."""
    section = (
        Path("docs/architecture.md").read_text("utf-8").partition("## The path of an event\n")[2].partition("\n## ")[0]
    )
    named = re.findall(r"`(\w+)`\s+in\s+`([\w/]+)\.py`", section)
    for name, path in named:
        module = importlib.import_module(path.replace("/", "."))
        assert getattr(module, name).__module__ == module.__name__, (name, path)
    alone = set(re.findall(r"`(\w+)`", section)) - {name for name, _ in named}
    assert alone == {"wanted"}  # a table
    assert {"decode_batch", "fold_batch", "apply_batch", "record_batch"} <= {name for name, _ in named}


def defined() -> set[str]:
    """Functions, classes and methods of the code: `function`, `Class`, `Class.method`."""
    found: set[str] = set()
    for folder in ("shared", "batch_sync", "event_sync", "console"):
        for source in Path(folder).rglob("*.py"):
            for node in ast.parse(source.read_text("utf-8")).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    found.add(node.name)
                if isinstance(node, ast.ClassDef):
                    found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


PATHS = re.findall(
    r"^## (The path of [^\n]+)\n(.*?)(?=^## |\Z)", ARCHITECTURE.read_text("utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize(("title", "text"), PATHS, ids=[title for title, _ in PATHS])
def test_every_function_on_a_path_exists(title: str, text: str) -> None:
    """What a path names is a function, class or method of the code, a table of the workspace, or a file."""
    names = set(re.findall(r"`([^`\n]+)`", text))
    functions = names & defined()
    files = {name for name in names if (Path("shared") / name).is_file() or Path(name).is_file()}
    commands = {name for name in names if name.startswith("dynamics-sync ")}
    assert names - functions - files - commands - {*Table, "wanted"} == set(), title
    assert len(functions) >= 5, title


def test_the_path_of_a_batch_is_described() -> None:
    """The test above would pass without any section."""
    assert "The path of a batch" in dict(PATHS)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links point to files that exist."""
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not link.startswith(("http", "mailto")):
            assert (page.parent / link).exists(), link


def test_definition_in_the_readme_is_one() -> None:
    """The README's example can be loaded as it stands."""
    (text,) = re.findall(r"```yaml\n(.*?)```", Path("README.md").read_text("utf-8"), re.DOTALL)
    assert load_definition(text).name == "customers"


def test_formulas_in_the_docs_are_accepted() -> None:
    """Every formula that docs/columns.md shows passes the expression check."""
    formulas = re.findall(r'formula: "([^"]+)"', Path("docs/columns.md").read_text("utf-8"))
    names = ["street", "city", "country", "number", "name", "nickname"]
    assert formulas
    for formula in formulas:
        assert checked(formula, names=names, origin="docs")
