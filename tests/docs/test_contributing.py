"""CONTRIBUTING.md and the folders of the tests say the same as the tree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

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


def test_every_kind_of_test_is_in_the_table() -> None:
    """Each folder of tests has one line, and each line has its folder."""
    table = set(re.findall(r"^\| `tests/([a-z]+)/` \|", PAGE, re.MULTILINE))
    folders = {folder.name for folder in Path("tests").iterdir() if any(folder.rglob("test_*.py"))}
    assert table == folders


def test_each_way_to_add_something_has_five_lines_and_names_files_that_exist() -> None:
    """A name with a folder is that file; a name without one is a file of the emulator."""
    ways = re.split(r"^### ", PAGE.partition("## How to add\n")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]
    assert len(ways) == 8
    for way in ways:
        assert len(re.findall(r"^[1-5]\. ", way, re.MULTILINE)) == 5, way
        for name in re.findall(r"`([\w/.-]+\.(?:py|md|json|yaml|bicep))`", way):
            assert Path(name).exists() or any(Path("emulator").rglob(name)), name
