"""The records that refer to some records in one column: found by FetchXML, which takes many ids in one condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from shared.dataverse.http.answers import parsed
from shared.dataverse.http.keys import column_in_url
from shared.dataverse.http.service import Service
from shared.dataverse.read.fetching import fetched_pages
from shared.entities import EntityMetadata

__all__ = ["referring"]

_AT_ONCE: Final = 300  # ids of a query: about two thirds of a URL


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
    from xml.etree.ElementTree import Element, SubElement  # noqa: PLC0415 - loaded only where there is a query

    rest, value = iter(ids), column_in_url(entity.attributes[column])
    while wanted := list(islice(rest, _AT_ONCE)):
        query = Element("fetch")
        table = SubElement(query, "entity", name=entity.logical_name)
        for name in (entity.primary_id, column):
            SubElement(table, "attribute", name=name)
        condition = SubElement(SubElement(table, "filter"), "condition", attribute=column, operator="in")
        for record in wanted:
            SubElement(condition, "value").text = record
        for page in fetched_pages(service, entity, query, ()):
            for found in parsed(page, f"records of {entity.logical_name}").items():
                yield found.member(entity.primary_id).guid(), found.member(value).guid()
