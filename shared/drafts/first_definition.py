"""A first definition: columns typed from the data, mappings matched by names, everything uncertain with a comment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.definitions.models import ColumnType
from shared.drafts.matching import Match, identifies
from shared.drafts.yaml_text import Noted, Remark, flow_text
from shared.entities import ALWAYS_SET, AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.transform.profile.values import Profile

__all__ = ["Draft", "SourceColumn", "column_keys", "document", "first_key"]

_NUMBERS: Final = frozenset(
    {AttributeType.INTEGER, AttributeType.DECIMAL, AttributeType.MONEY, AttributeType.DOUBLE, AttributeType.BIGINT}
)
_TEXTS: Final = frozenset({AttributeType.STRING, AttributeType.MEMO})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """One column of the source.

    Attributes:
        name: Its name in the source.
        label: Its name in the definition.
        profile: Its values.
        known: Its type, where the source itself has one.
        unlike: Different values that name no option of the column that it is matched with.
    """

    name: str
    label: str
    profile: Profile
    known: ColumnType | None = None
    unlike: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a first definition is made of.

    Attributes:
        name: Name of the sync.
        source: The keys of the source without its columns.
        columns: Its columns.
        matches: Label of a column -> the column of the table.
        entity: The table, with the tables that the matched lookups refer to.
        place: The keys of the destination that name the environment.
        parameters: The parameters that those need.
        key: The sync key.
        key_note: Why the key is not certain; empty where it is unique and filled on both sides.
        remarks: What is not certain about the source.
    """

    name: str
    source: Mapping[str, Any]
    columns: Sequence[SourceColumn]
    matches: Mapping[str, Match]
    entity: EntityMetadata
    place: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    key_note: str = ""
    remarks: Sequence[str] = ()


def first_key(draft: Draft) -> tuple[str, ...]:
    """The mapped column that is most probably the key, by its name and its values in the source."""
    mapped = [
        (column, draft.matches[column.label].attribute)
        for column in draft.columns
        if column.label in draft.matches and not draft.matches[column.label].attribute.refers
    ]
    if not mapped:
        return ()
    guarded = {key.columns[0] for key in draft.entity.keys if len(key.columns) == 1}

    def promise(pair: tuple[SourceColumn, AttributeMetadata]) -> tuple[bool, bool, bool, bool]:
        column, attribute = pair
        profile = column.profile
        unique = profile.filled == profile.rows == profile.different
        names = (column.name, attribute.display_name or attribute.name, attribute.name.rstrip("0123456789"))
        named = any(identifies(name) or "email" in name.lower() for name in names)
        return (unique, attribute.name in guarded, named, attribute.type is AttributeType.STRING)

    return (max(mapped, key=promise)[1].name,)


def document(draft: Draft) -> dict[Any, Any]:
    """The definition as a mapping for `yaml_text`."""
    head: dict[Any, Any] = {
        Remark("yaml-language-server: $schema=../sync.schema.json"): None,
        Remark("A first definition, made from the data and the table. Lines with a comment are to be checked."): None,
        "name": draft.name,
    }
    if draft.parameters:
        head["parameters"] = dict(draft.parameters)
    head["source"] = _source(draft)
    head["destination"] = {
        "type": "dynamics",
        "entity": draft.entity.logical_name,
        **draft.place,
        "id_column": draft.entity.primary_id,
        "mappings": [*_mappings(draft)],
    }
    key = list(draft.key)
    head["sync_behaviour"] = {
        "sync_key": Noted(key, draft.key_note) if draft.key_note else key,
        "new": "insert",
        "changed": "update",
        "dropped": Noted("ignore", "delete: records that the source does not have are deleted"),
    }
    return head


def _source(draft: Draft) -> dict[Any, Any]:
    items: list[Any] = []
    for column in draft.columns:
        match = draft.matches.get(column.label)
        item, notes = column_keys(column, match.attribute if match else None)
        if match is None and draft.source.get("header") is not False:
            items.append(Remark(f"not mapped: {flow_text(item) or column.name}"))
        else:
            items.append(Noted(item, "; ".join(notes)) if notes else item)
    found: dict[Any, Any] = {Remark(text): None for text in draft.remarks}
    return found | dict(draft.source) | {"columns": items}


