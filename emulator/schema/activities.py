"""Activities: the lookups that refer to many tables, and change when a table is added.

An activity is regarding a row of any table with activities, a note belongs to a row of any table with notes, and an
activity party joins any activity with any table that can take part in one. The names are those of the reference:
`regardingobjectid_account_task` and `Account_Tasks`, `objectid_account` and `Account_Annotation`,
`partyid_contact`, `activityid_email` and `email_activity_parties`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from emulator.schema.columns import build_column, default_navigation
from emulator.schema.model import Column, Table

__all__ = ["ACTIVITIES", "PARTIES", "ROLES", "activity_tables", "linked", "parties_property", "party_columns"]

ACTIVITIES: Final = "activitypointer"
"""The table with the rows of all activity tables."""
PARTIES: Final = "activityparty"
"""The table of the people and rows that take part in activities."""
ROLES: Final[Mapping[str, tuple[int, ...]]] = {
    "appointment": (5, 6, 7),
    "campaignresponse": (11,),
    "email": (1, 2, 3, 4),
    "fax": (1, 2),
    "letter": (1, 2, 4),
    "phonecall": (1, 2),
    "serviceappointment": (10, 11),
}
"""The participation types of the standard activities (activityparty-entity); a custom activity has all of them."""
_PARTY_COLUMNS: Final = {
    1: ("From", "From"),
    2: ("To", "To"),
    3: ("Cc", "CC"),
    4: ("Bcc", "BCC"),
    5: ("RequiredAttendees", "Required Attendees"),
    6: ("OptionalAttendees", "Optional Attendees"),
    7: ("Organizer", "Organizer"),
    10: ("Resources", "Resources"),
    11: ("Customers", "Customers"),
}
_NOTES: Final = "annotation"
_ENDINGS: Final = {
    "activitypointer": "ActivityPointers",
    "appointment": "Appointments",
    "email": "Emails",
    "fax": "Faxes",
    "letter": "Letters",
    "phonecall": "Phonecalls",
    "task": "Tasks",
}
_PARTY_RELATIONSHIPS: Final = {"systemuser": "system_user_activity_parties"}
Settings = dict[str, Any]


def activity_tables(tables: Mapping[str, Table]) -> list[Table]:
    """Returns the tables that hold activities, without the one that shows them all."""
    return [table for table in tables.values() if table.activity and table.logical_name != ACTIVITIES]


def parties_property(table: Table) -> str:
    """Returns the property with the parties of an activity, `email_activity_parties`."""
    return f"{table.logical_name}_activity_parties"


def party_columns(table: Table) -> list[tuple[str, str]]:
    """Returns schema name and label of the lists of parties that the metadata of an activity shows as its columns."""
    if not table.activity or table.logical_name == ACTIVITIES:
        return []
    if table.logical_name == "campaignresponse":  # the only one with another name
        return [("Customer", "Customer")]
    roles = tuple(_PARTY_COLUMNS) if table.custom else ROLES.get(table.logical_name, ())
    return [_PARTY_COLUMNS[role] for role in roles]


def linked(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Returns the tables with these lookups as the tables require; other tables are the same objects."""
    changed = dict(tables)
    for table in tables.values():
        new = {column.logical_name: column for column in _columns(table, tables)}
        if table.logical_name in {ACTIVITIES, PARTIES} and table.writable:  # from the JSON of a real environment
            changed[table.logical_name] = table = replace(  # noqa: PLW2901 - the table as it is from here on
                table, writable=False, bulk_messages=frozenset(), change_tracking=False
            )
        if any(table.columns.get(name) != column for name, column in new.items()):
            changed[table.logical_name] = replace(table, columns=dict(sorted({**table.columns, **new}.items())))
    return changed


def _columns(table: Table, tables: Mapping[str, Table]) -> Iterator[Column]:
    if table.activity:
        names = {one.logical_name: _regarding(table, one) for one in tables.values() if one.has_activities}
        shown = "none" if table.logical_name == ACTIVITIES else "parental"  # a view changes with its tables
        yield from _lookup(table, "RegardingObjectId", names, tables, label="Regarding", cascade=shown)
        yield from _suffixed(table)
    if table.logical_name == _NOTES:
        names = {one.logical_name: _note(one) for one in tables.values() if one.has_notes}
        yield from _lookup(table, "ObjectId", names, tables, label="Regarding", cascade="parental")
    if table.logical_name == PARTIES:
        names = {
            one.logical_name: (f"activityid_{one.logical_name}", parties_property(one))
            for one in activity_tables(tables)
        }
        fixed = {"label": "Activity", "valid_for_update": False, "required": "SystemRequired", "cascade": "parental"}
        yield from _lookup(table, "ActivityId", names, tables, **fixed)
        names = {one.logical_name: _party(one) for one in tables.values() if one.activity_party}
        yield from _lookup(table, "PartyId", names, tables, label="Party")


def _regarding(table: Table, target: Table) -> tuple[str, str]:
    """Navigation property and relationship from an activity to the row that it is about."""
    owner = target.logical_name if target.custom else target.schema_name
    if table.logical_name == ACTIVITIES:
        return f"regardingobjectid_{target.logical_name}", f"{owner}_{_ENDINGS[ACTIVITIES]}"
    ending = _ENDINGS.get(table.logical_name) or (table.entity_set if table.custom else f"{table.schema_name}s")
    if table.logical_name not in _ENDINGS:  # opportunity_QuoteCloses, account_new_visits
        owner = target.logical_name
    return f"regardingobjectid_{target.logical_name}_{table.logical_name}", f"{owner}_{ending}"


def _note(target: Table) -> tuple[str, str]:
    name = f"{target.logical_name}_Annotations" if target.custom else f"{target.schema_name}_Annotation"
    return f"objectid_{target.logical_name}", name


def _party(target: Table) -> tuple[str, str]:
    relationship = _PARTY_RELATIONSHIPS.get(target.logical_name, f"{target.logical_name}_activity_parties")
    return f"partyid_{target.logical_name}", relationship


def _lookup(
    table: Table,
    name: str,
    names: Mapping[str, tuple[str, str]],
    tables: Mapping[str, Table],
    **settings: Any,
) -> Iterator[Column]:
    """Yields the column, if it has targets; names that a description of the table states are kept."""
    old = table.columns.get(name.lower())
    navigation = dict(old.navigation) if old else {}
    relationship = dict(old.relationships) if old else {}
    for target, (property_name, relationship_name) in names.items():
        navigation.setdefault(target, property_name)
        relationship.setdefault(target, relationship_name)
    if not navigation:
        return
    described = {
        "type": "Lookup",
        "targets": list(navigation),
        "navigation": navigation,
        "relationship": relationship,
        **settings,
    }
    yield build_column(table.schema_name, name, described, tables)


def _suffixed(table: Table) -> Iterator[Column]:
    """Custom lookups of activity tables have the table's name at the end of their navigation property."""
    for column in table.columns.values():
        if column.custom and column.is_lookup:
            standard = default_navigation(column.schema_name, column.targets)
            if dict(column.navigation) == standard:
                named = {target: f"{name}_{table.logical_name}" for target, name in standard.items()}
                yield replace(column, navigation=named)
