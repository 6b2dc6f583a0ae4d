"""Pages of queries as the bytes that came: one query after the other, or several side by side."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from hashlib import blake2b

from shared.dataverse.http.answers import Answer, UnexpectedAnswer, parsed
from shared.dataverse.http.service import Call, Service, asked_for
from shared.dataverse.read.page_rows import split_page

__all__ = [
    "Page",
    "PageBounds",
    "continued_pages",
    "first_page",
    "following_pages",
    "limited_pages",
    "pages",
]


_ENDS = 10_000  # bytes at each end of a page that tell it from the others

_EMPTY = re.compile(rb"[\[\]\s]*")  # of records
_NEXT = "@odata.nextLink"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageBounds:
    """How many pages one query may have.

    Attributes:
        pages: With full pages the default is a thousand million records, more than a run could hold; the service fills
            its pages, unless a filter runs through a virtual table.
        empty: One after the other without a record: a service that still looks for records gives a few of them.
    """

    pages: int = 200_000
    empty: int = 1000


_BOUNDS = PageBounds()


@dataclass(slots=True, kw_only=True)
class _Trail:
    """The pages of a query so far, to detect a page that was already read.

    Attributes:
        prefer: What the query prefers, beside the size of the pages.
        following: Finds the next page's URL in what is around the records of a page; None on the last page.
        sized: Whether the size of the pages has to be asked for.
        links: Digests of the links that were followed.
        contents: Digests of the first and last records of each page; they contain ids, so all pages differ.
    """

    user: int = 0
    bounds: PageBounds = _BOUNDS
    prefer: str = ""
    following: Callable[[Answer], str | None] = lambda envelope: envelope.link(_NEXT)
    sized: bool = True
    links: set[bytes] = field(default_factory=set)
    contents: set[bytes] = field(default_factory=set)
    pages: int = 0
    empty: int = 0

    def note(self, link: str, rows: bytes, asked: str) -> None:
        """Take a page down.

        Raises:
            UnexpectedAnswer: It was there before, or there are too many.
        """
        self.pages += 1
        self.empty = self.empty + 1 if _EMPTY.fullmatch(rows) else 0
        known = len(self.links) + len(self.contents)
        self.links.add(_digest(link.encode("utf-8", "surrogatepass")))
        if not self.empty:
            # A page has megabytes where a table has many lookups: a digest of it all is a tenth of the time of reading.
            self.contents.add(_digest(b"%d %b %b" % (len(rows), rows[:_ENDS], rows[-_ENDS:])))
        if len(self.links) + len(self.contents) < known + (1 if self.empty else 2):
            raise UnexpectedAnswer(
                f"the pages of {asked} repeat: the service returned a next page that was read already. If it happens "
                f"again, report it to Microsoft with the table and destination.filter"
            )
        if self.pages > self.bounds.pages or self.empty > self.bounds.empty:
            raise UnexpectedAnswer(f"the pages of {asked} do not end: {self.pages:,} pages were read")


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to a query.

    Attributes:
        rows: The JSON array of its records, as it came.
        following: URL of the next page, None on the last.
        trail: The pages before it.
    """

    rows: bytes
    following: str | None
    trail: _Trail


def first_page(service: Service, path: str, *, table: str, user: int = 0, prefer: str = "") -> Page:
    """Ask for the first page of a query; `prefer` is for its header, beside the size of the pages.

    Raises:
        RequestRefused: The service refuses the query.
        AbortRun: No privilege, no such table, or the answer is not a page.
        RetryLater: The service is unavailable.
    """
    return _page(service, path, table, _Trail(user=user, prefer=prefer))


def _page(service: Service, path: str, table: str, trail: _Trail) -> Page:
    """Ask for one page; its links keep the page size, which has to be asked for again each time."""
    size = f"odata.maxpagesize={service.connection.page_rows}" if trail.sized else ""
    preferences = [each for each in (size, trail.prefer) if each]
    headers = {"Prefer": ",".join(preferences)} if preferences else {}
    answer = service.fetch(Call(path=path, headers=headers, table=table), user=trail.user).body
    asked = asked_for(path)
    rows, around = split_page(answer) or (b"", answer)
    envelope = parsed(around, asked)
    envelope.rows()  # without the array of records there is one error for all that it may be instead
    trail.note(path, rows, asked)
    return Page(rows=rows, following=trail.following(envelope), trail=trail)


def pages(
    service: Service,
    paths: Sequence[str],
    *,
    table: str,
    at_once: int = 1,
    prefer: str = "",
    bounds: PageBounds = _BOUNDS,
) -> Iterator[Page]:
    """All pages of some queries.

    The next page is asked for before this one is handed over, so parsing and waiting overlap. At most two pages
    for each query in flight are held in memory.

    Args:
        service: Sends.
        paths: Queries, relative.
        table: Logical name, for messages.
        at_once: How many queries are read side by side.
        bounds: How many pages each query may have.
        prefer: For their headers, beside the size of the pages.

    Raises:
        RequestRefused, AbortRun, RetryLater: As `first_page`.
    """
    users = len(service.users)
    return _all(
        service,
        [(path, _Trail(user=at % users, prefer=prefer, bounds=bounds)) for at, path in enumerate(paths)],
        table,
        at_once,
    )


def limited_pages(service: Service, path: str, most: int | None, *, table: str, prefer: str) -> Iterator[Page]:
    """All pages of a query, or one page with its first records; see `pages`."""
    if most is None:
        yield from pages(service, [path], table=table, prefer=prefer)
    else:  # `$top` counts only where no size of the pages is asked for
        yield _page(service, f"{path}&$top={most}", table, _Trail(prefer=prefer, sized=False))


def following_pages(service: Service, page: Page, *, table: str) -> Iterator[Page]:
    """The pages that come after one; see `pages`."""
    return _all(service, [] if page.following is None else [(page.following, page.trail)], table, 1)


def continued_pages(
    service: Service, path: str, following: Callable[[Answer], str | None], *, table: str, prefer: str
) -> Iterator[Page]:
    """All pages of a query that is continued by another query and not by a link; see `pages`.

    Args:
        service: Sends.
        path: The query of the first page, relative.
        following: Makes the query of the next page of what is around the records of a page; None on the last page.
        table: Logical name, for messages.
        prefer: For the headers.
    """
    return _all(service, [(path, _Trail(prefer=prefer, following=following, sized=False))], table, 1)


def _all(service: Service, asked: Sequence[tuple[str, _Trail]], table: str, at_once: int) -> Iterator[Page]:
    waiting = deque(asked)

    def ask(path: str, trail: _Trail) -> Future[Page]:
        return service.threads.submit(_page, service, path, table, trail)

    flying: set[Future[Page]] = set()
    try:
        while waiting or flying:
            while waiting and len(flying) < at_once:
                flying.add(ask(*waiting.popleft()))
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            arrived = [future.result() for future in done]
            flying |= {ask(page.following, page.trail) for page in arrived if page.following is not None}
            yield from arrived
    except KeyboardInterrupt:
        flying.clear()  # a read has no effect
        raise
    finally:
        wait(flying)
