"""Pages and their cookies: where a page ended, in `$skiptoken`, in the form of the service."""

import re
from dataclasses import dataclass, replace
from typing import Final, Self
from urllib.parse import quote, unquote

from emulator.errors import ODataError

__all__ = ["LARGEST_PAGE", "PageMark"]

LARGEST_PAGE: Final = 5000  # compose-http-requests-handle-errors: odata.maxpagesize, at most 5000

_COOKIE: Final = re.compile(r'pagenumber="([0-9]{1,9})"[^"]*pagingcookie="([^"]*)"')
_PLACE: Final = re.compile(r'row="([0-9]{1,18})" skipped="([0-9]{1,18})" version="([0-9]{1,18})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMark:
    """Where the next page begins: after row number `row`, or with `$orderby` after `skipped` rows.

    `version` is the row version at the start of a read with change tracking.
    """

    number: int = 1
    row: int = 0
    skipped: int = 0
    version: int = 0

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
        return replace(cls.placed(unquote(unquote(cookie[2]))), number=int(cookie[1]))

    @classmethod
    def placed(cls, cookie: str) -> Self:
        """Reads what `cookie` returns, without the number of the page.

        Raises:
            ODataError: It was not made by `cookie`.
        """
        place = _PLACE.search(cookie)
        if place is None:
            raise _malformed()
        return cls(row=int(place[1]), skipped=int(place[2]), version=int(place[3]))

    def cookie(self, primary_id: str, last_id: str) -> str:
        """Returns the paging cookie: an XML element with the last row of the page before this one."""
        return (
            f'<cookie page="{self.number - 1}"><{primary_id} last="{{{last_id.upper()}}}" row="{self.row}" '
            f'skipped="{self.skipped}" version="{self.version}" /></cookie>'
        )

    def link(self, url: str, primary_id: str, last_id: str) -> str:
        """Returns the next link: `url` with this mark as `$skiptoken`."""
        escaped = quote(quote(self.cookie(primary_id, last_id), safe=""), safe="")
        token = quote(f'<cookie pagenumber="{self.number}" pagingcookie="', safe="=") + escaped
        token += quote('" istracking="False" />', safe="=/")
        base, _, query = url.partition("?")
        options = [part for part in query.split("&") if part and not unquote(part).startswith("$skiptoken=")]
        return f"{base}?{'&'.join([*options, f'$skiptoken={token}'])}"


def _malformed() -> ODataError:
    return ODataError("Malformed XML in the Paging Cookie")
