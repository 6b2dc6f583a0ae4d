"""Columns that a definition sets (marks, updates after the sync), as the row that a record is to be equal to.

So such a change follows the rules for states that the update by a row of the source follows (`shared.reconcile.later`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.definitions.models import WritePolicy
from shared.entities import AttributeType
from shared.reconcile.columns import ChangedColumn, always, differs, names, payload
from shared.reconcile.later import SecondRequest, Update, update_of
from shared.transform import Omit, Pair, TargetColumn, key_columns
from shared.workspace import quoted

__all__ = ["SetRow", "blind_update", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRow:
    """A row `desired` of some parts: what the record `target` holds after the change.

    Attributes:
        parts: The columns of the change.
        layout: The target columns.
        id_column: The column of the record's id.
    """

    parts: tuple[ChangedColumn, ...]
    layout: Sequence[TargetColumn]
    id_column: str

    @staticmethod
    def of(parts: Sequence[ChangedColumn], layout: Sequence[TargetColumn], id_column: str) -> SetRow | None:
        """The row; None where a plain update sets everything that the parts have."""
        if all(part.column.rules is None or part.column.rules.direct for part in parts):
            return None
        status = next((column for column in layout if column.attribute.type is AttributeType.STATUS), None)
        if status is None or any(choice.state is None for choice in status.attribute.choices):
            return None  # nothing tells how the two agree
        return SetRow(parts=tuple(parts), layout=layout, id_column=id_column)

    @property
    def values(self) -> tuple[str, ...]:
        """The SQL items of the row, over `target` and what the parts name."""
        held = {
            part.column.name: f"CASE WHEN {part.condition} THEN {part.value} ELSE {_held(part)} END"
            for part in self.parts
        }
        pair = self._pair
        if pair.status.name not in held:
            held[pair.status.name] = status_of(pair, held[pair.state.name])
        return tuple(f"CAST({value} AS {self._sql_type(name)}) AS {quoted(name)}" for name, value in held.items())

    @property
    def keys(self) -> tuple[str, ...]:
        """The SQL items for parts of the sync key that are not written, over a row of the source."""
        written = {part.column.name for part in self.parts}
        return tuple(f"desired.{quoted(c.name)}" for c in key_columns(self.layout) if c.name not in written)

    @property
    def update(self) -> Update:
        """The change, over `target` and the row `desired`."""
        return update_of(self._columns, self.id_column)

    @property
    def differing(self) -> tuple[ChangedColumn, ...]:
        """The parts, with their conditions over `target` and the row `desired`."""
        prepared = {column.name: column for column in self._columns}
        return tuple(replace(part, condition=differs(prepared[part.column.name])) for part in self.parts)

    @property
    def _pair(self) -> Pair:
        by_type = {column.attribute.type: column for column in self.layout}
        return Pair(state=by_type[AttributeType.STATE], status=by_type[AttributeType.STATUS])

    @property
    def _columns(self) -> tuple[TargetColumn, ...]:
        """The target columns, with those of the row as columns that are always written, and no others."""
        pair = self._pair
        written = {part.column.name for part in self.parts} | pair.names
        state = _written(pair.state)
        prepared = {pair.state.name: state, pair.status.name: replace(_written(pair.status), follows=state)}
        return tuple(
            prepared.get(each.name, _written(each))
            if each.name in written
            else replace(each, write=WritePolicy.ON_INSERT)
            for each in self.layout
        )

    def _sql_type(self, name: str) -> str:
        return next(column.sql_type for column in self.layout if column.name == name)


def _held(part: ChangedColumn) -> str:
    return f"target.{quoted(part.column.name)}"


def status_of(pair: Pair, state: str) -> str:
    """SQL of the status reason that a record has after a state was set alone: the default one of another state.

    Args:
        pair: Both columns.
        state: SQL of the state that is set, over `target`.
    """
    known = [choice.value for choice in pair.state.attribute.choices]
    cases = "".join(f" WHEN {value} THEN {pair.default_status(value)}" for value in known)
    held = f"target.{quoted(pair.status.name)}"
    is_kept = f"({state}) IS NOT DISTINCT FROM target.{quoted(pair.state.name)}"
    return f"CASE WHEN {is_kept} THEN {held} ELSE CASE ({state}){cases} END END"


def _written(column: TargetColumn) -> TargetColumn:
    return replace(column, writes=True, write=WritePolicy.ALWAYS, omit=Omit.NEVER)


def blind_update(parts: Sequence[ChangedColumn], id_column: str) -> tuple[str, str, str]:
    """SQL of the update of a record that was not read: its payload, its second request, and the names of its columns.

    Args:
        parts: What is set, all of it.
        id_column: The column of the record's id.
    """
    columns = [_written(part.column) for part in parts]
    later = SecondRequest(columns, id_column, is_there=True)
    first = later.first(always)
    listed = f"concat_ws(',', nullif({names(columns, first)}, ''), {later.names})"
    row = ", ".join(_set_values(parts))
    texts = (payload(columns, first), f"coalesce({later.payload}, '')", listed)
    asked, sent, said = (f"(SELECT {text} FROM (SELECT {row}) AS desired)" for text in texts)
    return asked, sent, said


def _set_values(parts: Sequence[ChangedColumn]) -> Iterator[str]:
    for part in parts:
        yield f"CAST({part.value} AS {part.column.sql_type}) AS {quoted(part.column.name)}"
