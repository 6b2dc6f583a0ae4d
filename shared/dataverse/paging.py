"""Pages of queries as response texts: one query after the other, or several side by side."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from shared.dataverse.service import Call, Service, not_dataverse
from shared.errors import AbortRun

__all__ = ["PAGE_ROWS", "Page", "first_page", "pages"]

PAGE_ROWS = 5000  # the most that the service gives

# Inside a JSON string the quotes would be escaped, so this can only be the member itself.
_NEXT_LINK = re.compile(r'"@odata\.nextLink"\s*:\s*("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One answer to a query.

    Attributes:
        text: The JSON as it came.
        following: URL of the next page, None on the last.
        user: Index of the application user that reads this query.
    """

    text: str
    following: str | None
    user: int = 0


def first_page(service: Service, path: str, *, table: str, user: int = 0) -> Page:
    """Ask for one page; its links keep the page size, which has to be asked for again each time.

    Raises:
        RequestRefused: The service refuses the query.
        AbortRun: No privilege, no such table.
        RetryLater: The service is away.
    """
    headers = {"Prefer": f"odata.maxpagesize={PAGE_ROWS}"}
    text = service.fetch(Call(path=path, headers=headers, table=table), user=user).text
    if not text.startswith("{"):
        raise AbortRun(not_dataverse(path))
    found = _NEXT_LINK.search(text)
    return Page(text=text, following=None if found is None else json.loads(found[1]), user=user)


def pages(service: Service, paths: Sequence[str], *, table: str, at_once: int = 1) -> Iterator[Page]:
    """All pages of some queries.

    The next page is asked for before this one is handed over, so parsing and waiting overlap. At most two pages
    for each query in flight are held in memory.

    Args:
        service: Sends.
        paths: Queries, relative; or next links.
        table: Logical name, for messages.
        at_once: How many queries are read side by side.

    Raises:
        RequestRefused, AbortRun, RetryLater: As `first_page`.
    """
    waiting = deque(enumerate(paths))
    users = len(service.users)

    def ask(path: str, user: int) -> Future[Page]:
        return service.threads.submit(first_page, service, path, table=table, user=user)

    flying: set[Future[Page]] = set()
    try:
        while waiting or flying:
            while waiting and len(flying) < at_once:
                number, path = waiting.popleft()
                flying.add(ask(path, number % users))
            done, flying = wait(flying, return_when=FIRST_COMPLETED)
            arrived = [future.result() for future in done]
            flying |= {ask(page.following, page.user) for page in arrived if page.following is not None}
            yield from arrived
    finally:
        wait(flying)
