"""The options of a choice column, for people who write definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.entities import AttributeMetadata, AttributeType, Choice, EntityMetadata
from shared.errors import UserError
from shared.suggestions import closest

__all__ = ["ColumnOptions", "options_of_column"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOptions:
    """The options of one column.

    Attributes:
        table: Logical name of the table.
        column: The column with its options.
        states: Of a status reason: the states, by value. Empty for other columns.
        statuses: Of a state: the status reasons. Empty for other columns.
    """

    table: str
    column: AttributeMetadata
    states: Mapping[int, Choice]
    statuses: tuple[Choice, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of `options --json`."""
        return {
            "table": self.table,
            "column": self.column.name,
            "display_name": self.column.display_name,
            "type": str(self.column.type),
            "default": self.column.default,
            "options": [self._option(choice) for choice in self.column.choices],
        }

    def _option(self, choice: Choice) -> dict[str, Any]:
        value: dict[str, Any] = {"value": choice.value, "labels": list(choice.labels)}
        if self.column.type is AttributeType.STATUS:
            value |= {"state": choice.state, "next": None if choice.next is None else list(choice.next)}
        if self.column.type is AttributeType.STATE:
            value |= {
                "default_status": choice.default_status,
                "statuses": [each.value for each in self.statuses if each.state == choice.value],
            }
        return value

    def goes_with(self, choice: Choice) -> str:
        """What a state or a status reason belongs with, in words; empty for other options."""
        match self.column.type:
            case AttributeType.STATUS if choice.state is not None:
                state = f"state {self.states.get(choice.state, choice.state)}"
                return (
                    f"{state}; then {', '.join(map(str, choice.next)) or 'none'}" if choice.next is not None else state
                )
            case AttributeType.STATE:
                own = [each for each in self.statuses if each.state == choice.value]
                return ", ".join(f"{each}{' (default)' if each.value == choice.default_status else ''}" for each in own)
        return ""


def options_of_column(entity: EntityMetadata, name: str) -> ColumnOptions:
    """The options of a column, by its logical name or its display name.

    Raises:
        UserError: The table has no such column, several are called so, or the column has no options.
    """
    column = _column(entity, name)
    if not column.choices:
        choices = sorted(each.name for each in entity.attributes.values() if each.choices)
        raise UserError(
            f"{column.name} is of type {column.type} and has no options; columns of {entity.logical_name} with options "
            f"are {', '.join(choices) or 'none'}"
        )
    states = {choice.value: choice for choice in entity.options(AttributeType.STATE)}
    return ColumnOptions(
        table=entity.logical_name,
        column=column,
        states=states if column.type is AttributeType.STATUS else {},
        statuses=entity.options(AttributeType.STATUS) if column.type is AttributeType.STATE else (),
    )


def _column(entity: EntityMetadata, name: str) -> AttributeMetadata:
    if (found := entity.attributes.get(name.strip().lower())) is not None:
        return found
    wanted = name.strip().casefold()
    called = [each for each in entity.attributes.values() if each.display_name.casefold() == wanted]
    if len(called) == 1:
        return called[0]
    if called:
        names = ", ".join(sorted(each.name for each in called))
        raise UserError(f"several columns of {entity.logical_name} are called {name}: name one of {names}")
    known = {each.name: each.name for each in entity.attributes.values()}
    known |= {each.display_name: each.name for each in entity.attributes.values() if each.display_name}
    similar = dict.fromkeys(known[each] for each in closest(name, known, most=3))
    hint = f"; did you mean {' or '.join(similar)}?" if similar else ""
    raise UserError(f"{entity.logical_name} has no column {name}{hint}")
