"""Keep the code small: function length and count of parameters, module length, modules in a folder, broad excepts.

ruff knows most rules; these few are about the whole tree, or have an exception that ruff cannot know. Prints what is
over budget and exits with 1.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 400
FOLDER_MODULES = 15  # without __init__.py
FUNCTION_LINES = 80
PARAMETERS = 6  # without `self`; the parameters of a command are its options, as many as it has
MEDIAN_LINES = 10
BROAD_EXCEPTS = 5
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
CODE = ("shared", "emulator", "batch_sync", "event_sync", "console", "demo", "function_app.py")

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules() -> Iterator[Path]:
    """Yield every module of the product, without tests and benchmarks."""
    for place in map(Path, CODE):
        yield from [place] if place.is_file() else sorted(place.rglob("*.py"))


def full_folders() -> Iterator[str]:
    """Yield one line for each folder with more modules than the budget."""
    counts = Counter(str(path.parent) for path in modules() if path.name != "__init__.py")
    for folder, count in counts.items():
        if count > FOLDER_MODULES:
            yield f"{folder}: {count} modules (budget {FOLDER_MODULES})"


def is_broad(node: ast.AST) -> bool:
    """Whether this is an `except` that catches everything."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    return node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The number of parameters of a function; 0 for a command of the command line."""
    if any(
        isinstance(each, ast.Call) and ast.unparse(each.func) == "program.command" for each in function.decorator_list
    ):
        return 0
    given = function.args
    names = [
        each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if each
    ]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def too_long_or_wide(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield one line for each budget that a function breaks."""
    where = f"{path}:{function.lineno}: {function.name} has"
    if (lines := length(function)) > FUNCTION_LINES:
        yield f"{where} {lines} lines (budget {FUNCTION_LINES})"
    if (count := parameters(function)) > PARAMETERS:
        yield f"{where} {count} parameters (budget {PARAMETERS})"


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The number of lines of a function."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def findings() -> Iterator[str]:
    """Yield one line for each thing over budget."""
    lengths: list[int] = []
    broad: list[str] = []
    yield from full_folders()
    for path in modules():
        text = path.read_text("utf-8")
        if (lines := text.count("\n")) > MODULE_LINES:
            yield f"{path}: {lines} lines (budget {MODULE_LINES})"
        if path.stem in FORBIDDEN_NAMES:
            yield f"{path}: the name does not describe the content"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, type_of_function):
                lengths.append(length(node))
                yield from too_long_or_wide(path, node)
            if is_broad(node):
                broad.append(f"{path}:{node.lineno}")  # type: ignore[attr-defined]  # ExceptHandler has lineno
    if (median := statistics.median(lengths)) > MEDIAN_LINES:
        yield f"median function length is {median} lines (budget {MEDIAN_LINES})"
    if len(broad) > BROAD_EXCEPTS:
        yield f"{len(broad)} broad excepts (budget {BROAD_EXCEPTS}): {', '.join(broad)}"


def main() -> int:
    """Print the findings; 1 when there are any."""
    found = list(findings())
    print("\n".join(found) or "within budget")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
