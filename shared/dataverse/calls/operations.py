"""Actions, functions and custom APIs of an environment: what they are bound to, and which parameters they take.

A custom API is one record of `customapi` with its parameters, so it is asked for first; a private one is nowhere else
(Microsoft: "CustomAPI tables", power-apps/developer/data-platform/custom-api-tables). All others are only in
`$metadata`, which has some megabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from shared.dataverse.http.answers import Answer, UnexpectedAnswer
from shared.dataverse.http.service import Call, Service
from shared.errors import AbortRun, RequestRefused
from shared.odata import odata_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the parser is loaded only where there is a document

__all__ = ["Operation", "OperationParameter", "operation_names", "read_operations"]

_EDM: Final = "{http://docs.oasis-open.org/odata/ns/edm}"
_NAMESPACES: Final = ("mscrm.", "Microsoft.Dynamics.CRM.")
_RECORD: Final = "Microsoft.Dynamics.CRM.crmbaseentity"
# The values of `type` of a request parameter, in their order, as types of the Web API; lookups are given as records.
_TYPES: Final = (
    "Edm.Boolean", "Edm.DateTimeOffset", "Edm.Decimal", _RECORD, f"Collection({_RECORD})", _RECORD, "Edm.Double",
    "Edm.Int32", "Edm.Decimal", "Edm.Int32", "Edm.String", "Collection(Edm.String)", "Edm.Guid",
)  # fmt: skip
_COLLECTION: Final = 2  # `bindingtype`: 0 is none, 1 a record


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationParameter:
    """One parameter: its type as the Web API names it, such as `Edm.Int32`, and whether it must be given."""

    type: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An action or a function.

    Attributes:
        function: It is called with GET, and changes nothing.
        bound_to: Logical name of the table that it is bound to; empty for an unbound one.
        collection: It is bound to the collection of the table, and not to a record.
        parameters: Name -> parameter, without the one that it is bound to.
    """

    name: str
    function: bool = False
    bound_to: str = ""
    collection: bool = False
    parameters: Mapping[str, OperationParameter] = field(default_factory=dict)


def read_operations(service: Service, name: str) -> tuple[Operation, ...]:
    """All operations of a name, one for each table that it is bound to; none if there are none.

    Raises:
        AbortRun: The environment cannot be asked.
        RetryLater: The service is unavailable.
    """
    if (custom := _custom_api(service, name)) is not None:
        return (custom,)
    return tuple(_operation(each) for each in _declared(service) if each.get("Name") == name)


def operation_names(service: Service) -> frozenset[str]:
    """The names of all operations that `$metadata` has; for suggestions."""
    return frozenset(each.get("Name", "") for each in _declared(service))


def _custom_api(service: Service, name: str) -> Operation | None:
    """The custom API of a name; None where there is none, or where its table may not be read."""
    asked = (
        "customapis?$select=uniquename,isfunction,bindingtype,boundentitylogicalname"
        f"&$filter=uniquename eq {odata_text(name)}"
        "&$expand=CustomAPIRequestParameters($select=uniquename,type,isoptional)"
    )
    try:
        rows = service.fetch_json(Call(path=quote(asked, safe="/?&=$,()'"), table="customapi")).rows()
    except UnexpectedAnswer:
        raise
    except (RequestRefused, AbortRun):
        return None
    return _of_record(rows[0]) if rows else None


def _of_record(row: Answer) -> Operation:
    binding = row.member("bindingtype").whole(low=0, high=_COLLECTION)
    return Operation(
        name=row.member("uniquename").name(),
        function=row.member("isfunction").flag(default=False),
        bound_to=row.member("boundentitylogicalname").name() if binding else "",
        collection=binding == _COLLECTION,
        parameters={
            each.member("uniquename").name(): OperationParameter(
                type=_TYPES[each.member("type").whole(low=0, high=len(_TYPES) - 1)],
                required=not each.member("isoptional").flag(default=False),
            )
            for each in row.member("CustomAPIRequestParameters").items()
        },
    )


def _declared(service: Service) -> Iterator[Element]:
    """The actions and functions of `$metadata`; read piece by piece, since it describes every table too."""
    from xml.etree.ElementTree import ParseError, iterparse  # noqa: PLC0415 - see above

    call = Call(path="$metadata", headers={"Accept": "application/xml"}, doing="read the metadata of")
    body = service.fetch(call).body
    if b"<!DOCTYPE" in body[:1000]:
        raise _unexpected()
    try:
        for _, element in iterparse(BytesIO(body)):  # noqa: S314 - without a DOCTYPE there are no entities to expand
            if element.tag in {f"{_EDM}Action", f"{_EDM}Function"}:
                yield element
            elif element.tag in {f"{_EDM}EntityType", f"{_EDM}ComplexType"}:
                element.clear()
    except ParseError:
        raise _unexpected() from None


def _unexpected() -> UnexpectedAnswer:
    return UnexpectedAnswer("the answer to $metadata is not a metadata document: check service_url")


def _operation(element: Element) -> Operation:
    given = element.findall(f"{_EDM}Parameter")
    bound = given[0].get("Type", "") if element.get("IsBound") == "true" and given else ""
    return Operation(
        name=element.get("Name", ""),
        function=element.tag == f"{_EDM}Function",
        bound_to=_plain(bound.removeprefix("Collection(").removesuffix(")")),
        collection=bound.startswith("Collection("),
        parameters={
            each.get("Name", ""): OperationParameter(
                type=each.get("Type", ""), required=each.get("Nullable") == "false"
            )
            for each in given[bool(bound) :]
        },
    )


def _plain(name: str) -> str:
    """A name without its namespace."""
    for namespace in _NAMESPACES:
        name = name.removeprefix(namespace)
    return name
