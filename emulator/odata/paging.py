"""Pages and their cookies: where a page ended, in `$skiptoken`, in the form of the service.

The cookie of a query with an order has the values of the last row by which it was sorted, and its identifier
(fetchxml/page-results page, "Paging cookie examples"), so that the next page begins after this row whatever was
written meanwhile.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape, unescape

from emulator.errors import ODataError

__all__ = ["LARGEST_PAGE", "PageMark", "SortTerm", "SortValue", "rows_after", "sort_keys"]

LARGEST_PAGE: Final = 5000  # compose-http-requests-handle-errors: odata.maxpagesize, at most 5000

SortValue = str | int | float | None

_COOKIE: Final = re.compile(r'pagenumber="([0-9]{1,9})"[^"]*pagingcookie="([^"]*)"')
_PAGE: Final = re.compile(r'<cookie page="([0-9]{1,9})"')
_KEY: Final = re.compile(r'<(\w+) last(?:="([^"]*)"|null="1") />')
_PLACE: Final = re.compile(
    r'last="\{([0-9A-Fa-f-]{0,36})\}" row="([0-9]{1,18})" skipped="([0-9]{1,18})" version="([0-9]{1,18})"'
)
_ESCAPES: Final = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_UNESCAPES: Final = {escaped: char for char, escaped in _ESCAPES.items()}
_MOST_KEYS: Final = 10  # each is a level of the condition, and SQLite reads conditions of limited depth
_LONGEST_KEYS: Final = 16_000  # characters in a URL, which can have 32,768
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SortTerm:
    """One term of an order in SQL.

    Attributes:
        name: What the cookie calls it: the column, with "name" at its end if rows are sorted by names or labels.
        sql: The value that is compared.
        descending: Whether the greatest value is the first.
        numeric: Whether the values are numbers.
    """

    name: str
    sql: str
    descending: bool = False
    numeric: bool = False

    @property
    def text(self) -> str:
        """The term in an ORDER BY clause."""
        return f"{self.sql} DESC" if self.descending else self.sql


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMark:
    """Where the next page begins: after row number `row`, with an order after `keys`, or else after `skipped` rows.

    Attributes:
        number: The number of the page.
        row: The number of the last row before it.
        skipped: The number of rows before it.
        version: The row version at the start of a read with change tracking.
        last_id: The identifier of the last row before it.
        keys: The values of the order in that row by their names, as text; empty if the cookie does not have them.
    """

    number: int = 1
    row: int = 0
    skipped: int = 0
    version: int = 0
    last_id: str = ""
    keys: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def parse(cls, token: str | None) -> Self:
        """Reads a decoded `$skiptoken`.

        Raises:
            ODataError: It was not made by `link`.
        """
        if token is None:
            return cls()
        cookie = _COOKIE.search(token)
        if cookie is None:
            raise _malformed()
        decoded = unquote(cookie[2])
        if not decoded.startswith("<"):
            decoded = unquote(decoded)  # of a client that has encoded the link once more
        return replace(cls.placed(decoded), number=int(cookie[1]))

    @classmethod
    def placed(cls, cookie: str) -> Self:
        """Reads what `cookie` returns; the number is that of the page after it.

        Raises:
            ODataError: It was not made by `cookie`.
        """
        page, place = _PAGE.match(cookie), _PLACE.search(cookie)
        if page is None or place is None:
            raise _malformed()
        keys = tuple(
            (key[1], None if key[2] is None else unescape(key[2], _UNESCAPES)) for key in _KEY.finditer(cookie)
        )
        return cls(
            number=int(page[1]) + 1,
            row=int(place[2]),
            skipped=int(place[3]),
            version=int(place[4]),
            last_id=place[1].lower(),
            keys=keys,
        )

    def cookie(self, primary_id: str, last_id: str) -> str:
        """Returns the paging cookie: an XML element with the last row of the page before this one."""
        return (
            f'<cookie page="{self.number - 1}">{_written(self.keys)}<{primary_id} last="{{{last_id.upper()}}}" '
            f'row="{self.row}" skipped="{self.skipped}" version="{self.version}" /></cookie>'
        )

    def link(self, url: str, primary_id: str, last_id: str) -> str:
        """Returns the next link: `url` with this mark as `$skiptoken`."""
        escaped = _twice(self.cookie(primary_id, last_id))
        token = quote(f'<cookie pagenumber="{self.number}" pagingcookie="', safe="=") + escaped
        token += quote('" istracking="False" />', safe="=/")
        base, _, query = url.partition("?")
        options = [part for part in query.split("&") if part and not unquote(part).startswith("$skiptoken=")]
        return f"{base}?{'&'.join([*options, f'$skiptoken={token}'])}"


def sort_keys(terms: Sequence[SortTerm], values: Sequence[SortValue]) -> tuple[tuple[str, str | None], ...]:
    """Returns the values of an order for a `PageMark`; none where they are too long for a URL."""
    texts = (None if value is None else str(value) for value in values)
    keys = tuple((term.name, text) for term, text in zip(terms, texts, strict=True))
    return keys if len(keys) <= _MOST_KEYS and len(_twice(_written(keys))) <= _LONGEST_KEYS else ()


def rows_after(mark: PageMark, terms: Sequence[SortTerm], row: tuple[str, str]) -> tuple[str, list[SortValue]] | None:
    """The SQL condition for the rows of a sorted query after those of a page, and the values of its question marks.

    Args:
        mark: Where that page ended.
        terms: The order; nulls come first, and with `descending` last.
        row: The SQL of the identifier and of the number of a row, by which rows with equal values are sorted.

    Returns:
        None if the mark does not have the values of this order.

    Raises:
        ODataError: A value is not one of its term.
    """
    if not terms or [name for name, _ in mark.keys] != [term.name for term in terms]:
        return None
    identity, number = row
    text = f"{identity} > ? OR ({identity} = ? AND {number} > ?)"
    parameters: list[SortValue] = [mark.last_id, mark.last_id, mark.row]
    for term, (_, key) in zip(reversed(terms), reversed(mark.keys), strict=True):
        value = _number(key) if term.numeric and key is not None else key
        if value is None:
            beyond = "0" if term.descending else f"{term.sql} IS NOT NULL"
        else:
            beyond = f"{term.sql} < ? OR {term.sql} IS NULL" if term.descending else f"{term.sql} > ?"
            parameters.insert(0, value)
        parameters.insert(0 if value is None else 1, value)
        text = f"{beyond} OR ({term.sql} IS ? AND ({text}))"
    return f"({text})", parameters


def _number(text: str) -> float:
    try:
        number = int(text) if text.removeprefix("-").isdecimal() else float(text)
    except ValueError as error:
        raise _malformed() from error
    if not math.isfinite(number) or (isinstance(number, int) and abs(number) > _LARGEST):
        raise _malformed()
    return number


def _written(keys: Sequence[tuple[str, str | None]]) -> str:
    values = ('lastnull="1"' if text is None else f'last="{escape(text, _ESCAPES)}"' for _, text in keys)
    return "".join(f"<{name} {value} />" for (name, _), value in zip(keys, values, strict=True))


def _twice(text: str) -> str:
    return quote(quote(text, safe=""), safe="")


def _malformed() -> ODataError:
    return ODataError("Malformed XML in the Paging Cookie")
