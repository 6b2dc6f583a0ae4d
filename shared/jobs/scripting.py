"""Running the scripts of a source's columns, between the loading and the shaping of its rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any, Final

from shared.definitions import SyncDefinition
from shared.errors import DefinitionError, Problem, UserError
from shared.scripts import Allowance, ScriptEngine, ScriptError
from shared.transform import ScriptColumn
from shared.workspace import Workspace

__all__ = ["run_scripts", "script_problems"]

_ROWS: Final = 1000  # of a request: a new context for each costs less than a tenth of the work
_CHARACTERS: Final = 4_000_000  # of a request; a row may have more
_TRIED: Final = 100  # rows
_KEEPS_STATE: Final = (
    "the results depend on the order of the rows, so the script keeps something between two calls: "
    "declare its variables inside of calc"
)


def run_scripts(workspace: Workspace, columns: Sequence[ScriptColumn], engine: ScriptEngine) -> None:
    """Fill `scripted`.

    Args:
        workspace: Has the views of the rows that the scripts see.
        columns: The columns of scripts.
        engine: Runs them.

    Raises:
        DefinitionError: A script cannot be used, or keeps state between rows.
        UserError: The engine is not installed, or a script was stopped on too many rows.
        OutOfTimeError: The time of the run is over.
    """
    for column in columns:
        allowance = Allowance()
        try:
            for number, rows in enumerate(_requests(workspace.rows(f"SELECT seen FROM {column.rows.name}", _ROWS))):
                workspace.check_time()
                if number == 0:
                    _check_order(column.script, rows[:_TRIED], engine, allowance)
                workspace.execute(column.collect, [engine.results(column.script, rows, allowance)])
        except ScriptError as mistake:
            raise DefinitionError([Problem(message=str(mistake), path=column.origin)]) from mistake
        except UserError as error:
            raise UserError(f"{column.origin}: {error.message}") from error


def script_problems(definition: SyncDefinition) -> tuple[Problem, ...]:
    """What is wrong with the scripts of a definition."""
    scripts = [(n, each.script) for n, each in enumerate(definition.source.columns) if each.script is not None]
    with closing(ScriptEngine()) as engine:
        found = ((place, _problem(engine, script)) for place, script in scripts)
        return tuple(Problem(message=said, path=f"source.columns[{place}].script") for place, said in found if said)


def _problem(engine: ScriptEngine, script: str) -> str:
    try:
        engine.check(script)
    except ScriptError as mistake:
        return str(mistake)
    except UserError as error:
        return error.message
    return ""


def _requests(rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    block, characters = list[str](), 0
    for (row,) in rows:
        if block and (len(block) == _ROWS or characters + len(row) > _CHARACTERS):
            yield block
            block, characters = [], 0
        block.append(row)
        characters += len(row)
    if block:
        yield block


def _check_order(script: str, rows: Sequence[str], engine: ScriptEngine, allowance: Allowance) -> None:
    """Refuse a script that keeps state: a later run, with other rows before a row, would give another value."""
    if len(rows) < 2:  # noqa: PLR2004 - one row has no order
        return
    forward = _by_row(engine.results(script, rows, allowance))
    if forward != _by_row(engine.results(script, rows[::-1], allowance)):
        raise ScriptError(_KEEPS_STATE)


def _by_row(results: str) -> dict[int, Any]:
    return {each["n"]: (each["r"], each.get("e")) for each in json.loads(results)}
