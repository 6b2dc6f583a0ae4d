"""One text as a value of a column: constants of a definition are read as values of a source are."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.definitions.models import ColumnType
from shared.entities import AttributeMetadata
from shared.transform.convert import conversion
from shared.transform.notation.words import listed_value
from shared.transform.rules import ValueProblem
from shared.transform.targets import sql_type
from shared.workspace import quoted

__all__ = ["converted"]


def converted(text: str, attribute: AttributeMetadata) -> tuple[str, list[tuple[ValueProblem, str]]]:
    """A text as a value of a column, in one expression: the layers of the conversion put into each other.

    With what can be wrong with it, and the SQL condition of each.
    """
    how, name = conversion(ColumnType.TEXT, attribute), attribute.name
    layers = {quoted(f"in:{name}"): f"nullif({text}, '')"}
    if how.incoming:
        layers[quoted(f"in:{name}")] = f"({_layered(how.incoming, layers)})"
    read = layers[quoted(f"read:{name}")] = f"({_layered(how.read, layers)})"
    if how.options:
        layers[f"{quoted(f'option:{name}')}.value"] = listed_value(read, how.options, "VARCHAR", "INTEGER")
    value = layers[quoted(name)] = f"CAST({_layered(how.value, layers)} AS {sql_type(attribute)})"
    return value, [(flaw, f"({_layered(flaw.broken, layers)})") for flaw in how.flaws]


def _layered(sql: str, layers: Mapping[str, str]) -> str:
    """An SQL text with layers put in: in one pass, for a layer may have the name of another one in itself."""
    return re.sub("|".join(map(re.escape, layers)), lambda found: layers[found[0]], sql)
