"""How one column takes part in a change: when it differs, when it is sent, and as what JSON.

In every SQL text `desired` is the row that the source asks for and `target` the current record. Whether a column
`differs` may depend on `ledger`, what this sync remembers of the record: a query joins it with `records`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.definitions.models import CURRENCY, SyncDefinition, WritePolicy
from shared.entities import ALWAYS_SET, AttributeMetadata
from shared.transform import Omit, TargetColumn, key_columns, party_rows, to_payload, to_service, to_shown
from shared.workspace import Table, literal, quoted

__all__ = [
    "ChangedColumn",
    "Condition",
    "always",
    "before",
    "changed_value",
    "differs",
    "edited",
    "fixed",
    "given",
    "is_of_equal_state",
    "is_whole",
    "json_object",
    "key_of",
    "member",
    "names",
    "names_of",
    "new_value",
    "object_of",
    "on_create_only",
    "on_insert",
    "on_update",
    "parts_of",
    "payload",
    "present",
    "records",
    "records_need",
    "sent",
    "stays_empty",
    "unedited",
    "unless_key",
    "updatable",
    "version_of",
]

Condition = Callable[[TargetColumn], str]


def on_insert(layout: Sequence[TargetColumn], id_column: str) -> tuple[TargetColumn, ...]:
    """The columns of a new record's payload; its id is sent beside the payload, never in it."""
    return tuple(c for c in layout if c.writes and c.attribute.creatable and c.name != id_column)


def on_update(layout: Sequence[TargetColumn], id_column: str) -> tuple[TargetColumn, ...]:
    """The columns that are compared and written on existing records; the id never is."""
    return tuple(c for c in updatable(layout, id_column) if c.write is not WritePolicy.ON_INSERT)


def updatable(layout: Sequence[TargetColumn], id_column: str) -> tuple[TargetColumn, ...]:
    """The columns that the service takes in an update; the id never is."""
    return tuple(c for c in layout if c.writes and c.attribute.updatable and c.name != id_column)


def on_create_only(layout: Sequence[TargetColumn], id_column: str) -> tuple[TargetColumn, ...]:
    """The columns that a new record gets and that no later run sets."""
    return tuple(c for c in on_insert(layout, id_column) if c.write is WritePolicy.ON_INSERT)


def fixed(layout: Sequence[TargetColumn], id_column: str) -> tuple[TargetColumn, ...]:
    """The columns whose value a record keeps from its creation on; the spelling of a key is ignored.

    Lists of parties are not among them: they are neither compared, nor passed over by the service where the record
    exists.
    """
    created = (column for column in on_insert(layout, id_column) if not column.attribute.is_list)
    return tuple(
        column
        for column in created
        if not column.attribute.updatable and column.key_part is None and column.write is not WritePolicy.ON_INSERT
    )


def sent(column: TargetColumn) -> str:
    """SQL condition: the source gives a value for this column."""
    match column.omit:
        case Omit.NEVER:
            return "true"
        case Omit.WHEN_NULL:
            return f"desired.{quoted(column.name)} IS NOT NULL"
        case Omit.FLAGGED:
            return f"desired.{quoted('_omit_' + column.name)} IS NOT TRUE"


def new_value(column: TargetColumn) -> tuple[str, str]:
    """SQL of what a new record holds in a column, and of the condition under which that is known.

    A column that is not sent stays empty. It is not known where the service fills it in: with a default, or with what
    the metadata does not tell, which is the creator, the first state and the base currency.
    """
    value = f"CASE WHEN {sent(column)} THEN desired.{quoted(column.name)} END"
    return value, "true" if stays_empty(column.attribute) else present(column)


def stays_empty(attribute: AttributeMetadata) -> bool:
    """Whether a new record has no value in a column that is not sent, as far as the metadata tells."""
    filled = attribute.has_default or attribute.type in ALWAYS_SET or attribute.name == CURRENCY
    return attribute.creatable and not filled


def changed_value(column: TargetColumn, id_column: str) -> tuple[str, str]:
    """SQL of what a record holds in a column after an update, and of the condition under which that is known.

    It is not known of a status that follows its state, which the service sets.
    """
    name = quoted(column.name)
    if not on_update([column], id_column):
        return f"target.{name}", "true"
    changes = differs(column)
    value = f"CASE WHEN {changes} THEN desired.{name} ELSE target.{name} END"
    return value, "true" if column.follows is None else f"NOT ({changes}) OR {sent(column)}"


def differs(column: TargetColumn) -> str:
    """SQL condition: the record is to get another value than it holds; what is omitted never differs."""
    name = quoted(column.name)
    match column.write:
        case WritePolicy.IF_EMPTY:
            return _both(sent(column), f"target.{name} IS NULL AND desired.{name} IS NOT NULL")
        case WritePolicy.ON_INSERT:
            return "false"
        case WritePolicy.UNLESS_EDITED:
            return _followed(column, f"{_different(column)} AND {_may_be_written(column)}")
        case _:
            return _followed(column, _different(column))


