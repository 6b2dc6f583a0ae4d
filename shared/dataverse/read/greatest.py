"""The greatest value of a column: one record, in the order of the service."""

from __future__ import annotations

from decimal import Decimal

from shared.dataverse.http.answers import parsed
from shared.dataverse.http.service import Call, Service, asked_for
from shared.dataverse.read.reader import select_query
from shared.entities import EntityMetadata

__all__ = ["greatest_value"]


def greatest_value(service: Service, entity: EntityMetadata, column: str, condition: str | None) -> str | None:
    """The greatest value of a column, with all digits; None where no record has one.

    Args:
        service: Sends.
        entity: The table.
        column: Its logical name; no lookup.
        condition: An OData filter, not percent-encoded; None for all records.

    Raises:
        RequestRefused: The service refuses the query.
        AbortRun: No privilege, no such table, or the answer is not a page.
        RetryLater: The service is unavailable.
    """
    present = f"{column} ne null"
    path = select_query(entity, [column], f"{condition} and {present}" if condition else present)
    path += f"&$orderby={column}%20desc&$top=1"
    answer = service.fetch(Call(path=path, table=entity.logical_name))
    for record in parsed(answer.body, asked_for(path), exact=True).rows():
        value = dict(record.members()).get(column)
        return format(value, "f") if isinstance(value, Decimal) else None if value is None else str(value)
    return None
