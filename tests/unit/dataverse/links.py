"""An intersect table as its metadata is read: links between accounts and leads."""

from __future__ import annotations

from shared.entities import AttributeMetadata, AttributeType, EntityMetadata, LinkEnd
from tests.unit.dataverse.simulation import ACCOUNT

__all__ = ["LINKS", "ONE", "TWO"]

ONE, TWO = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
LEAD = EntityMetadata(
    logical_name="lead", entity_set="leads", display_name="Lead", primary_id="leadid", primary_name="", attributes={}
)
ENDS = (
    LinkEnd(table="account", column="accountid", navigation="accountleads_association"),
    LinkEnd(table="lead", column="leadid", navigation="accountleads_association"),
)
_ID = AttributeMetadata(name="accountleadid", type=AttributeType.UNIQUEIDENTIFIER, creatable=False, updatable=False)
_COLUMNS = [
    AttributeMetadata(
        name=end.column,
        type=AttributeType.UNIQUEIDENTIFIER,
        targets=(end.table,),
        updatable=False,
        required="SystemRequired",
    )
    for end in ENDS
]
LINKS = EntityMetadata(
    logical_name="accountleads",
    entity_set="accountleadscollection",
    display_name="accountleads",
    primary_id="accountleadid",
    primary_name="",
    attributes={column.name: column for column in (_ID, *_COLUMNS)},
    intersect=True,
    ends=ENDS,
    related={"account": ACCOUNT, "lead": LEAD},
)
