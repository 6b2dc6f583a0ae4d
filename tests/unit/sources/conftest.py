"""Shared by the tests of sources: a function that writes a file and loads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.definitions.models import DelimitedSource
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace

Loaded = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


def described(path: str, columns: Sequence[str] = ("A", "B", "C"), **options: Any) -> DelimitedSource:
    """A source over a path."""
    named = [{"name": name} for name in columns]
    return DelimitedSource.model_validate({"type": "delimited", "path": path, "columns": named, **options})


def load_source(source: DelimitedSource, *, in_place: bool = True) -> Loaded:
    """Rows and errors, both ordered."""
    opened = open_source(source, SourceContext())
    with Workspace.open(readable=opened.readable if in_place else ()) as workspace:
        opened.load(workspace)
        rows = workspace.query("SELECT * FROM source_raw ORDER BY _row")
        return rows, workspace.query("SELECT _row, error, message FROM source_errors ORDER BY _row")


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """Writes a file and loads it."""

    def write_and_load(data: str | bytes, name: str = "a.csv", *, in_place: bool = True, **options: Any) -> Loaded:
        (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return load_source(described(str(tmp_path / name), **options), in_place=in_place)

    return write_and_load
