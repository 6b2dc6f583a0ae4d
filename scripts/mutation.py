"""Mutation test of `transform` and `reconcile`: change one operator, run the tests of the room, list what survives.

A mutant has one comparison or boolean operator changed, in Python or in the text of a SQL statement. A mutant that no
test notices is a survivor: a test is missing, or the change has no effect. Without arguments all mutants run, which
takes about an hour; `--most 100` takes a sample that is the same each time.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import SourceFileLoader
from itertools import islice
from pathlib import Path
from types import CodeType

TESTS = {
    "transform": ("tests/unit/transform",),
    "reconcile": ("tests/unit/reconcile", "tests/unit/transform/test_planning.py"),
}
PROPERTIES = {"transform": "tests/property/test_transform.py", "reconcile": "tests/property/test_reconcile.py"}
SECONDS = 300  # a mutant that takes longer than this counts as noticed
LOADED_ONCE = ("duckdb", "numpy", "pydantic", "pytest", "yaml")  # before the fork: each mutant needs them

_PYTHON = {
    "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "is not": "is", "is": "is not",
    "not in": "in", "in": "not in", "and": "or", "or": "and",
}  # fmt: skip
_SQL = {
    " AND ": " OR ", " OR ": " AND ", " = ": " <> ", " <> ": " = ", " < ": " <= ", " <= ": " < ", " > ": " >= ",
    " >= ": " > ", "IS NOT NULL": "IS NULL", "IS NULL": "IS NOT NULL", "IS DISTINCT FROM": "IS NOT DISTINCT FROM",
    "IS NOT TRUE": "IS TRUE", "NOT EXISTS": "EXISTS", "WHERE NOT ": "WHERE ", "WHEN NOT ": "WHEN ",
    " IN (": " NOT IN (", "NULLS LAST": "NULLS FIRST", "min(": "max(", "LEFT JOIN": "JOIN",
}  # fmt: skip
_SQL_TOKEN = re.compile("|".join(re.escape(text) for text in sorted(_SQL, key=len, reverse=True)))
_IS_SQL = re.compile(r"\b(SELECT|FROM|WHERE|CASE|WHEN|AND|OR|NULL|COUNT|JOIN|TRUE)\b|count\(|[a-z_}]\)? (=|<>|[<>]=?) ")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one file: the characters from `start` to `end` become `text`."""

    path: Path
    start: int
    end: int
    text: str

    def source(self) -> str:
        """Return the text of the changed file."""
        source = self.path.read_text("utf-8")
        return source[: self.start] + self.text + source[self.end :]

    def __str__(self) -> str:
        """Render as `file:line: what was -> what is`, with the line."""
        source = self.path.read_text("utf-8")
        line = source.count("\n", 0, self.start) + 1
        change = f"{source[self.start : self.end].strip()} -> {self.text.strip() or 'nothing'}"
        return f"{self.path}:{line}: {change}: {source.splitlines()[line - 1].strip()}"


class Operators(ast.NodeVisitor):
    """Finds the operators of a file: (start, end, replacement), in characters."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[tuple[int, int, str]] = []
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def _place(self, line: int | None, column: int | None) -> int:
        text = self.source[self._lines[(line or 1) - 1] :].encode()[: column or 0]
        return self._lines[(line or 1) - 1] + len(text.decode())

    def _between(self, left: ast.expr, right: ast.expr) -> None:
        start = self._place(left.end_lineno, left.end_col_offset)
        gap = self.source[start : self._place(right.lineno, right.col_offset)]
        operator = re.search(r"is not|not in|[=!<>]=|[<>]|\b(?:is|in|and|or)\b", gap)
        if operator:
            place = start + operator.start()
            self.found.append((place, place + len(operator[0]), _PYTHON[operator[0]]))

    def visit_Compare(self, node: ast.Compare) -> None:
        """Take each comparison of a chain."""
        for left, right in zip([node.left, *node.comparators], node.comparators, strict=False):
            self._between(left, right)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """Take each `and` and `or`."""
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(left, right)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Take each `not`."""
        if isinstance(node.op, ast.Not):
            start = self._place(node.lineno, node.col_offset)
            self.found.append((start, start + len("not "), ""))
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        """Leave docstrings out."""
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Take the operators of a SQL text."""
        if isinstance(node.value, str):
            self._text(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Take the operators of a SQL text with placeholders."""
        self._text(node)

    def _text(self, node: ast.expr) -> None:
        start = self._place(node.lineno, node.col_offset)
        text = self.source[start : self._place(node.end_lineno, node.end_col_offset)]
        if _IS_SQL.search(text):
            for token in _SQL_TOKEN.finditer(text):
                self.found.append((start + token.start(), start + token.end(), _SQL[token[0]]))


