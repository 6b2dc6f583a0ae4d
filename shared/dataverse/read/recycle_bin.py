"""Which records the recycle bin of an environment has.

Microsoft: "Restore deleted records with code": they are found by FetchXML alone, and where a table has no recycle bin
none is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from shared.dataverse.http.answers import parsed
from shared.dataverse.http.service import Service
from shared.dataverse.read.fetching import fetched_by_ids
from shared.entities import EntityMetadata
from shared.errors import RequestRefused

__all__ = ["ids_in_bin"]


def ids_in_bin(service: Service, entity: EntityMetadata, ids: Iterable[str]) -> Iterator[str]:
    """The ids of those records that can be restored; none where the service knows no recycle bin.

    Raises:
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    own = entity.primary_id
    try:
        for page in fetched_by_ids(service, entity, ids, column=own, attributes=(own,), datasource="bin"):
            for found in parsed(page, "deleted records").items():
                yield found.member(own).guid()
    except RequestRefused:
        return
