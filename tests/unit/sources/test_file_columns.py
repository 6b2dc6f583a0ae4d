"""Columns with the file of a row: the same in every kind of source that reads files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.definitions import SyncDefinition, load_definition
from shared.errors import DefinitionError
from shared.sources import SourceContext, completed, open_source
from shared.transform import shape_steps
from shared.workspace import Workspace
from tests.contract.source_kinds import FILES, KINDS, Kind, rows
from tests.contract.test_sources import defined

NAMED = [{"name": "file", "file_name": True}, {"name": "path", "alias": "whole", "file_path": True}]


@pytest.fixture(params=FILES)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def file_columns(definition: SyncDefinition) -> list[tuple[Any, ...]]:
    source = open_source(definition.source, SourceContext())
    with Workspace.open(readable=source.readable) as workspace:
        whole = completed(definition, source, workspace)
        source.load(workspace)
        for step in shape_steps(whole):
            workspace.run(step)
        return workspace.query("SELECT CAST(number AS INTEGER), file, whole FROM source ORDER BY _row")


def test_each_row_has_its_file(kind: Kind, tmp_path: Path) -> None:
    """The name, and the path that the pattern finds; also together with columns that the source has itself."""
    for name in ("may it's.1", "june"):
        kind.write(tmp_path / "written", rows(2))
        (tmp_path / "written").rename(tmp_path / f"{name}{kind.ending}")
    columns = [NAMED[0], *kind.source.get("columns", []), NAMED[1]]
    found = file_columns(defined(kind, tmp_path / f"*{kind.ending}", columns=columns))
    names = [f"june{kind.ending}"] * 2 + [f"may it's.1{kind.ending}"] * 2
    assert found == [(n, name, str(tmp_path / name)) for n, name in zip([1, 2, 1, 2], names, strict=True)]


def test_the_name_can_be_used_in_expressions(kind: Kind, tmp_path: Path) -> None:
    """It is an ordinary column: it can be trimmed, replaced and typed."""
    kind.write(tmp_path / f"2024-05{kind.ending}", rows(1))
    day = {
        "name": "d",
        "alias": "file",
        "file_name": True,
        "replace": [{"pattern": r"\..*", "with": "-01"}],
        "type": "date",
    }
    path = {"name": "x", "alias": "whole", "formula": "year(file)"}
    found = file_columns(
        defined(kind, tmp_path / f"*{kind.ending}", columns=[*kind.source.get("columns", []), day, path])
    )
    assert [(str(day_), year) for _, day_, year in found] == [("2024-05-01 00:00:00", "2024")]


TEXT = """
name: accounts
source: {{type: {kind}, {path}columns: [{{name: number}}, {{name: file, {keys}}}]}}
destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  auth: managed_identity
  id_column: accountid
  mappings: [{{source: number, target: accountnumber}}]
sync_behaviour: {{sync_key: [accountnumber]}}
"""
REFUSED = [
    ("delimited", "file_name: true, file_path: true", "file_path", "file_name gives the value of the column already"),
    ("json", "file_name: true, formula: number", "formula", "file_name gives the value of the column already"),
    ("events", "file_path: true", "file_path", "a source of type events has no files; remove this key"),
    (
        "fixed_width",
        "file_path: true, start: 1, width: 2",
        "start",
        "a column that is not read has no place in the line",
    ),
]


@pytest.mark.parametrize(("kind", "keys", "place", "message"), REFUSED)
def test_invalid_file_columns_are_refused(kind: str, keys: str, place: str, message: str) -> None:
    """With its place in the definition."""
    text = TEXT.format(kind=kind, path="" if kind == "events" else "path: x, ", keys=keys)
    with pytest.raises(DefinitionError) as caught:
        load_definition(text)
    assert [problem.message for problem in caught.value.problems if problem.path.endswith(f"[1].{place}")] in (
        [message],
        [f"{message}; remove this key, or make another column"],
    )
