"""The watermark that a run reaches: the value up to which all of its rows are settled."""

from __future__ import annotations

from typing import Final

from shared.definitions.models import Column
from shared.sources.watermarks.marks import Scale
from shared.workspace import Workspace, quoted

__all__ = ["order_of", "ordering", "reached_value"]

_DECIMALS: Final = 18
# What Python reads too, for the start of the next read; DuckDB knows more notations, such as 2024-1-5.
_OFFSET: Final = r"Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?"
_MOMENT: Final = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]+)?)?({_OFFSET})?)?"


def ordering(column: Column, scale: Scale) -> str:
    """SQL that orders the values of a column in `source_raw`; null for a value that cannot be ordered."""
    return order_of(quoted(column.name), scale)


def order_of(value: str, scale: Scale) -> str:
    """SQL that orders a value, which is given as SQL; see `ordering`."""
    match scale:
        case Scale.NUMBER:
            text = f"CAST({value} AS VARCHAR)"
            exact = f"NOT regexp_matches({text}, '\\.[0-9]{{{_DECIMALS + 1},}}')"
            return f"CASE WHEN {exact} THEN TRY_CAST({text} AS DECIMAL(38, {_DECIMALS})) END"
        case Scale.DAY | Scale.TIME:
            moment, text = f"TRY_CAST({value} AS TIMESTAMPTZ)", f"CAST({value} AS VARCHAR)"
            readable = f"{text} >= '0001' AND regexp_full_match({text}, '{_MOMENT}')"
            return f"CASE WHEN {readable} AND isfinite({moment}) THEN {moment} END"
        case Scale.TEXT | Scale.COLLATED:
            return f"nullif(CAST({value} AS VARCHAR), '')"


def reached_value(
    workspace: Workspace, column: Column, scale: Scale, unfinished: str, *, within: str = "true"
) -> str | None:
    """The value up to which all rows of `source_raw` are settled; None where no value is known to be one.

    The greatest value of the rows; where some are not settled, the least value of theirs, if that is less: the next
    read begins with it. In an order that only the source knows, there is no least value.

    Args:
        workspace: Has `source_raw`.
        column: The column of the watermark.
        scale: What it holds.
        unfinished: SQL that gives the `_row` of each row that is not settled.
        within: SQL condition over `place`, `value` and `_row`: the rows whose value can be reached.
    """
    order, text = ordering(column, scale), f"CAST({quoted(column.name)} AS VARCHAR)"
    rows = f"(SELECT {order} AS place, nullif({text}, '') AS value, _row FROM source_raw)"
    ((open_rows, without_place),) = workspace.query(
        f"SELECT count(value), count(value) - count(place) FROM {rows} WHERE _row IN ({unfinished})"
    )
    if without_place or (open_rows and scale is Scale.COLLATED):
        return None
    candidates = f"SELECT max(place) AS place, arg_max(value, place) AS value FROM {rows} WHERE {within}"
    ((place, value),) = workspace.query(candidates)
    if open_rows and place is not None:
        ((value,),) = workspace.query(
            f"SELECT arg_min(value, place) FROM (({candidates}) UNION ALL "
            f"SELECT min(place), arg_min(value, place) FROM {rows} WHERE _row IN ({unfinished}))"
        )
    return None if value is None else str(value)
