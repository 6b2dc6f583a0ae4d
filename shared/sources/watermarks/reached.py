"""The watermark that a run reaches: the value up to which all of its rows are settled."""

from __future__ import annotations

from typing import Final

from shared.definitions.models import TypedColumn
from shared.sources.watermarks.marks import Scale
from shared.workspace import Workspace, quoted

__all__ = ["ordering", "reached_value"]

_DECIMALS: Final = 18


def ordering(column: TypedColumn, scale: Scale) -> str:
    """SQL that orders the values of a column in `source_raw`; null for a value that cannot be ordered."""
    value = quoted(column.name)
    match scale:
        case Scale.NUMBER:
            text = f"CAST({value} AS VARCHAR)"
            exact = f"NOT regexp_matches({text}, '\\.[0-9]{{{_DECIMALS + 1},}}')"
            return f"CASE WHEN {exact} THEN TRY_CAST({text} AS DECIMAL(38, {_DECIMALS})) END"
        case Scale.DAY | Scale.TIME:
            moment = f"TRY_CAST({value} AS TIMESTAMPTZ)"
            return f"CASE WHEN isfinite({moment}) THEN {moment} END"
        case Scale.TEXT:
            return f"nullif(CAST({value} AS VARCHAR), '')"


def reached_value(workspace: Workspace, column: TypedColumn, scale: Scale, unsettled: str) -> str | None:
    """The value up to which all rows of `source_raw` are settled; None where no value is known to be one.

    The greatest value of all rows; where some are not settled, the least value of theirs: the next read begins with it.
    """
    order, text = ordering(column, scale), f"CAST({quoted(column.name)} AS VARCHAR)"
    rows = f"(SELECT {order} AS place, nullif({text}, '') AS value, _row FROM source_raw)"
    ((open_rows, without_place, least),) = workspace.query(
        f"SELECT count(value), count(value) - count(place), arg_min(value, place) FROM {rows} "
        f"WHERE _row IN ({unsettled})"
    )
    if open_rows:
        return None if without_place else least
    ((greatest,),) = workspace.query(f"SELECT arg_max(value, place) FROM {rows}")
    return None if greatest is None else str(greatest)
