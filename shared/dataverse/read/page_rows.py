"""The rows in a page, cut out as the JSON array that DuckDB's reader takes at full speed.

Reading an array from a file is seven times as fast as parsing a JSON text with functions (DuckDB 2.0: 4 against
31 ms for 5,000 rows), so the array is put into the workspace's private folder. No row becomes a Python object. A page
has megabytes, so its bytes are copied as rarely as possible.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from shared.dataverse.http.answers import without_halves

__all__ = ["exact_digits", "rows_of", "split_page"]

# Inside a JSON string quotes are escaped, so these can only be members of the answer or of its records.
_START: Final = re.compile(rb'"value"\s*:\s*(?=\[)')
_STRING: Final = rb'"(?:[^"\\]|\\.)*"'
# After the array there are only members with plain values, such as @odata.nextLink.
_MEMBER: Final = rb'\s*,\s*%b\s*:\s*(?:%b|[^\s,"\[\]{}]+)' % (_STRING, _STRING)
_END: Final = re.compile(rb"\](?:%b)*\s*\}\s*\Z" % _MEMBER)
# After the array there are a link and a few numbers. Each bracket in them is tried, so their number is limited.
_MOST_BRACKETS: Final = 10_000
_LONG: Final = 16  # digits that a double may not keep


def rows_of(answer: bytes, exact: Iterable[str] = ()) -> bytes | None:
    """Cut the array of records out of an answer.

    Args:
        answer: The answer, as it came.
        exact: Members whose numbers must keep every digit; see `exact_digits`.

    Returns:
        The JSON array, or None where the answer is not a page of records.
    """
    parts = split_page(answer)
    return None if parts is None else exact_digits(parts[0], exact)


def split_page(answer: bytes) -> tuple[bytes, bytes] | None:
    """The array of records, and the answer around it with an empty array in its place; None where there is no array."""
    answer = _readable(answer)
    start = _START.search(answer)
    if start is None:
        return None
    end = len(answer)
    for _ in range(_MOST_BRACKETS):
        end = answer.rfind(b"]", start.end(), end)
        if end < 0:
            return None
        if _END.match(answer, end) is not None:
            break
    else:
        return None
    return answer[start.end() : end + 1], answer[: start.end()] + b"[]" + answer[end + 1 :]


def _readable(answer: bytes) -> bytes:
    """The answer, with a sign for what is no character, in bytes or escaped: DuckDB would refuse the page for it."""
    if not answer.isascii():
        try:
            answer.decode()
        except UnicodeDecodeError:
            answer = answer.decode(errors="replace").encode()
    return without_halves(answer)


def exact_digits(rows: bytes, names: Iterable[str]) -> bytes:
    """Put long numbers of some members into quotes: as numbers they would pass through a double and lose digits."""
    for name in names:
        number = rb'("%b"\s*:\s*)(-?[0-9][0-9.eE+-]{%d,})' % (re.escape(name.encode()), _LONG - 1)
        rows = re.sub(number, rb'\1"\2"', rows)
    return rows
