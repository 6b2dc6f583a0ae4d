"""What the paths after a row share: the form of a segment, and the change of one property."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from emulator.messages import Planned, Request, Response
from emulator.odata import RowKey, Segment
from emulator.operations.records import Records
from emulator.schema import Table

__all__ = ["changed_property", "is_keyed"]


def is_keyed(segment: Segment) -> bool:
    """Whether a segment addresses one row of a collection."""
    arguments = segment.arguments
    return arguments is not None and (arguments.single is not None or bool(arguments.named))


def changed_property(
    records: Records, request: Request, table: Table, reference: RowKey, body: Mapping[str, Any]
) -> Planned:
    """Plans an update of one property; the answer has no `OData-EntityId`.

    Raises:
        ServiceError: There is no such row (404), or the value is refused.
    """
    changed = replace(
        request,
        method="PATCH",
        query="",
        headers={"if-match": "*", **{n: v for n, v in request.headers.items() if n == "if-match"}},
        body=orjson.dumps(body),
    )
    planned = records.patch(changed, table, reference)

    def act() -> Response:
        response = planned.act()
        return replace(response, headers={n: v for n, v in response.headers.items() if n != "OData-EntityId"})

    return Planned(rows={"update": 1}, act=act)
