"""The tables of docs/values.md are what the program does, row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.workspace import Workspace
from tests.unit.transform.world import definition, errors, shaped

PAGE = Path("docs/values.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(\{[^\n]*\})\n```\n\n\| text \| value \|\n\|---\|---\|\n((?:\|.*\|\n)+)", PAGE)
ROWS = [
    pytest.param(column, text, value, id=f"{column} {text}")
    for column, table in EXAMPLES
    for text, value in re.findall(r"^\| `(.*?)` \| (.*?) \|$", table, re.MULTILINE)
]


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open(threads=1) as opened:
        yield opened


def shown(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case Decimal():
            return f"{value.normalize():f}"
        case datetime():
            return f"{value.isoformat()}Z"
        case bool():
            return str(value).lower()
    return str(value)


def test_every_example_has_rows() -> None:
    """No example of a column on the page is passed over."""
    assert len(EXAMPLES) == PAGE.count("```yaml\n{")
    assert len(ROWS) == len(re.findall(r"^\| `.*` \| .* \|$", PAGE.partition("## Numbers")[2], re.MULTILINE))


@pytest.mark.parametrize(("column", "text", "value"), ROWS)
def test_a_text_of_the_page_has_the_value_of_the_page(workspace: Workspace, column: str, text: str, value: str) -> None:
    """Either the value, or the type of the error."""
    described = yaml.safe_load(column)
    mappings = [{"source": described["name"], "target": "notes"}]
    shaped(workspace, definition([described], mappings), [("1", text)])
    ((found,),) = workspace.query(f'SELECT "{described["name"]}" FROM source')
    wrong = [error for *_, error, _ in errors(workspace)]
    assert (wrong or [shown(found)]) == [value]
