"""CONTRIBUTING.md and the folders of the tests say the same as the tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from shared.dataverse import Dataverse
from shared.state import JobQueue, StateStore

PAGE = Path("CONTRIBUTING.md").read_text("utf-8")
UNIT = Path("tests/unit")
# Tests of Bicep and of the smoke scripts: they have no room in `shared`.
OTHER_FOLDERS = {"infra"}
# Every store behaves the same: the tests of both are in one place.
TESTED_ELSEWHERE = {"state/azure"}


def rooms(top: Path, pattern: str) -> set[str]:
    """The folders below `top` that hold files of this pattern, or that hold such folders."""
    found = {file.parent.relative_to(top) for file in top.rglob(pattern)}
    return {each.as_posix() for path in found for each in (path, *path.parents)} - {"."}


def test_unit_tests_have_the_rooms_of_the_code() -> None:
    """Each room of `shared` has a folder of unit tests with its name, and no folder is left over."""
    assert rooms(UNIT, "test_*.py") - OTHER_FOLDERS == rooms(Path("shared"), "*.py") - TESTED_ELSEWHERE


def test_unit_tests_start_no_emulator() -> None:
    """A test that needs the emulator is an integration test."""
    for file in UNIT.rglob("*.py"):
        tree = ast.walk(ast.parse(file.read_text("utf-8")))
        names = {node.module for node in tree if isinstance(node, ast.ImportFrom)}
        assert names.isdisjoint({"emulator.testing", "emulator.server", "emulator.app"}), file


def replacements(node: ast.AST) -> Iterator[str]:
    """What a statement or a call puts something else into the place of: `owner.name`; without a name that is computed."""
    if isinstance(node, ast.Assign):
        yield from (ast.unparse(each) for each in node.targets if isinstance(each, ast.Attribute))
    if (
        isinstance(node, ast.Call)
        and node.args
        and re.search(r"(^|\.)(setattr|patch|patch\.object)$", ast.unparse(node.func))
    ):
        parts = [str(each.value) if isinstance(each, ast.Constant) else ast.unparse(each) for each in node.args[:2]]
        if isinstance(node.args[0], ast.Constant):
            yield parts[0]  # the whole path is one text
        elif len(parts) == 2:
            yield f"{parts[0]}.{parts[1] if isinstance(node.args[1], ast.Constant) else ''}"


def test_no_test_replaces_a_method_of_a_store_or_of_the_client() -> None:
    """Faults of a store come from `tests/store_in_front.py`; an app is given a client of a class of its own."""
    methods = {name for each in (StateStore, JobQueue, Dataverse) for name in vars(each) if not name.startswith("_")}
    owners = re.compile(r"\b(state|store|queue|dataverse|\w*(Store|Queue)|Dataverse)\)?\.(\w*)$")
    for file in Path("tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            found = [owners.search(text) for text in replacements(node)]
            bad = [each[0] for each in found if each and (not each[3] or each[3] in methods)]
            assert not bad, f"{file}: {bad}"


def test_every_kind_of_test_is_in_the_table() -> None:
    """Each folder of tests has one line, and each line has its folder."""
    table = set(re.findall(r"^\| `tests/([a-z]+)/` \|", PAGE, re.MULTILINE))
    folders = {folder.name for folder in Path("tests").iterdir() if any(folder.rglob("test_*.py"))}
    assert table == folders


def test_each_way_to_add_something_has_five_lines_and_names_files_that_exist() -> None:
    """A name with a folder is that file; a name without one is a file of the emulator."""
    ways = re.split(r"^### ", PAGE.partition("## How to add\n")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]
    assert len(ways) == 9
    for way in ways:
        assert len(re.findall(r"^[1-5]\. ", way, re.MULTILINE)) == 5, way
        for name in re.findall(r"`([\w/.-]+\.(?:py|md|json|yaml|bicep))`", way):
            assert Path(name).exists() or any(Path("emulator").rglob(name)), name