def edited(column: TargetColumn) -> str:
    """SQL condition: the record holds something else than the source asks for, and this sync did not write it."""
    return _both(sent(column), f"{_different(column)} AND NOT {_may_be_written(column)}")


def _different(column: TargetColumn) -> str:
    name = quoted(column.name)
    return f"desired.{name} IS DISTINCT FROM target.{name}"


def _followed(column: TargetColumn, condition: str) -> str:
    """The condition where the row gives a value; where it gives no status, that of its state."""
    if column.follows is None:
        return _both(sent(column), condition)
    return f"CASE WHEN {sent(column)} THEN {condition} ELSE {differs(column.follows)} END"


def unedited(column: TargetColumn) -> str:
    """SQL condition: the record holds what this sync wrote last, or was about to write when it was interrupted.

    Dataverse sets state and status together, and a status belongs to one state: it tells of the state too, if known.
    """
    if column.implied and column.edited_with:
        return _holds_written(column.edited_with)
    if column.edited_with:
        status = column.edited_with
        return f"CASE WHEN {_is_known(status)} THEN {_holds_written(status)} ELSE {_holds_written(column.name)} END"
    return _holds_written(column.name)


def _may_be_written(column: TargetColumn) -> str:
    """SQL condition: nobody edited the column; a status of which nothing is known is written with its state.

    A state is known without its status where the sync created the record and Dataverse gave it the status.
    """
    state = column.follows
    if state is None or column.implied or state.implied or not state.edited_with:
        return unedited(column)
    written = f"{sent(state)} AND {_different(state)} AND {unedited(state)}"
    return f"({unedited(column)} OR ({written} AND NOT {_is_known(column.name)}))"


def _is_known(status: str) -> str:
    """SQL condition: the ledger has a status that was written, or may have been. It cannot be empty."""
    return f"(coalesce(ledger.{quoted(f'_was_{status}')}, list_first(ledger.{quoted(f'_next_{status}')})) IS NOT NULL)"


def _holds_written(name: str) -> str:
    held = f"target.{quoted(name)}"
    knows, was, pends, following = (f"ledger.{quoted(f'_{kind}_{name}')}" for kind in ("knows", "was", "pends", "next"))
    ways = (
        f"({knows} AND {held} IS NOT DISTINCT FROM {was})",
        f"({pends} AND {held} IS NULL)",
        f"list_contains({following}, {held})",
    )
    return f"(({' OR '.join(ways)}) IS TRUE)"


def is_of_equal_state(column: TargetColumn) -> str:
    """SQL that adds a case to a condition: what a status holds that the row does not give counts as written.

    So it is where the record has the state that the row asks for, and a person gave it this state, or nothing is known
    of the status.
    """
    state = column.follows
    if state is None or state.implied or state.write is not WritePolicy.UNLESS_EDITED:
        return ""
    name = quoted(state.name)
    given = f"{sent(state)} AND NOT ({sent(column)}) AND desired.{name} IS NOT DISTINCT FROM target.{name}"
    moved = f"target.{name} IS DISTINCT FROM ledger.{quoted(f'_was_{state.name}')}"
    return f" OR ({given} AND ({moved} OR ledger.{quoted(f'_knows_{column.name}')} IS NOT TRUE))"


def is_whole(column: TargetColumn, layout: Sequence[TargetColumn]) -> str:
    """SQL that narrows a condition: a state is not noted where its status is another one that this sync did not write.

    Else the state alone would count as written later, and a change of it would overwrite the status.
    """
    status = next((each for each in layout if each.name == column.edited_with), None)
    if status is None or status.implied or column.implied:
        return ""
    return f" AND NOT ({edited(status)})"


def present(column: TargetColumn) -> str:
    """SQL condition: a new record gets a value; it has nothing to clear, so a null is left out.

    Unless the service would fill in a default: only a null that is sent leaves such a column empty.
    """
    if column.attribute.has_default and column.clears and column.attribute.clearable:
        return sent(column)
    return given(column)


def given(column: TargetColumn) -> str:
    """SQL condition: the source has a value for this column."""
    return _both(sent(column), f"desired.{quoted(column.name)} IS NOT NULL")


def always(column: TargetColumn) -> str:
    """SQL condition: the column is sent whatever the record contains, because the record is not read."""
    return sent(column)


def unless_key(by_id: str) -> Condition:
    """What is sent with an alternate key never repeats the key: the service refuses that (0x80040216)."""

    def condition(column: TargetColumn) -> str:
        return always(column) if column.key_part is None else f"{by_id} AND {always(column)}"

    return condition


def payload(
    columns: Sequence[TargetColumn],
    condition: Condition,
    *,
    read: bool = False,
    others: Iterable[tuple[str, str]] = (),
) -> str:
    """SQL for the JSON object of the columns that meet the condition, as the Web API takes it.

    Args:
        columns: The columns.
        condition: When a column is sent.
        read: Whether `target` is at hand, the record as it is.
        others: Members besides the columns, each with its condition.
    """
    members = [(condition(c), member(c, read=read)) for c in columns if not c.collection]
    return json_object([*members, *_parties(columns, condition, of_all=_collection), *others])


