"""Running the scripts of a source's columns over its rows."""

from __future__ import annotations

from contextlib import closing

import pytest
import yaml

from shared.definitions import load_definition
from shared.errors import UserError
from shared.jobs.scripting import run_scripts
from shared.scripts import MOST_STOPPED, ScriptEngine
from shared.transform import script_columns, script_steps
from shared.workspace import Workspace
from tests.acceptance.world import accounts

ENDLESS = "function calc(r) { if (r.city === 'endless') { for (;;) {} } return 'made' }"


def stopped(endless: range) -> int:
    """On how many of 200 rows the script is stopped; on which it does not end, their numbers say."""
    document = {"name": "scripts", **accounts()}
    columns = [{"name": "number"}, {"name": "city"}]
    document["source"] = {**document["source"], "columns": [*columns, {"name": "made", "script": ENDLESS}]}
    document["destination"]["mappings"] = [{"source": "number", "target": "accountnumber"}]
    definition = load_definition(yaml.safe_dump(document), file="scripts.yaml")
    with Workspace.open() as workspace, closing(ScriptEngine(seconds=0.05)) as engine:
        city = f"CASE WHEN range BETWEEN {endless.start} AND {endless.stop - 1} THEN 'endless' ELSE 'Ulm' END"
        workspace.execute(
            f"CREATE TABLE source_raw AS SELECT range AS _row, range::VARCHAR AS number, {city} AS city FROM range(200)"
        )
        for step in script_steps(definition):
            workspace.run(step)
        run_scripts(workspace, script_columns(definition), engine)
        ((found,),) = workspace.query("SELECT count(*) FROM scripted WHERE reason IS NOT NULL")
    return int(found)


@pytest.mark.parametrize("first", [0, 150])
def test_a_script_may_be_stopped_on_as_many_rows_wherever_they_are(first: int) -> None:
    """The first rows are calculated in both orders too; each counts once."""
    assert stopped(range(first, first + MOST_STOPPED)) == MOST_STOPPED
    with pytest.raises(UserError, match="on more than 10 rows"):
        stopped(range(first, first + MOST_STOPPED + 1))
