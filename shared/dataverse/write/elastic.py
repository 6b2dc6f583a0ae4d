"""What differs for elastic tables: a bulk request can succeed partly, and the answer names the rows. Pure.

Microsoft: "Bulk operation messages", on error behaviour with elastic tables. The details come only when they are asked
for, as a JSON list inside a string annotation of the error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shared.dataverse.http.answers import Answer, UnexpectedAnswer, parsed
from shared.dataverse.http.transport import Response

__all__ = ["DETAILS_WANTED", "details_of"]

DETAILS_WANTED = {"Prefer": "odata.include-annotations=Microsoft.PowerApps.CDS.ErrorDetails.*"}

_NAME = "Plugin.BulkApiErrorDetails"


def details_of(response: Response) -> Mapping[int, tuple[int, str]] | None:
    """Index of a row in the request -> its status and the record's id; None where the answer holds no such list."""
    try:
        error = parsed(response.body, "a bulk request").member("error")
        named = [name for name in error.members() if name.endswith(_NAME)]
        return dict(map(_detail, _list(error.member(named[0])))) if named else None
    except UnexpectedAnswer:
        return None


def _detail(one: Answer) -> tuple[int, tuple[int, str]]:
    record = one.member("Id")
    status = one.member("StatusCode").whole(low=100, high=599)
    return one.member("RequestIndex").whole(low=0), (status, record.guid() if record.value else "")


def _list(details: Answer) -> Iterator[Answer]:
    """The details are a string that holds JSON; a list as such is taken too."""
    return (parsed(details.value, details.asked) if isinstance(details.value, str) else details).items()
