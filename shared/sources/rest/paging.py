"""Pagination: the request of the next page, for each kind of pagination. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from urllib.parse import urljoin

from requests.utils import requote_uri

from shared.definitions.models.sources.paging import (
    CursorPages,
    EmptyPage,
    LinkPages,
    NumberedPages,
    OffsetPages,
    Pagination,
    ParameterPlace,
)
from shared.errors import UserError
from shared.json_paths import ABSENT, finder
from shared.sources.json_text.records import text_of
from shared.sources.rest.addresses import with_parameter
from shared.sources.rest.links import next_link

__all__ = ["AnswerPage", "NextPageError", "PageRequest", "Pager", "pager_of"]

_MOST_EMPTY: Final = 100  # pages without a record, one after the other
_MOST_SHOWN: Final = 60  # characters of a header
# Services count records in it, with any unit or none (PostgREST, react-admin): `items 0-24/319`.
_RANGE: Final = re.compile(r"(?:[\w-]+\s+)?(?P<first>\d{1,18})-(?P<last>\d{1,18})/(?P<total>\d{1,18}|\*)", re.ASCII)
_ODATA_LINKS: Final = {path: finder(path) for path in ("$['@odata.nextLink']", "$.d.__next")}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What a page is asked for with.

    Attributes:
        url: With the parameters of the page.
        body: JSON text; None for a request without one.
    """

    url: str
    body: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPage:
    """One answer.

    Attributes:
        url: Where it came from, behind redirects.
        place: The request as messages show it.
        headers: Names in lower case.
        partial: Its status says that it is a part of what was asked for (206).
        document: The answer as a value; `ABSENT` where its records are read one by one.
        rows: How many records it had.
    """

    url: str
    place: str
    headers: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False
    document: Any = ABSENT
    rows: int = 0


class Pager(Protocol):
    """Asks for pages in order."""

    def first(self) -> PageRequest:
        """The request of the first page."""
        ...

    def following(self, page: AnswerPage) -> PageRequest | None:
        """The request of the page after another; None if that was the last one.

        Raises:
            UserError: The answer does not say how to go on.
        """
        ...


def pager_of(pagination: Pagination | None, start: PageRequest) -> Pager:
    """The pages of a source.

    Args:
        pagination: What the definition says.
        start: The request without the parameters of pages.
    """
    match pagination:
        case None:
            return _OnePage(start)
        case OffsetPages() | NumberedPages():
            return _Counted(pagination, start)
        case CursorPages():
            return _Marked(pagination, start)
        case LinkPages():
            return _Linked(pagination, start)


class NextPageError(UserError):
    """An answer has a next page, and the source does not say how it is asked for.

    Attributes:
        pagination: The keys that say it.
    """

    def __init__(self, place: str, pagination: Mapping[str, str]) -> None:
        keys = ", ".join(f"{key}: {value}" for key, value in pagination.items())
        super().__init__(f"{place} answered with a link to a next page: add pagination: {{{keys}}} to the source")
        self.pagination = pagination


def _refuse_link_in_body(page: AnswerPage) -> None:
    """Refuse a page whose document has the link of OData, in version 4 or 2, where it is not followed."""
    for path, found in _ODATA_LINKS.items():
        link = found(page.document)
        if link is not ABSENT and link:
            raise NextPageError(page.place, {"type": "link", "next": path})


def _refuse_part(page: AnswerPage) -> None:
    """Refuse an answer that says that it is a part: the header has the first and last record and how many there are."""
    found = _RANGE.fullmatch(page.headers.get("content-range", "").strip())
    total = found["total"] if found else "*"
    if found and total != "*" and int(found["first"]) == 0 and int(found["last"]) + 1 >= int(total):
        return
    if page.partial or total != "*":
        told = f" ({page.headers['content-range'].strip()[:_MOST_SHOWN]})" if found else ""
        raise UserError(
            f"{page.place} answered with a part of the records{told}, so rows would be missing: add pagination to the "
            "source, or ask for all records in one answer"
        )


