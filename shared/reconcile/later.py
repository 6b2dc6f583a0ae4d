"""What takes two requests: columns that a create does not take, and states that are set by steps.

`statecode` is one of them in every table. A status of another state than a new record's is refused in a create
(0x80048408), so it goes with its state. States that only an action sets (`shared.state_rules`) go by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.entities import AttributeType
from shared.reconcile.columns import (
    Condition,
    before,
    differs,
    given,
    json_object,
    member,
    names,
    new_value,
    on_update,
    payload,
    updatable,
)
from shared.state_rules import CLOSE, OPEN, Closing
from shared.transform import Pair, TargetColumn, pair_of, to_service
from shared.workspace import literal, quoted

__all__ = [
    "SecondRequest",
    "Update",
    "first_value",
    "held_before_second",
    "is_in_first",
    "is_made_open",
    "pending_member",
    "update_of",
    "written_member",
]

# A table with the usual two states makes its records in the first. Others may have a state of their own for that, such
# as a product's draft, which the metadata does not tell.
_USUAL_STATES: Final = frozenset({0, 1})
_Value = Callable[[TargetColumn], str]  # SQL of what a column is to hold


class SecondRequest:
    """Divides the columns of a new record, or of one that was not read, between two requests.

    Args:
        layout: The target columns.
        id_column: The column of the record's id, which no payload has.
        is_there: The record is not new: the second request has only the state that an action sets.
    """

    def __init__(self, layout: Sequence[TargetColumn], id_column: str, *, is_there: bool = False) -> None:
        settable = updatable(layout, id_column)
        self._layout, self._is_there = layout, is_there
        self._state = next((column for column in settable if _is_late_state(column)), None)
        status = next((column for column in settable if column.attribute.type is AttributeType.STATUS), None)
        self._status = status if self._state is not None else None
        pair = (self._state, self._status)
        self._columns = tuple(c for c in settable if c in pair or not (c.attribute.creatable or is_there))

    def first(self, condition: Condition) -> Condition:
        """Narrow a condition to what goes with the first request."""

        def narrowed(column: TargetColumn) -> str:
            if column not in self._columns:
                return condition(column)
            return f"{condition(column)} AND ({self._condition(column)}) IS NOT TRUE"

        return narrowed

    @property
    def payload(self) -> str:
        """SQL for the JSON object of the second request; an empty text where there is none."""
        if not self._columns:
            return "''"
        members = [(self._condition(c), member(c, read=False)) for c in self._columns]
        closing = _closing_members(self._layout, self._state, _asked_for) if self._state is not None else ()
        return f"nullif({json_object((*members, *closing))}, '{{}}')"

    @property
    def names(self) -> str:
        """SQL for the names of the second request's columns, joined with commas; NULL where there are none."""
        return f"nullif({names(self._columns, self._condition)}, '')"

    def closing_with(self, columns: Sequence[TargetColumn]) -> tuple[tuple[str, str], ...]:
        """Members for what is added if the record is new: the action that closes it carries these columns as well.

        Args:
            columns: Columns that only new records get.
        """
        rules = self._state.rules if self._state is not None else None
        if self._state is None or rules is None or rules.carried.isdisjoint(column.name for column in columns):
            return ()
        return tuple(_closing_members(columns, self._state, _asked_for))

    def _condition(self, column: TargetColumn) -> str:
        """SQL condition: the second request has this column."""
        if self._state is not None and column is self._status:
            known = given(column) if column.follows is None else f"desired.{quoted(column.name)} IS NOT NULL"
            return f"{known} AND {self._moves(self._state)}"
        return self._moves(column) if column is self._state else given(column)

    def _moves(self, state: TargetColumn) -> str:
        """SQL condition: according to the metadata, a new record does not have this state yet."""
        if self._is_there:
            return f"{given(state)} AND {_closes(state)}"
        return f"{given(state)} AND desired.{quoted(state.name)} <> {OPEN}" if is_made_open(state) else given(state)


def is_made_open(state: TargetColumn) -> bool:
    """Whether it is known that a new record of the table has the first state."""
    return state.rules is not None or {choice.value for choice in state.attribute.choices} == _USUAL_STATES


def _is_late_state(column: TargetColumn) -> bool:
    return column.attribute.type is AttributeType.STATE and not column.attribute.creatable


