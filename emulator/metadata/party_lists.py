"""The lists of parties of an activity, such as `to` and `requiredattendees`, as the metadata shows them.

They are columns of type PartyList in the metadata, and no properties of the Web API: a body states the parties as rows
of a collection.
"""

from typing import Any
from uuid import uuid5

from emulator.metadata.attributes import attribute_json, label_json
from emulator.schema import Table
from emulator.schema.activities import party_columns
from emulator.store.system_rows import NAMESPACE

__all__ = ["party_lists"]

Json = dict[str, Any]


def party_lists(activity: Table, parties: Table) -> list[Json]:
    """Returns the LookupAttributeMetadata of each list.

    Args:
        activity: Any table; only activities have lists.
        parties: The table of the parties, whose column `partyid` has the same targets.
    """
    like = attribute_json(parties, parties.columns["partyid"])
    return [
        {
            **like,
            "MetadataId": str(uuid5(NAMESPACE, f"column {activity.logical_name}.{name.lower()}")),
            "LogicalName": name.lower(),
            "SchemaName": name,
            "EntityLogicalName": activity.logical_name,
            "AttributeType": "PartyList",
            "AttributeTypeName": {"Value": "PartyListType"},
            "ColumnNumber": len(activity.columns) + number,
            "DisplayName": label_json(label),
            "IsValidForCreate": True,
            "IsValidForRead": True,
            "IsValidForUpdate": True,
        }
        for number, (name, label) in enumerate(party_columns(activity), 1)
    ]