class _OnePage:
    """A single answer; one that has a next page would lose records."""

    def __init__(self, start: PageRequest) -> None:
        self._start = start

    def first(self) -> PageRequest:
        return self._start

    def following(self, page: AnswerPage) -> PageRequest | None:
        _refuse_link_in_body(page)
        if next_link(page.headers.get("link", ""), page.place):
            raise NextPageError(page.place, {"type": "link"})
        _refuse_part(page)
        return None


class _Counted:
    """Offsets grow by the records that were read, numbers of pages by one; a page without records is the last."""

    def __init__(self, pages: OffsetPages | NumberedPages, start: PageRequest) -> None:
        self._pages = pages
        self._start = _sized(start, pages)
        self._at = pages.first

    def first(self) -> PageRequest:
        return self._asked()

    def following(self, page: AnswerPage) -> PageRequest | None:
        if not page.rows:
            return None
        self._at += page.rows if isinstance(self._pages, OffsetPages) else 1
        return self._asked()

    def _asked(self) -> PageRequest:
        return _set(self._start, self._pages, self._pages.parameter, self._at)


class _Marked:
    def __init__(self, pages: CursorPages, start: PageRequest) -> None:
        self._pages = pages
        self._start = _sized(start, pages)
        self._next = finder(pages.next)
        self._goes_on = _GoesOn(pages.empty_page)

    def first(self) -> PageRequest:
        return self._start

    def following(self, page: AnswerPage) -> PageRequest | None:
        mark = _found(self._next(page.document), page, "the mark of the next page")
        if not mark or not self._goes_on.after(page):
            return None
        return _set(self._start, self._pages, self._pages.parameter, mark)


class _Linked:
    def __init__(self, pages: LinkPages, start: PageRequest) -> None:
        self._start = start
        self._next = finder(pages.next) if pages.next else None
        self._goes_on = _GoesOn(pages.empty_page)

    def first(self) -> PageRequest:
        return self._start

    def following(self, page: AnswerPage) -> PageRequest | None:
        if self._next is None:
            link = next_link(page.headers.get("link", ""), page.place)
            if not link:
                _refuse_link_in_body(page)
        else:
            link = _found(self._next(page.document), page, "the link to the next page")
        if not link or not self._goes_on.after(page):
            return None
        return replace(self._start, url=_address(link, page))


class _GoesOn:
    """Whether pages follow an empty page; many consecutive empty pages are a mistake."""

    def __init__(self, empty_page: EmptyPage) -> None:
        self._empty_page = empty_page
        self._empty = 0

    def after(self, page: AnswerPage) -> bool:
        self._empty = 0 if page.rows else self._empty + 1
        if self._empty and self._empty_page is EmptyPage.END:
            return False
        if self._empty >= _MOST_EMPTY:
            raise UserError(
                f"{page.place}: {_MOST_EMPTY} pages in a row had no records and a next page; if a page without records "
                f"is the last one, set empty_page: end"
            )
        return True


def _address(link: str, page: AnswerPage) -> str:
    try:
        return requote_uri(urljoin(page.url, link)).partition("#")[0]
    except ValueError:
        raise UserError(f"{page.place} answered with a link to the next page that is not a URL") from None


def _found(value: Any, page: AnswerPage, what: str) -> str:
    """A mark or link as text; empty for one that is missing, null or false."""
    if value is ABSENT or value is None or value is False:
        return ""
    if isinstance(value, (dict, list, bool)):
        raise UserError(f"{page.place}: {what} is not a text: check pagination.next")
    return text_of(value) or ""


def _sized(start: PageRequest, pages: OffsetPages | NumberedPages | CursorPages) -> PageRequest:
    if pages.size_parameter is None or pages.size is None:
        return start
    return _set(start, pages, pages.size_parameter, pages.size)


def _set(
    start: PageRequest, pages: OffsetPages | NumberedPages | CursorPages, name: str, value: str | int
) -> PageRequest:
    """A request with one more parameter, in its query or in its body."""
    if pages.place is ParameterPlace.QUERY:
        return replace(start, url=with_parameter(start.url, name, str(value)))
    body = json.loads(start.body or "{}")
    if not isinstance(body, dict):
        raise UserError("source.body is not a JSON object, so pagination cannot add its parameters")
    return replace(start, body=json.dumps({**body, name: value}, ensure_ascii=False))
