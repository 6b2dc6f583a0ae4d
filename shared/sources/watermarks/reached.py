"""The watermark that a run reaches: the value up to which all of its rows are settled."""

from __future__ import annotations

from typing import Final

from shared.definitions.models import Column
from shared.sources.watermarks.marks import Scale
from shared.workspace import Workspace, quoted

__all__ = ["order_of", "ordering", "reached_value"]

_MOST: Final = 38  # digits of a decimal number of DuckDB
_DECIMALS: Final = 18
_DIGITS: Final = _MOST - _DECIMALS
_WHOLE, _USUAL, _REST = f"DECIMAL({_MOST}, 0)", f"DECIMAL({_MOST}, {_DECIMALS})", f"DECIMAL({_MOST}, {_MOST})"
# What Python reads too, for the start of the next read; DuckDB knows more notations, such as 2024-1-5 and 24:00.
_HOUR, _SIXTY = "([01][0-9]|2[0-3])", "[0-5][0-9]"
_OFFSET: Final = rf"Z|[+-]{_HOUR}(:?{_SIXTY})?"
_TIME: Final = rf"{_HOUR}:{_SIXTY}(:{_SIXTY}(\.[0-9]+)?)?({_OFFSET})?"
_MOMENT: Final = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([T ]{_TIME})?"


def ordering(column: Column, scale: Scale) -> str:
    """SQL that orders the values of a column in `source_raw`; null for a value that cannot be ordered."""
    return order_of(quoted(column.name), scale)


def order_of(value: str, scale: Scale) -> str:
    """SQL that orders a value, which is given as SQL; see `ordering`."""
    match scale:
        case Scale.NUMBER | Scale.SINGLE:
            return _number(f"CAST({value} AS VARCHAR)")
        case Scale.DAY | Scale.TIME | Scale.INSTANT:
            moment, text = f"TRY_CAST({value} AS TIMESTAMPTZ)", f"CAST({value} AS VARCHAR)"
            readable = f"{text} >= '0001' AND regexp_full_match({text}, '{_MOMENT}')"
            return f"CASE WHEN {readable} AND isfinite({moment}) THEN {moment} END"
        case Scale.TEXT | Scale.COLLATED:
            return f"nullif(CAST({value} AS VARCHAR), '')"


def _number(text: str) -> str:
    """SQL that orders the number of a text exactly: three numbers, of which most values need the second alone.

    The first is that before the decimal point where it has too many digits for the second, the third has the digits
    behind the last one of the second. So 38 digits before the point count, and 56 behind it.
    """
    short = f"NOT regexp_matches({text}, '\\.[0-9]{{{_DECIMALS + 1},}}')"
    usual = f"CASE WHEN {short} THEN TRY_CAST({text} AS {_USUAL}) END"
    # An exponent, as in 1e+25: in plain notation for what comes next.
    plain = f"CASE WHEN NOT regexp_matches({text}, '[eE]') THEN {text} WHEN {short} THEN {_whole_text(text)} END"
    return f"""CASE WHEN {usual} IS NOT NULL THEN {_place("0", usual, "0")}
    ELSE list_transform([{plain}], lambda plain: {_long("plain")})[1] END"""


def _whole_text(text: str) -> str:
    """SQL of a number with an exponent in plain notation; null where it is one that a double has decimals for."""
    return f"CASE WHEN abs(TRY_CAST({text} AS DOUBLE)) >= 1e20 THEN CAST(TRY_CAST({text} AS {_WHOLE}) AS VARCHAR) END"


def _long(plain: str) -> str:
    """SQL that orders a number with many digits, in plain notation; null for another text."""
    sign = f"CASE WHEN starts_with({plain}, '-') THEN '-' ELSE '' END"
    digits = f"ltrim(regexp_extract({plain}, '^[+-]?([0-9]*)', 1), '0')"
    decimals = f"rtrim(regexp_extract({plain}, '\\.([0-9]*)$', 1), '0')"
    wide = f"length({digits}) > {_DIGITS}"
    whole = f"TRY_CAST({sign} || CASE WHEN {wide} THEN {digits} ELSE '0' END AS {_WHOLE})"
    usual = f"CASE WHEN {wide} THEN '' ELSE {digits} END || '.' || {decimals}[1:{_DECIMALS}] || '0'"
    rest = f"{decimals}[{_DECIMALS + 1}:]"
    known = f"regexp_full_match({plain}, '[+-]?[0-9]+(\\.[0-9]*)?')"
    bounded = f"length({digits}) <= {_MOST} AND length({rest}) <= {_MOST}"
    place = _place(
        whole, f"CAST({sign} || '0' || {usual} AS {_USUAL})", f"CAST({sign} || '0.' || {rest} || '0' AS {_REST})"
    )
    return f"CASE WHEN {known} AND {bounded} THEN {place} END"


def _place(whole: str, usual: str, rest: str) -> str:
    return f"row(CAST({whole} AS {_WHOLE}), {usual}, CAST({rest} AS {_REST}))"


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
