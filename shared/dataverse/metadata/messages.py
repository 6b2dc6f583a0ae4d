"""The bulk messages of a table: documentation and environments differ, so the service is asked."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from shared.dataverse.http.service import Call, Service
from shared.entities import EntityMetadata

__all__ = ["read_messages"]


def read_messages(service: Service, entity: EntityMetadata, messages: Iterable[str]) -> frozenset[str]:
    """Which of some bulk messages a table has.

    DeleteMultiple is listed for standard tables too, where it is not implemented (Microsoft: bulk operations).
    """
    if entity.intersect:
        return frozenset()
    names = [name for name in messages if name != "DeleteMultiple" or entity.elastic]
    among = " or ".join(f"sdkmessageid/name eq '{name}'" for name in names)
    path = (
        "sdkmessagefilters?$select=sdkmessagefilterid&$expand=sdkmessageid($select=name)"
        f"&$filter=primaryobjecttypecode eq '{entity.logical_name}' and ({among})"
    )
    answer = service.fetch_json(Call(path=quote(path, safe="/?&=$,()'"), table="sdkmessagefilter"))
    found = frozenset(row.member("sdkmessageid").member("name").text() for row in answer.rows())
    # "Create and Update supported implies Upsert": UpsertMultiple has no row of its own on standard tables.
    return found | {"UpsertMultiple"} if found >= {"CreateMultiple", "UpdateMultiple"} else found
