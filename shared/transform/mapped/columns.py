"""One value on its way into a target column: what goes in, and what can be wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.transform.convert import Conversion
from shared.transform.rules import Rule
from shared.transform.shape import Shape
from shared.transform.targets import TargetColumn
from shared.workspace import quoted

__all__ = ["MappedColumn", "believed", "stage_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedColumn:
    """One mapping during the conversion.

    Attributes:
        incoming: SQL of what goes in.
        label: What error rows call it.
        conversion: How it is fitted into the column.
        rules: What can be wrong with it here.
        doubts: Rules of the source's columns that leave its value unknown.
        made_of: The source's columns that say what it is.
        attempt: SQL of a first step that may fail; empty where nothing can.
        blank: The rule that it has more than blanks, where a value is required; the field is not left out for it.
    """

    column: TargetColumn
    incoming: str
    label: str
    conversion: Conversion
    rules: tuple[Rule, ...]
    doubts: tuple[Rule, ...]
    made_of: frozenset[str]
    attempt: str = ""
    blank: tuple[Rule, ...] = ()


def stage_name(stage: str, each: MappedColumn) -> str:
    """The quoted name of the column that holds a value after a stage of the conversion: `try`, `in` or `read`."""
    return quoted(f"{stage}:{each.column.name}")


def believed(each: MappedColumn, shape: Shape) -> str:
    """SQL of the incoming value; null if calculated from a field in error: it makes no key then, and protects none."""
    doubted = shape.rules.any_of(each.doubts)
    return each.incoming if doubted == "false" else f"CASE WHEN NOT {doubted} THEN {each.incoming} END"
