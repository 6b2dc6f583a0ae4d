"""State and status as one thing: a half that a row does not give follows from the other, and both must agree.

Each status belongs to one state, and each state has a default status. So a status alone says the state; a state alone
says the status that a record gets when its state changes, and no more: a record that has the state keeps its status.

In `desired` both columns of a complete pair are filled in, and `_omit_<column>` says what the row gave: that of the
state is true where the row gave neither, that of the status where it did not give the status itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.transform.rules import ErrorType, Rule
from shared.transform.targets import TargetColumn
from shared.workspace import literal, quoted

__all__ = ["Pair", "listed", "never_empty", "pair_of", "state_of", "state_rules"]

_MOST_LISTED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The two columns, one of which may have no mapping."""

    state: TargetColumn
    status: TargetColumn

    @property
    def names(self) -> frozenset[str]:
        """The names of both columns."""
        return frozenset((self.state.name, self.status.name))

    @property
    def mapped(self) -> tuple[TargetColumn, ...]:
        """The columns that the definition maps."""
        return tuple(column for column in (self.state, self.status) if not column.implied)

    def settled(self, query: str, several: Mapping[str, tuple[Choice, ...]]) -> str:
        """The query of the converted values, in which the state of a row tells which status a label means.

        A label that statuses of other states alone have gives the first of them, which the rule of the pair refuses.

        Args:
            query: SQL of the converted values.
            several: SQL of each label that several statuses have -> those statuses.
        """
        if self.state.implied or not several:
            return query
        state, status = quoted(self.state.name), quoted(self.status.name)
        cases = "".join(f" WHEN {text} THEN {_of_state(state, options)}" for text, options in several.items())
        found = f"CASE {quoted(f'read:{self.status.name}')}{cases} END"
        given = f"{quoted(f'in:{self.state.name}')} IS NOT NULL"
        value = f"CASE WHEN {given} THEN coalesce({status}, {found}) ELSE {status} END"
        return f"SELECT * REPLACE ({value} AS {status})\n  FROM ({query})"

    def values(self) -> dict[str, str]:
        """Column -> SQL of its filled value, over the converted values of the mapped ones."""
        state, status = self._given(self.state), self._given(self.status)
        return {
            self.state.name: f"coalesce({state}, {state_of(status, self.status.attribute)})",
            self.status.name: f"coalesce({status}, {_default_of(state, self.state.attribute)})",
        }

    def omits(self) -> dict[str, str]:
        """Column -> SQL condition: the row does not give it, over the converted values of the mapped ones."""
        missing = " AND ".join(f"{quoted(column.name)} IS NULL" for column in self.mapped)
        return {self.state.name: missing, self.status.name: f"{self._given(self.status)} IS NULL"}

    def rules(self, label: str) -> Iterator[Rule]:
        """The rule that the two agree, where a row can give both.

        Args:
            label: What error rows call the status.
        """
        if len(self.mapped) == 1:
            return
        names = self.status.attribute.choices
        cases = "".join(
            f" WHEN {state.value} THEN "
            + literal(f"the status reasons of {state} are {listed([n for n in names if n.state == state.value])}")
            for state in self.state.attribute.choices
        )
        state, status = self._given(self.state), self._given(self.status)
        yield Rule(
            column=label,
            error=ErrorType.INVALID_STATUS,
            rejects=True,
            message=", and this is not one of them",
            broken=f"{state_of(status, self.status.attribute)} <> {state}",
            detail=f"CASE {state}{cases} END",
        )

    def agreed(self) -> str:
        """SQL statement after rows of `desired` were merged: a status of another state than the last one was undone."""
        state, status = quoted(self.state.name), quoted(self.status.name)
        return (
            f"UPDATE desired SET {quoted(f'_omit_{self.status.name}')} = true, "
            f"{status} = {_default_of(state, self.state.attribute)} "
            f"WHERE {state_of(status, self.status.attribute)} IS DISTINCT FROM {state}"
        )

    def default_status(self, state: int) -> int:
        """The default status of a state: as the metadata has it, or else the first that belongs to it."""
        named = next((option.default_status for option in self.state.attribute.choices if option.value == state), None)
        known = [option.value for option in self.status.attribute.choices if option.state == state]
        return named if named is not None else next(iter(known), -1)

    def _given(self, column: TargetColumn) -> str:
        """SQL for the converted value of a column; NULL where it is not mapped."""
        return "NULL" if column.implied else quoted(column.name)


def _of_state(state: str, options: Sequence[Choice]) -> str:
    """SQL of the one status among several that belongs to a state; NULL where several do, else the first."""
    by_state: dict[int | None, list[int]] = {}
    for option in options:
        by_state.setdefault(option.state, []).append(option.value)
    cases = "".join(f" WHEN {of} THEN {each[0] if len(each) == 1 else 'NULL'}" for of, each in by_state.items())
    return f"CASE {state}{cases} ELSE {options[0].value} END"


def pair_of(columns: Sequence[TargetColumn]) -> Pair | None:
    """The pair among target columns; None where the sync has none, or the metadata does not tell how they agree."""
    status = next((column for column in columns if column.follows is not None), None)
    if status is None:
        return None
    state = next(column for column in columns if column.attribute.type is AttributeType.STATE)
    return Pair(state=state, status=status)


def state_of(status: str, attribute: AttributeMetadata) -> str:
    """SQL for the state that a status belongs to."""
    cases = "".join(f" WHEN {choice.value} THEN {choice.state}" for choice in attribute.choices)
    return f"CASE {status}{cases} END"


def _default_of(state: str, attribute: AttributeMetadata) -> str:
    known = [choice for choice in attribute.choices if choice.default_status is not None]
    cases = "".join(f" WHEN {choice.value} THEN {choice.default_status}" for choice in known)
    return f"CASE {state}{cases} END" if known else "NULL"


def listed(options: Sequence[object]) -> str:
    """Options as a message lists them."""
    more = f" and {len(options) - _MOST_LISTED} more" if len(options) > _MOST_LISTED else ""
    return f"{', '.join(map(str, options[:_MOST_LISTED])) or 'none'}{more}"


def never_empty(column: TargetColumn, label: str, columns: Sequence[TargetColumn], *, rejects: bool) -> Iterator[Rule]:
    """The service refuses to clear some columns, in each run: it is reported before anything is sent.

    Of a state and its status one is enough.
    """
    pair = pair_of(columns)
    together = pair.mapped if pair and column in pair.mapped else (column,)
    if column.clears and not column.attribute.clearable and column is together[0]:
        yield Rule(
            column=label,
            error=ErrorType.MANDATORY,
            rejects=rejects,
            message=f"{column.name} cannot be empty; give a value, or set on_null: keep",
            broken=" AND ".join(f"{quoted(f'in:{each.name}')} IS NULL" for each in together),
        )


def state_rules(labels: Mapping[str, str], columns: Sequence[TargetColumn]) -> Iterator[Rule]:
    """The rules between state and status; `labels` are what error rows call the target columns."""
    pair = pair_of(columns)
    return pair.rules(labels.get(pair.status.name, "")) if pair else iter(())
