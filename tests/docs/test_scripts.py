"""The page on script columns: each example in SQL and in JavaScript gives the same column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.definitions import load_definition
from shared.jobs.scripting import run_scripts
from shared.scripts import MOST_STOPPED, ScriptEngine
from shared.transform import script_columns, script_steps, shape_steps
from shared.workspace import Workspace, literal
from tests.acceptance.world import accounts

PAGE = Path("docs/scripts.md").read_text("utf-8")
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
PAIRS = [each for each in EXAMPLES if len(each) == 2]
COLUMNS: list[dict[str, Any]] = [
    *({"name": name} for name in ("number", "name", "nickname", "street", "city", "country", "phone", "stage")),
    {"name": "revenue", "type": "number"},
    {"name": "founded", "type": "date"},
    {"name": "document", "type": "json"},
]
ROWS = [
    ("17", "Ada Lovelace", "Ada", "Weg 1", "Köln", "DE", "+49 (221) 1", "WON", "1250000.5", "2024-02-28", '{"a": 1}'),
    ("5", "x", None, None, None, None, None, None, None, None, None),
    ("123456789", "émile zola", None, "", "Paris", "FR", "none", "lost", "1000000", "1999-12-31T23:30:00Z", "[]"),
    ("8", "Ö Ä", "O", "A", None, "CH", "0", "closed", "-1", "2024-01-01", '{"address": {"street": "Gasse"}}'),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[ScriptEngine]:
    with closing(ScriptEngine()) as made:
        yield made


def test_there_are_ten_pairs() -> None:
    assert len(PAIRS) == 10


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0]["name"])
def test_a_pair_gives_equal_columns(pair: list[dict[str, Any]], engine: ScriptEngine) -> None:
    sql, javascript = pair
    document = {"name": "pairs", **accounts()}
    document["source"] = {**document["source"], "columns": [*COLUMNS, *pair]}
    document["destination"]["mappings"] = [
        {"source": "number", "target": "accountnumber"},
        {"value": f"CAST({sql['name']} AS VARCHAR)", "target": "name"},
    ]
    definition = load_definition(yaml.safe_dump(document), file="docs/scripts.md")
    with Workspace.open() as workspace:
        names = ", ".join(f'"{column["name"]}" VARCHAR' for column in COLUMNS)
        workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, {names})")
        order = ["number", "name", "nickname", "street", "city", "country", "phone", "stage", "revenue", "founded"]
        listed = ", ".join(("_row", *order, "document"))
        values = ", ".join(f"({n}, {', '.join(map(literal, row))})" for n, row in enumerate(ROWS))
        workspace.execute(f"INSERT INTO source_raw ({listed}) VALUES {values}")
        for step in script_steps(definition):
            workspace.run(step)
        run_scripts(workspace, script_columns(definition), engine)
        for step in shape_steps(definition):
            workspace.run(step)
        found = workspace.query(f"SELECT {sql['name']}, {javascript['name']} FROM source ORDER BY _row")
    assert len(found) == len(ROWS)
    assert [one for one, _ in found] == [other for _, other in found]
    assert any(one is not None for one, _ in found)


def test_the_limits_are_those_of_the_program() -> None:
    assert f"| rows on which a script may be stopped | {MOST_STOPPED}; then the run fails |" in PAGE
