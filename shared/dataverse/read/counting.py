"""How many records a filter lets through."""

from __future__ import annotations

from typing import Final

from shared.dataverse.http.service import Call, Service
from shared.dataverse.read.reader import table_query
from shared.entities import EntityMetadata

__all__ = ["MOST_COUNTED", "count_records"]

MOST_COUNTED: Final = 5000
"""The service counts no further. https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query/count-rows"""


def count_records(service: Service, entity: EntityMetadata, condition: str | None) -> int:
    """The number of records of a table, at most `MOST_COUNTED`.

    Args:
        service: The environment.
        entity: The table.
        condition: An OData filter; None for all records.

    Raises:
        RequestRefused: The service refuses the filter.
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    path = f"{table_query(entity, (), condition)}&$count=true&$top=1"
    answer = service.fetch_json(Call(path=path, table=entity.logical_name))
    return answer.member("@odata.count").whole()
