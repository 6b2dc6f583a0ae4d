"""Queries in FetchXML, page by page: each page is asked for with the paging cookie of the page before.

Microsoft: "Page results using FetchXml" (power-apps/developer/data-platform/fetchxml/page-results).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from shared.dataverse.http.answers import Answer
from shared.dataverse.http.connection import PAGE_ROWS
from shared.dataverse.http.service import Service
from shared.dataverse.read.paging import continued_pages
from shared.dataverse.read.reader import LONGEST_URL
from shared.entities import EntityMetadata
from shared.errors import UserError
from shared.fetch_xml import fetch_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a query

__all__ = ["fetched_by_ids", "fetched_pages"]

_IDS_AT_ONCE: Final = 300  # of a query: about two thirds of a URL
_MORE: Final = "Microsoft.Dynamics.CRM.morerecords"
_SET: Final = frozenset({"true", "1"})
_COOKIE: Final = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
# The annotation is an XML element; its attribute is the cookie, URL-encoded twice.
_ENCODED: Final = re.compile(r'\bpagingcookie="([^"]*)"')


def fetched_pages(
    service: Service, entity: EntityMetadata, query: Element, annotations: Sequence[str]
) -> Iterator[bytes]:
    """The records of a query, each page as its JSON array.

    Args:
        service: Sends.
        entity: The table of the query.
        query: The query; it is changed.
        annotations: What the answers should have beside the values.

    Raises:
        UserError: The query is too long for a URL.
        RequestRefused: The service refuses the query.
        AbortRun: No privilege, no such table, or the answer is not a page.
        RetryLater: The service is unavailable.
    """
    continuing = _Continuing(entity.entity_set, query)
    prefer = f'odata.include-annotations="{",".join((*annotations, _COOKIE, _MORE))}"'
    path = continuing.path()
    for page in continued_pages(service, path, continuing.following, table=entity.logical_name, prefer=prefer):
        yield page.rows


def fetched_by_ids(
    service: Service,
    entity: EntityMetadata,
    ids: Iterable[str],
    *,
    column: str,
    attributes: Sequence[str],
    **options: str,
) -> Iterator[bytes]:
    """The records that have one of some ids in a column, each page as its JSON array.

    FetchXML takes many ids in one condition.

    Args:
        service: Sends.
        entity: The table.
        ids: Any number of them.
        column: The id of the record, or a lookup.
        attributes: The columns that are read.
        options: Attributes of the query, such as `datasource`.

    Raises:
        RequestRefused, AbortRun, RetryLater: As `fetched_pages`.
    """
    from xml.etree.ElementTree import Element, SubElement  # noqa: PLC0415 - the parser is loaded where there is a query

    rest = iter(ids)
    while wanted := list(islice(rest, _IDS_AT_ONCE)):
        query = Element("fetch", options)
        table = SubElement(query, "entity", name=entity.logical_name)
        for name in attributes:
            SubElement(table, "attribute", name=name)
        condition = SubElement(SubElement(table, "filter"), "condition", attribute=column, operator="in")
        for record in wanted:
            SubElement(condition, "value").text = record
        yield from fetched_pages(service, entity, query, ())


def _order_groups(entity: Element) -> None:
    """Sort the groups of an aggregate query, so that its pages, which have no cookie, do not overlap.

    Microsoft: "When grouping, you should specify an order element with an alias value set to the alias of the group"
    (fetchxml/aggregate-data).
    """
    from xml.etree.ElementTree import SubElement  # noqa: PLC0415 - see above

    ordered = {each.get("alias") for each in entity.findall("order")}
    for attribute in entity.iter("attribute"):
        alias = attribute.get("alias")
        if alias and alias not in ordered and attribute.get("groupby", "").lower() in _SET:
            SubElement(entity, "order", alias=alias)


def _sort_by_id(query: Element) -> None:
    """Remove what sorts the records: the service then sorts them by their ids, which nobody changes.

    A record whose value of a sorting column changes while pages are read moves to a page that was already read: it
    would be missing, and its record in the target would be dropped. Distinct records have no id, and keep their order.

    Microsoft: without an order the service adds the primary key, but not to distinct records
    (org-service/paging-behaviors-and-ordering).
    """
    if query.get("distinct", "").lower() not in _SET:
        for element in query.iter():
            for order in element.findall("order"):
                element.remove(order)


class _Continuing:
    """A query with the number and the cookie of its page. A query with `top` has one page."""

    def __init__(self, entity_set: str, query: Element) -> None:
        self._entity_set = entity_set
        self._query = query
        self._page = 1
        query.attrib.pop("paging-cookie", None)
        query.attrib.pop("page", None)
        if query.get("aggregate", "").lower() in _SET:
            _order_groups(query[0])
        elif query.get("top") is None:
            _sort_by_id(query)
        if query.get("top") is None:
            query.set("count", query.get("count") or str(PAGE_ROWS))
            query.set("page", "1")

    def path(self) -> str:
        path = f"{self._entity_set}?fetchXml={quote(fetch_text(self._query), safe='')}"
        if len(path) > LONGEST_URL - 200:
            raise UserError(f"the FetchXML is too long: its URL has {len(path)} characters, {LONGEST_URL} are possible")
        return path

    def following(self, envelope: Answer) -> str | None:
        more = envelope.member(f"@{_MORE}")
        if self._query.get("top") is not None:
            return None
        if more.value is None:  # to take it for the last page would leave records out
            raise more.unexpected("true or false")
        if not more.flag(default=False):
            return None
        self._page += 1
        self._query.set("page", str(self._page))
        self._place(envelope.member(f"@{_COOKIE}"))
        return self.path()

    def _place(self, cookie: Answer) -> None:
        """Some queries have no cookie: then the number of the page alone says where it begins."""
        if cookie.value is None:
            self._query.attrib.pop("paging-cookie", None)
            return
        found = _ENCODED.search(cookie.text())
        if found is None:
            raise cookie.unexpected("an element with a paging cookie")
        self._query.set("paging-cookie", unquote(unquote(found[1])))
