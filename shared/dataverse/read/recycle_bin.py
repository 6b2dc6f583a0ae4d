"""Which records the recycle bin of an environment has.

Microsoft: "Restore deleted records with code": they are found by FetchXML alone, and where a table has no recycle bin
none is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from shared.dataverse.http.answers import parsed
from shared.dataverse.http.service import Service
from shared.dataverse.read.fetching import fetched_pages
from shared.entities import EntityMetadata
from shared.errors import RequestRefused

__all__ = ["ids_in_bin"]

_AT_ONCE: Final = 300  # ids of a query: about two thirds of a URL


def ids_in_bin(service: Service, entity: EntityMetadata, ids: Iterable[str]) -> Iterator[str]:
    """The ids of those records that can be restored; none where the service knows no recycle bin.

    Raises:
        AbortRun: No privilege, no such table.
        RetryLater: The service is unavailable.
    """
    from xml.etree.ElementTree import Element, SubElement  # noqa: PLC0415 - loaded only where there is a query

    rest = iter(ids)
    while wanted := list(islice(rest, _AT_ONCE)):
        query = Element("fetch", datasource="bin")
        table = SubElement(query, "entity", name=entity.logical_name)
        SubElement(table, "attribute", name=entity.primary_id)
        condition = SubElement(SubElement(table, "filter"), "condition", attribute=entity.primary_id, operator="in")
        for record in wanted:
            SubElement(condition, "value").text = record
        try:
            for page in fetched_pages(service, entity, query, ()):
                for found in parsed(page, "deleted records").items():
                    yield found.member(entity.primary_id).guid()
        except RequestRefused:
            return