def held_before_second(column: TargetColumn, *, is_new: bool) -> str | None:
    """SQL of what a record may hold between two requests, besides its old and its new value.

    None for nothing, and where that is not known.

    Args:
        column: The column.
        is_new: The first request creates the record.
    """
    state = column.follows or column
    if _is_late_state(state):
        return _open(column) if is_made_open(state) else None
    if is_new and (column.late or not column.attribute.creatable) and not column.attribute.has_default:
        return "NULL"
    return None


def _open(column: TargetColumn) -> str:
    """What an open record holds in its state, or in a status that nobody gave."""
    status = column.follows and Pair(state=column.follows, status=column)
    return str(status.default_status(OPEN) if status else OPEN)


def is_in_first(column: TargetColumn, payload: str) -> str:
    """SQL condition: the first request of a change has the column; `payload` is SQL of the JSON that it sends."""
    bound = [name for bind in column.binds for name in (f"{bind.navigation}@odata.bind", bind.navigation)]
    listed = ", ".join(literal(name) for name in (column.collection or column.name, *bound))
    return f"list_has_any(json_keys({payload}), [{listed}])"


def first_value(column: TargetColumn, payload: str, value: str) -> str:
    """SQL of what the first request writes: a state may be opened first, and its status; others get their value.

    Args:
        column: A column that the first request has.
        payload: SQL of the JSON object that it sends.
        value: SQL of what the column gets at last.
    """
    is_state = column.attribute.type in {AttributeType.STATE, AttributeType.STATUS}
    return f"json_extract_string({payload}, {literal(f'$.{column.name}')})" if is_state else value


def pending_member(column: TargetColumn, value: str, *, is_new: bool) -> str:
    """SQL of the member of the ledger for what a record may hold until `changes` is made to its end.

    The value that it gets is last.
    A status of which nothing is known is written with its state: then what it holds now is not known to be edited.
    """
    between, lists = held_before_second(column, is_new=is_new), []
    if not is_new and column.follows is not None and not column.implied:
        lists.append(f"[CAST(target.{quoted(column.name)} AS VARCHAR)]")
    if between is not None:
        two = "true" if column.late else "changes.later <> ''"
        lists.append(f"CASE WHEN {two} THEN [CAST({between} AS VARCHAR)] ELSE [] END")
    if not lists:
        return written_member(column, value)
    listed = " || ".join([*lists, f"[CAST({value} AS VARCHAR)]"])
    return f"{_label(column)} || CAST(to_json({listed}) AS VARCHAR)"


def written_member(column: TargetColumn, value: str) -> str:
    """SQL of the member of the ledger for a value, which is kept as text."""
    return f"{_label(column)} || coalesce(CAST(to_json(CAST({value} AS VARCHAR)) AS VARCHAR), 'null')"


def _label(column: TargetColumn) -> str:
    return literal(f'"{column.name}":')


def _closes(state: TargetColumn) -> str:
    """SQL condition: only an action sets the state that the row asks for."""
    closings = state.rules.closings if state.rules else {}
    return f"desired.{quoted(state.name)} IN ({', '.join(map(str, closings))})" if closings else "false"


def _closing_members(layout: Sequence[TargetColumn], state: TargetColumn, value: _Value) -> Iterator[tuple[str, str]]:
    """What marks a second request as a closing: SQL condition, and SQL of the member.

    Args:
        layout: The target columns.
        state: The one with the state.
        value: What a closed record is to hold in a column; NULL for nothing, and where that is not known.
    """
    for number, closing in (state.rules.closings if state.rules else {}).items():
        carried = json_object(_carried(layout, closing, value))
        yield f"desired.{quoted(state.name)} = {number}", f"""{literal(f'"{CLOSE}":')} || {carried}"""


def _carried(layout: Sequence[TargetColumn], closing: Closing, value: _Value) -> Iterator[tuple[str, str]]:
    """Columns that the action would overwrite: they go with it, under the names that the activity has for them.

    What has no value is left out, and the service fills it in (Microsoft: `actualvalue` "defaults to the Est. Revenue
    value when an opportunity is won"). No document says that an activity can clear a column of its record.
    """
    for column in layout:
        name = closing.carried.get(column.name)
        if name is None or not column.writes:
            continue
        # The activity keeps moments: a day is sent as its midnight in UTC.
        kind = "TIMESTAMP" if column.attribute.type is AttributeType.DATETIME else column.sql_type
        held = f"({value(column)})"
        yield f"{held} IS NOT NULL", to_service(replace(column, name=name, sql_type=kind), held)


