"""The columns of Dataverse tables as a source has them: the members of its JSON records, and their types.

A lookup `parentaccountid` holds an id; `parentaccountid__id`, `__entity` and `__label` are its parts. Every column
whose values have another form on the screen, such as a choice, has `__label`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from shared.definitions.models import ColumnType
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.sources.typed import KnownColumn

__all__ = ["FORMATTED", "LOOKUP_TABLE", "Columns", "Member", "member_of", "table_columns"]

FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LOOKUP_TABLE: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"

_WHOLE: Final = KnownColumn(ColumnType.NUMBER, ColumnType.NUMBER, "BIGINT")
# Money has four digits behind the point, and a decimal ten at most.
_DECIMAL: Final = KnownColumn(ColumnType.NUMBER, ColumnType.NUMBER, "DECIMAL(38,10)")
_TEXT: Final = KnownColumn.as_text(ColumnType.TEXT)
_KNOWN: Final[Mapping[AttributeType, KnownColumn]] = {
    AttributeType.STRING: _TEXT,
    AttributeType.MEMO: _TEXT,
    AttributeType.INTEGER: _WHOLE,
    AttributeType.BIGINT: _WHOLE,
    AttributeType.DECIMAL: _DECIMAL,
    AttributeType.MONEY: _DECIMAL,
    # The intended number is the shortest text of a binary floating-point number.
    AttributeType.DOUBLE: KnownColumn.as_text(ColumnType.NUMBER),
    AttributeType.BOOLEAN: KnownColumn(ColumnType.BOOL, ColumnType.BOOL, "BOOLEAN"),
    AttributeType.PICKLIST: _WHOLE,
    AttributeType.STATE: _WHOLE,
    AttributeType.STATUS: _WHOLE,
    AttributeType.MULTI_PICKLIST: _TEXT,
    AttributeType.DATETIME: KnownColumn(ColumnType.DATE, ColumnType.DATE, "TIMESTAMP"),
    AttributeType.LOOKUP: _TEXT,
    AttributeType.CUSTOMER: _TEXT,
    AttributeType.OWNER: _TEXT,
    AttributeType.UNIQUEIDENTIFIER: _TEXT,
}
_DATE_ONLY: Final = KnownColumn(ColumnType.DATE, ColumnType.DATE, "DATE")
_EXACT: Final = frozenset({AttributeType.DECIMAL, AttributeType.MONEY})
_PLAIN: Final = frozenset({AttributeType.STRING, AttributeType.MEMO, AttributeType.UNIQUEIDENTIFIER})
_REFERENCES: Final = frozenset({AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Where the value of a column is in a record.

    Attributes:
        selected: The property that a query selects.
        annotation: The annotation that has the value; empty where the property itself has it.
        known: What is known of the values.
        exact: Its numbers keep every digit.
        attribute: The column of the table of the query; empty for a column of a joined table, and what is computed.
    """

    selected: str
    annotation: str = ""
    known: KnownColumn
    exact: bool = False
    attribute: str = ""

    @property
    def name(self) -> str:
        """The name of the member."""
        return f"{self.selected}@{self.annotation}" if self.annotation else self.selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of a query.

    Attributes:
        own: Those that are read when the definition names none.
        parts: Further ones: labels, and parts of lookups.
        unreadable: Column -> why it cannot be read.
    """

    own: Mapping[str, Member]
    parts: Mapping[str, Member]
    unreadable: Mapping[str, str]

    @property
    def members(self) -> Mapping[str, Member]:
        """All that can be read."""
        return {**self.own, **self.parts}


def table_columns(entity: EntityMetadata) -> Columns:
    """The columns of a whole table."""
    own: dict[str, Member] = {}
    parts: dict[str, Member] = {}
    unreadable: dict[str, str] = {}
    for name, attribute in entity.attributes.items():
        member = member_of(attribute)
        if isinstance(member, str):
            unreadable[name] = f"{entity.logical_name}: {member}"
        else:
            own[name] = member
            parts |= dict(parts_of(name, attribute, member))
    return Columns(own=own, parts=parts, unreadable=unreadable)


def member_of(attribute: AttributeMetadata, name: str | None = None) -> Member | str:
    """Where the value of a column is, or why it cannot be read.

    Args:
        attribute: The column.
        name: The name of its property; by default that of a query without aliases.
    """
    known = _KNOWN.get(attribute.type)
    if known is None or not attribute.readable:
        kind = "cannot be read" if known is not None else f"is of type {attribute.type}, which a source does not read"
        return f"the column {attribute.name} {kind}"
    if attribute.type is AttributeType.DATETIME and attribute.date_behavior is DateBehavior.DATE_ONLY:
        known = _DATE_ONLY
    usual = f"_{attribute.name}_value" if attribute.type in _REFERENCES else attribute.name
    return Member(selected=name or usual, known=known, exact=attribute.type in _EXACT, attribute=attribute.name)


def parts_of(name: str, attribute: AttributeMetadata, member: Member) -> Iterator[tuple[str, Member]]:
    """The further columns of a column: its label, and what it refers to."""
    if attribute.type in _REFERENCES:
        yield f"{name}__id", member
        yield f"{name}__entity", Member(selected=member.selected, annotation=LOOKUP_TABLE, known=_TEXT)
    if attribute.type not in _PLAIN:
        yield f"{name}__label", Member(selected=member.selected, annotation=FORMATTED, known=_TEXT)