def _parties(
    columns: Sequence[TargetColumn],
    condition: Condition,
    *,
    of_all: Callable[[Sequence[tuple[str, TargetColumn]]], str],
) -> list[tuple[str, str]]:
    """When an activity is given parties, and what `of_all` makes of its lists, each with its condition."""
    lists = [(condition(column), column) for column in columns if column.collection]
    return [(" OR ".join(f"({when})" for when, _ in lists), of_all(lists))] if lists else []


def _collection(lists: Sequence[tuple[str, TargetColumn]]) -> str:
    """SQL for the member with the parties of all lists; Microsoft: they are given as the rows of a collection."""
    rows = _joined((when, party_rows(column, f"desired.{quoted(column.name)}")) for when, column in lists)
    return f"""'"{lists[0][1].collection}":[' || {rows} || ']'"""


def _collection_name(lists: Sequence[tuple[str, TargetColumn]]) -> str:
    return literal(lists[0][1].collection)


def member(column: TargetColumn, *, read: bool) -> str:
    """SQL for the member of a payload; `read` says whether `target` is at hand, the record as it is."""
    name = quoted(column.name)
    return to_payload(column, f"desired.{name}", f"target.{name}" if read else "NULL")


def names(columns: Sequence[TargetColumn], condition: Condition) -> str:
    """SQL for the names of the columns that meet the condition, joined with commas, in the payload's order.

    The lists of parties are one name, that of their collection.
    """
    listed = [(condition(c), literal(c.name)) for c in columns if not c.collection]
    return _joined([*listed, *_parties(columns, condition, of_all=_collection_name)])


def before(columns: Sequence[TargetColumn], condition: Condition) -> str:
    """SQL for the JSON object of what the record holds in the columns that meet the condition."""
    return json_object((condition(c), to_shown(c, f"target.{quoted(c.name)}")) for c in columns)


def key_of(layout: Sequence[TargetColumn], side: str) -> str:
    """SQL for the JSON object of the sync key, taken from `desired` or from `target`."""
    return json_object(("true", to_service(c, f"{side}.{quoted(c.name)}")) for c in key_columns(layout))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedColumn:
    """One column of a change.

    Attributes:
        condition: SQL condition: the change has this column.
        value: SQL of the typed value that is sent.
    """

    column: TargetColumn
    condition: str
    value: str


def parts_of(columns: Sequence[TargetColumn], condition: Condition) -> tuple[ChangedColumn, ...]:
    """The columns that meet the condition, with the values that the source asks for."""
    return tuple(ChangedColumn(column=c, condition=condition(c), value=f"desired.{quoted(c.name)}") for c in columns)


def object_of(parts: Sequence[ChangedColumn], *, side: str = "") -> str:
    """SQL for the JSON object of some parts; with a side, of what that side holds in their columns."""
    return json_object((part.condition, _part_member(part, side)) for part in parts)


def _part_member(part: ChangedColumn, side: str) -> str:
    name = quoted(part.column.name)
    if side:
        return to_shown(part.column, f"{side}.{name}")
    return to_payload(part.column, part.value, f"target.{name}" if part.column.attribute.polymorphic else "NULL")


def names_of(parts: Sequence[ChangedColumn]) -> str:
    """SQL for the names of the columns that a change has, joined with commas, in the payload's order."""
    return _joined((part.condition, literal(part.column.name)) for part in parts)


def version_of(parts: Sequence[ChangedColumn]) -> str:
    """The version that was compared, where the change has a column that others may have edited in the meantime."""
    guarded = [part.condition for part in parts if part.column.write is WritePolicy.UNLESS_EDITED]
    return f"CASE WHEN {' OR '.join(guarded)} THEN target._version END" if guarded else "NULL"


def records(definition: SyncDefinition) -> str:
    """SQL of the join that gives each record `target` what the ledger says of it; empty where none is kept."""
    return "LEFT JOIN ledger ON ledger._id = target._id" if definition.keeps_ledger else ""


def records_need(definition: SyncDefinition) -> frozenset[Table]:
    """The tables that a step needs for the join of `records`."""
    return frozenset({Table.LEDGER}) if definition.keeps_ledger else frozenset()


def _both(left: str, right: str) -> str:
    return right if left == "true" else f"{left} AND {right}"


def _joined(parts: Iterable[tuple[str, str]]) -> str:
    """SQL for the texts whose condition holds, joined with commas; `concat_ws` leaves out nulls."""
    texts = [text if condition == "true" else f"CASE WHEN {condition} THEN {text} END" for condition, text in parts]
    return "concat_ws(',',\n    " + ",\n    ".join(texts) + ")" if texts else "''"


def json_object(parts: Iterable[tuple[str, str]]) -> str:
    """SQL for a JSON object of the members whose condition holds: pairs of a condition and the SQL of a member."""
    return f"'{{' || {_joined(parts)} || '}}'"
