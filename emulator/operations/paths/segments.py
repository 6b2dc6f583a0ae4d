"""What the paths after a row share: the form of a segment, and the change of one property."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from emulator.body_errors import invalid_payload
from emulator.messages import Planned, Request, Response
from emulator.odata import RowKey, Segment
from emulator.operations.records import Records
from emulator.schema import Table

__all__ = ["address_of", "changed_property", "is_keyed", "property_value"]


def is_keyed(segment: Segment) -> bool:
    """Whether a segment addresses one row of a collection."""
    arguments = segment.arguments
    return arguments is not None and (arguments.single is not None or bool(arguments.named))


def property_value(request: Request) -> Any:
    """Returns the new value of a property or collection: the body has `value` and nothing else but annotations.

    Raises:
        ServiceError: The body has another property or none; the texts are those of Microsoft's OData library.
    """
    body = request.json()
    names = [name for name in body if "@" not in name]
    if not names:
        raise invalid_payload(
            "No top-level properties were found. A top-level property or collection must be represented as a JSON "
            "object with exactly one property which is not an annotation."
        )
    for name in names:
        if name != "value":
            raise invalid_payload(
                f"A top-level property with name '{name}' was found in the payload; however, property and collection "
                "payloads must always have a top-level property with name 'value'."
            )
    return body["value"]


def address_of(request: Request) -> str:
    """Returns the address of the row in a body that is a reference.

    Raises:
        ServiceError: The address is missing, or no text.
    """
    address = request.json().get("@odata.id")
    if not isinstance(address, str) or not address:
        raise invalid_payload("The address of the row is missing: '@odata.id' in the body.")
    return address


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
        headers = {name: value for name, value in response.headers.items() if name != "OData-EntityId"}
        return replace(response, headers=headers, address="")

    return Planned(rows={"update": 1}, act=act)
