"""The records that refer to some records in one column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.dataverse.http.answers import parsed
from shared.dataverse.http.keys import column_in_url
from shared.dataverse.http.service import Service
from shared.dataverse.read.fetching import fetched_by_ids
from shared.entities import EntityMetadata

__all__ = ["referring"]


def referring(service: Service, entity: EntityMetadata, column: str, ids: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The records that refer to records of some ids, each with the id to which it refers.

    Args:
        service: Sends.
        entity: The table of the records that refer.
        column: Its lookup.
        ids: Of the records that are referred to, in lower case.

    Raises:
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    value = column_in_url(entity.attributes[column])
    for page in fetched_by_ids(service, entity, ids, column=column, attributes=(entity.primary_id, column)):
        for found in parsed(page, f"records of {entity.logical_name}").items():
            yield found.member(entity.primary_id).guid(), found.member(value).guid()