def mutants(room: str) -> Iterator[Mutant]:
    """Yield every mutant of a room of `shared`."""
    for path in sorted(Path("shared", room).rglob("*.py")):
        operators = Operators(path.read_text("utf-8"))
        operators.visit(ast.parse(operators.source))
        yield from (Mutant(path, *each) for each in sorted(set(operators.found)))


def _load(mutant: Mutant) -> None:
    """Make Python import the changed text in place of the file."""
    changed, path, original = mutant.source(), str(mutant.path.resolve()), SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, fullname: str) -> CodeType | None:
        return compile(changed, path, "exec") if loader.path == path else original(loader, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]  # typeshed has it in the base class


def _test(mutant: Mutant, tests: tuple[str, ...]) -> int:
    """Run tests over a mutant, in a process of its own, and return the exit code of pytest."""
    import pytest  # noqa: PLC0415 - loaded before the fork

    signal.alarm(SECONDS)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    _load(mutant)
    return int(pytest.main(["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))


def _begin(mutant: Mutant, tests: tuple[str, ...]) -> int:
    """Start the tests over a mutant and return the id of their process."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = _test(mutant, tests)
    finally:
        os._exit(code)


def survivors(chosen: list[Mutant], tests: tuple[str, ...], jobs: int) -> Iterator[Mutant]:
    """Run the tests over each mutant and yield those that no test notices."""
    running: dict[int, Mutant] = {}
    waiting = iter(chosen)
    while True:
        for mutant in islice(waiting, jobs - len(running)):
            running[_begin(mutant, tests)] = mutant
        if not running:
            return
        child, status = os.wait()
        ended = running.pop(child)
        if status == 0:
            yield ended


def score(room: str, *, most: int, jobs: int, properties: bool) -> None:
    """Run the mutants of a room and print the survivors and the score."""
    everything = list(mutants(room))
    chosen = random.Random(room).sample(everything, min(most or len(everything), len(everything)))  # noqa: S311 - a sample
    tests = (*TESTS[room], *([PROPERTIES[room]] if properties else []))
    unchanged = Mutant(chosen[0].path, 0, 0, "")
    if not list(survivors([unchanged], tests, jobs)):
        sys.exit(f"The tests of {room} fail without a mutant: run .venv/bin/pytest {' '.join(tests)}")
    survived = 0
    for mutant in survivors(chosen, tests, jobs):
        survived += 1
        print(f"survived: {mutant}", flush=True)
    killed = len(chosen) - survived
    print(f"{room}: {killed} of {len(chosen)} mutants noticed ({killed / len(chosen):.0%}); {len(everything)} exist")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="room", help=f"{' or '.join(TESTS)}; all where none is named")
    parser.add_argument("--most", type=int, default=0, help="at most this many mutants of each room")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--properties", action="store_true", help="run the property tests of the room too")
    parser.add_argument("--list", action="store_true", help="only print the mutants")
    chosen = parser.parse_args()
    os.environ["HYPOTHESIS_PROFILE"] = "ci"  # the same examples each time
    sys.path.insert(0, str(Path.cwd()))
    for name in LOADED_ONCE:
        import_module(name)
    for room in chosen.rooms or TESTS:
        if chosen.list:
            print(*mutants(room), sep="\n")
        else:
            score(room, most=chosen.most, jobs=chosen.jobs, properties=chosen.properties)


if __name__ == "__main__":
    main()