def _asked_for(column: TargetColumn) -> str:
    """SQL of what the row asks for; NULL where it gives no value, because the record is new or was not read."""
    return new_value(column)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """SQL texts for the update of a record that was read; see the columns of the table `changes`."""

    payload: str
    later: str
    names: str
    before: str


def update_of(layout: Sequence[TargetColumn], id_column: str, condition: Condition = differs) -> Update:
    """The update of a record by what differs: in one request, where the rules for its states do not demand two.

    Args:
        layout: The target columns.
        id_column: The column of the record's id.
        condition: SQL condition: the column differs, and may be written.
    """
    columns, pair = on_update(layout, id_column), pair_of(layout)
    rules = pair.state.rules if pair else None
    if pair is None or rules is None or rules.direct:
        return _texts(columns, condition, payload(columns, condition, read=True), "''")
    others = tuple(column for column in columns if column.name not in pair.names)
    both = tuple(column for column in columns if column.name in pair.names)
    if rules.locked:
        return _texts((*both, *others), condition, *_unlocking(pair, both, others, condition))
    writes = _with_the_action(pair, condition)
    actions = tuple(_closing_members(layout, pair.state, _held_afterwards(others, writes)))
    return _texts((*others, *both), writes, *_closing(pair, both, others, writes, actions))


def _with_the_action(pair: Pair, condition: Condition) -> Condition:
    """Narrow a condition: an action cannot clear what it overwrites, so these columns are emptied by a later change."""
    overwritten = pair.state.rules.carried if pair.state.rules else frozenset()
    closed = f"{differs(pair.state)} AND {_closes(pair.state)}"

    def narrowed(column: TargetColumn) -> str:
        if column.name not in overwritten:
            return condition(column)
        return f"({condition(column)}) AND NOT (desired.{quoted(column.name)} IS NULL AND {closed})"

    return narrowed


def _held_afterwards(written: Sequence[TargetColumn], condition: Condition) -> _Value:
    """What the record holds after an update of those columns that meet the condition."""

    def value(column: TargetColumn) -> str:
        held, name = f"target.{quoted(column.name)}", quoted(column.name)
        return f"CASE WHEN {condition(column)} THEN desired.{name} ELSE {held} END" if column in written else held

    return value


def _texts(columns: Sequence[TargetColumn], condition: Condition, first: str, later: str) -> Update:
    return Update(payload=first, later=later, names=names(columns, condition), before=before(columns, condition))


def _unlocking(
    pair: Pair, both: Sequence[TargetColumn], others: Sequence[TargetColumn], condition: Condition
) -> tuple[str, str]:
    """A closed record takes other columns once it is open again."""
    reopens = f"{differs(pair.state)} AND target.{quoted(pair.state.name)} <> {OPEN}"
    first = payload(
        (*both, *others),
        lambda c: condition(c) if c in both else f"({condition(c)}) AND NOT ({reopens})",
        read=True,
    )
    later = payload(others, lambda c: f"({condition(c)}) AND {reopens}", read=True)
    return first, f"nullif({later}, '{{}}')"


def _closing(
    pair: Pair,
    both: Sequence[TargetColumn],
    others: Sequence[TargetColumn],
    condition: Condition,
    actions: Sequence[tuple[str, str]],
) -> tuple[str, str]:
    """Other columns go first; then the state, if an action sets it or if the record must be open in between.

    A status that the change does not have is not sent to open the record either: Dataverse sets it with the state.
    """
    state = quoted(pair.state.name)
    between = f"desired.{state} <> {OPEN} AND target.{state} <> {OPEN}"
    steps = f"{differs(pair.state)} AND ({_closes(pair.state)} OR {between})"
    opened = {pair.state.name: OPEN, pair.status.name: pair.default_status(OPEN)}
    first = json_object(
        [
            *((condition(c), member(c, read=True)) for c in others),
            *((f"({condition(c)}) AND NOT ({steps})", to_service(c, f"desired.{quoted(c.name)}")) for c in both),
            *((f"({condition(c)}) AND {steps} AND {between}", to_service(c, str(opened[c.name]))) for c in both),
        ]
    )
    later = json_object(
        [
            *((f"({condition(c)}) AND {steps}", to_service(c, f"desired.{quoted(c.name)}")) for c in both),
            *((f"{steps} AND {when}", text) for when, text in actions),
        ]
    )
    return first, f"nullif({later}, '{{}}')"
