"""A record that Dataverse's message was too large to carry, read by its id."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

from shared.dataverse import Dataverse
from shared.dataverse.http.service import Call
from shared.errors import RequestRefused
from shared.events import RecordReference

__all__ = ["reread"]

_LOOKUP: Final = re.compile(r"_(.+)_value")


def reread(reference: RecordReference, dataverse: Dataverse) -> dict[str, Any]:
    """Read a record as an event would have carried it: columns by logical name, lookups as ids.

    Raises:
        RequestRefused: There is no such record, or the message names no record.
        AbortRun: No privilege, no such table.
        RetryLater: The service is away.
    """
    try:
        record = UUID(reference.id)
    except ValueError:
        raise RequestRefused("the message was too large and names no record to read instead", status=400) from None
    entity = dataverse.entity(reference.entity)
    call = Call(path=f"{entity.entity_set}({record})", table=entity.logical_name)
    fields = dataverse.service.fetch_json(call, exact=True).members()
    return {_LOOKUP.sub(r"\1", name): value for name, value in fields.items() if "@" not in name}
