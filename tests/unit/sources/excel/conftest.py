"""Shared by the tests of workbooks: sheets of plain rows, and the rows that are loaded from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.definitions.models import Column, ExcelSource
from shared.sources import SourceContext, open_source
from shared.transform.reading import read_columns, reading
from shared.workspace import Workspace, quoted
from tests.workbooks.xlsx import write_xlsx

Rows = Sequence[Sequence[Any]]
Found = tuple[list[dict[str, Any]], list[Column]]
Loader = Callable[..., Found]


def load(path: Path | str, columns: Sequence[dict[str, Any]] = (), **keys: Any) -> Found:
    """The typed rows of a source, each with its number, and the columns as the source completes them."""
    definition = ExcelSource.model_validate({"type": "excel", "path": str(path), "columns": list(columns), **keys})
    source = open_source(definition, SourceContext())
    with Workspace.open(readable=source.readable) as workspace:
        read = [column for column in source.columns(workspace) if column.read]
        source.load(workspace)
        sql = read_columns(read, [reading(each) for each in read], ())
        labels = ["_row", *(column.label for column in read)]
        found = workspace.query(f"SELECT {', '.join(map(quoted, labels))} FROM ({sql}) ORDER BY _row")
        assert [path.name for path in workspace.folder.iterdir()] in ([], ["spill"])
        return [dict(zip(labels, row, strict=True)) for row in found], read


@pytest.fixture
def sheet(tmp_path: Path) -> Loader:
    """Writes a workbook with one sheet and loads it."""

    def written(rows: Rows, columns: Sequence[dict[str, Any]] = (), *, epoch_1904: bool = False, **keys: Any) -> Found:
        merged = {"Data": keys.pop("merged", ())}
        path = write_xlsx(tmp_path / "book.xlsx", {"Data": rows}, merged=merged, epoch_1904=epoch_1904)
        return load(path, columns, **keys)

    return written