def column_keys(column: SourceColumn, attribute: AttributeMetadata | None) -> tuple[dict[str, Any], list[str]]:
    """The keys of a column, and what is not certain about it."""
    item: dict[str, Any] = {"name": column.name} | ({"alias": column.label} if column.label != column.name else {})
    profile, notes = column.profile, list[str]()
    if not profile.filled:
        return item, ["it has no value in any row"]
    wanted = _wanted(attribute, profile)
    if column.known not in {None, ColumnType.TEXT}:
        return item, notes  # the source gives the type
    if wanted is ColumnType.TEXT:
        if profile.padded:
            item["trim"] = True
        return item, [*notes, *_of_text(column, attribute)]
    notation = profile.notation(wanted)
    if notation is None:
        notation, unfit = profile.best[wanted]
        notes.append(f"{unfit:,} of {profile.different:,} different values are no {wanted} in this notation")
    elif profile.doubtful.get(wanted):
        notes.append(f"another notation of a {wanted} fits every value too, with other results: check a few values")
    item |= {"type": wanted.value, **notation.keys}
    if wanted is ColumnType.DATE and attribute is not None and attribute.date_behavior is DateBehavior.USER_LOCAL:
        notes.append("times without an offset are taken as UTC; time_zone: names another zone")
    return item, notes


def _wanted(attribute: AttributeMetadata | None, profile: Profile) -> ColumnType:
    """The type that the column of the table needs; without one that of the values."""
    if attribute is None:
        return profile.kind
    if attribute.type in _NUMBERS:
        return ColumnType.NUMBER
    if attribute.type is AttributeType.DATETIME:
        return ColumnType.DATE
    if attribute.type is AttributeType.BOOLEAN and profile.notation(ColumnType.BOOL) is not None:
        return ColumnType.BOOL
    return ColumnType.TEXT


def _of_text(column: SourceColumn, attribute: AttributeMetadata | None) -> Iterator[str]:
    if attribute is None:
        return
    longest, profile = attribute.max_length, column.profile
    if attribute.type in _TEXTS and longest is not None and profile.longest > longest:
        yield f"values have up to {profile.longest:,} characters, and {attribute.name} holds {longest:,}"
    if column.unlike:
        yield (
            f"{column.unlike:,} of {profile.different:,} different values name no option of {attribute.name}; "
            f"`dynamics-sync options` lists them"
        )


def _mappings(draft: Draft) -> Iterator[Any]:
    for column in draft.columns:
        match = draft.matches.get(column.label)
        if match is None:
            yield Remark(f"no column of {draft.entity.logical_name} has a name like {column.name}")
        elif match.attribute.polymorphic:
            tables = ", ".join(match.attribute.targets)
            yield Remark(
                f"{column.name} could be {match.attribute.name}, which refers to several tables ({tables}): write "
                f"lookup with entity and match"
            )
        else:
            mapping, note = _mapping(column, match, draft.entity)
            yield Noted(mapping, note) if note else mapping
    missing = [each for each in _required(draft.entity) if each.name not in _mapped(draft)]
    for attribute in missing:
        yield Remark(f"{draft.entity.logical_name} needs a value in {attribute.name}: map it")


def _mapped(draft: Draft) -> set[str]:
    return {match.attribute.name for match in draft.matches.values() if not match.attribute.polymorphic}


def _required(entity: EntityMetadata) -> Iterator[AttributeMetadata]:
    for attribute in entity.attributes.values():
        if attribute.required in {"ApplicationRequired", "SystemRequired"} and attribute.creatable:
            filled = attribute.has_default or attribute.type in ALWAYS_SET
            if not filled and attribute.name != entity.primary_id:
                yield attribute


def _mapping(column: SourceColumn, match: Match, entity: EntityMetadata) -> tuple[dict[str, Any], str]:
    attribute = match.attribute
    mapping: dict[str, Any] = {"source": column.label, "target": attribute.name}
    if not attribute.refers:
        return mapping, match.reason
    table = attribute.targets[0]
    found = _match_column(column, entity.table(table))
    mapping["lookup"] = {"match": found, "on_missing": "keep"}
    note = f"the record of {table} with this {found}, which is a guess; without one the column keeps its value"
    return mapping, "; ".join(filter(None, (match.reason, note)))


def _match_column(column: SourceColumn, table: EntityMetadata | None) -> str:
    """What most probably identifies the referenced record: an alternate key for numbers, else the name."""
    if table is None:
        return "id"
    keyed = sorted(key.columns[0] for key in table.keys if key.active and len(key.columns) == 1)
    if keyed and (identifies(column.name) or not table.primary_name):
        return keyed[0]
    return table.primary_name or table.primary_id
