"""Checks of what was read: no page twice, not too many pages, and the number of records that the service gives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from shared.errors import UserError
from shared.json_paths import ABSENT, finder
from shared.sources.json_text.records import BadRecord, text_of
from shared.sources.rest.paging import AnswerPage, PageRequest

__all__ = ["SeenPages", "Total"]

_MOST_PAGES: Final = 100_000
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_REMEDY: Final = "check pagination: its parameter, or where the next page is named"


class SeenPages:
    """The requests and the pages so far, by their hashes; a loop ends at once and not at the limit.

    Args:
        most: How many pages there may be.
    """

    def __init__(self, most: int = _MOST_PAGES) -> None:
        self._most = most
        self._asked: set[bytes] = set()
        self._pages: set[bytes] = set()

    def ask(self, asked: PageRequest, place: str) -> None:
        """Note a request.

        Raises:
            UserError: It was sent before, or there are too many pages.
        """
        key = hashlib.sha256(f"{asked.url}\n{asked.body or ''}".encode()).digest()
        if key in self._asked:
            raise UserError(f"{place}: the service names a page as the next one that was read before; {_REMEDY}")
        if len(self._asked) >= self._most:
            raise UserError(f"{place}: more than {self._most:,} pages; ask for larger pages, or {_REMEDY}")
        self._asked.add(key)

    def noted(self, records: Iterable[dict[str, Any] | BadRecord], place: str) -> Iterator[dict[str, Any] | BadRecord]:
        """Yield the records of a page, and store the page at its end.

        Raises:
            UserError: A page with the same records was read before, so the service does not go on.
        """
        digest, count = hashlib.sha256(), 0
        for record in records:
            count += 1
            digest.update(_written(record))
            yield record
        if not count:
            return
        if (key := digest.digest()) in self._pages:
            raise UserError(f"{place}: the service answered with a page that was read before; {_REMEDY}")
        self._pages.add(key)


def _written(record: dict[str, Any] | BadRecord) -> bytes:
    try:
        return repr(record).encode("utf-8", errors="surrogatepass") + b"\n"
    except RecursionError:
        return b"deep\n"  # reported as a malformed row


class Total:
    """The number of records that the service gives with its pages.

    If rows are added or removed while pages are read, an offset moves over other rows: some are read twice, others
    never. A sync would drop those. So the run ends where the number changes.
    """

    def __init__(self, path: str | None) -> None:
        self._find = finder(path) if path else None
        self._told: int | None = None

    def note(self, page: AnswerPage) -> None:
        """Compare the number of a page with that of the pages before.

        Raises:
            UserError: It is missing on the first page, is not a number of records, or has changed.
        """
        if self._find is None:
            return
        value = self._find(page.document) if page.document is not ABSENT else ABSENT
        if value is ABSENT and self._told is not None:
            return  # some services leave it out on later pages, or answer the last one without a body
        text = text_of(value)
        if text is None or not _WHOLE_NUMBER.fullmatch(text):
            raise UserError(
                f"{page.place}: pagination.total does not find a whole number of at most 18 digits in the answer"
            )
        told = int(text)
        if self._told is not None and told != self._told:
            raise UserError(
                f"{page.place}: the total changed from {self._told:,} to {told:,} while pages were read, so rows may "
                f"be missing; run the sync again"
            )
        self._told = told

    def compare(self, rows: int, place: str) -> None:
        """Compare the number with that of the rows at the end.

        Raises:
            UserError: They differ.
        """
        if self._told is not None and self._told != rows:
            raise UserError(
                f"{place}: {rows:,} rows were read, but the total is {self._told:,}; run the sync again, and check "
                f"pagination if this happens again"
            )
