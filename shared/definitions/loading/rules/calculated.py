"""Columns that are calculated, as a raw definition writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.yaml_loader import Path

__all__ = ["CALCULATING", "calculation_problems", "is_calculated"]

CALCULATING: Final = ("formula", "cases", "script")
"""The keys that make a column a calculated one."""


def is_calculated(column: Mapping[str, Any]) -> bool:
    """Whether a column is calculated, and not read from the source."""
    return column.get("formula") is not None or bool(column.get("cases")) or column.get("script") is not None


def calculation_problems(path: Path, column: Mapping[str, Any]) -> Iterator[PathProblem]:
    """Every problem between the keys that calculate one column."""
    keys = [key for key in CALCULATING if column.get(key)]
    for key in keys[1:]:
        message = f"a column can have {_NAMED[keys[0]]} or {_NAMED[key]}, not both"
        yield PathProblem(path=(*path, key), message=message)
    if column.get("default") is not None and not column.get("cases"):
        yield PathProblem(path=(*path, "default"), message="a default is allowed only for a column with cases")


_NAMED: Final = {"formula": "a formula", "cases": "cases", "script": "a script"}
