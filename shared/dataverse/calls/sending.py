"""Calls of actions and functions: the address, and the values of parameters in the types that they have.

Microsoft: "Use Web API actions" and "Use Web API functions" (power-apps/developer/data-platform/webapi).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import InvalidOperation
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from shared.dataverse.calls.operations import Operation
from shared.dataverse.http.answers import parsed
from shared.dataverse.http.service import Call, Service
from shared.definitions.models import ParameterValue
from shared.definitions.parameters.odata import literal_of
from shared.definitions.parameters.values import shown
from shared.entities import AttributeType, EntityMetadata
from shared.errors import UserError

__all__ = ["CallTarget", "call", "call_of", "json_value"]

_SCALARS: Final = {
    "Edm.String": AttributeType.STRING,
    "Edm.Boolean": AttributeType.BOOLEAN,
    **dict.fromkeys(("Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32"), AttributeType.INTEGER),
    "Edm.Int64": AttributeType.BIGINT,
    "Edm.Decimal": AttributeType.DECIMAL,
    **dict.fromkeys(("Edm.Double", "Edm.Single"), AttributeType.DOUBLE),
    "Edm.Guid": AttributeType.UNIQUEIDENTIFIER,
    "Edm.DateTimeOffset": AttributeType.DATETIME,
}
_AS_TEXT: Final = frozenset({"Edm.String", "Edm.Guid", "Edm.DateTimeOffset"})
_LONGEST_URL: Final = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTarget:
    """What an operation is called on.

    Attributes:
        entity: The table that it is bound to; None for an unbound one.
        record: Id of the record; None for the collection of the table.
    """

    entity: EntityMetadata | None = None
    record: str | None = None


def call(service: Service, operation: Operation, values: Mapping[str, Any], *, on: CallTarget, within: float) -> None:
    """Call an action or a function; an action is sent again only where the service has not carried it out.

    Args:
        service: Sends.
        operation: What is called.
        values: Parameter -> its value, as JSON has it.
        on: What it is called on.
        within: Seconds, with all tries.

    Raises:
        UserError: A value does not fit its parameter.
        RequestRefused: The service or a plug-in refuses the call.
        AbortRun: No privilege, no such record.
        UnexpectedAnswer: Something else than the service has answered, so the result of the call is not known.
        RetryLater: The service is unavailable, or the result of the call is not known.
    """
    made = replace(call_of(operation, values, on=on), within=within)
    if made.writes:
        made = replace(made, headers=service.connection.write_headers)
    with service.until(service.clock.monotonic() + within):
        answer = service.fetch(made, repeatable=operation.function)
    if answer.status != HTTPStatus.NO_CONTENT:
        parsed(answer.body, f"a call of {operation.name}")


def call_of(operation: Operation, values: Mapping[str, Any], *, on: CallTarget) -> Call:
    """The request that calls an operation; see `call`.

    Raises:
        UserError: A value does not fit its parameter, or the address becomes too long.
    """
    path = operation.name
    if on.entity is not None:
        key = f"({on.record})" if on.record is not None else ""
        path = f"{on.entity.entity_set}{key}/Microsoft.Dynamics.CRM.{operation.name}"
    table = operation.bound_to or operation.name
    if operation.function:
        return Call(path=path + _arguments(operation, values), table=table, doing=f"call {operation.name} on")
    members = (f"{json.dumps(name)}:{_checked(operation, name, value)}" for name, value in values.items())
    body = f"{{{','.join(members)}}}".encode()
    return Call(method="POST", path=path, body=body, table=table, doing=f"call {operation.name} on", writes=True)


def _arguments(operation: Operation, values: Mapping[str, Any]) -> str:
    """`(Name=@p1)?@p1=value`: aliases take values of every type."""
    names = ",".join(f"{name}=@p{number}" for number, name in enumerate(values, start=1))
    given = (
        f"@p{number}={quote(_literal(operation, name, value), safe='')}"
        for number, (name, value) in enumerate(values.items(), start=1)
    )
    text = f"({names}){'?' if values else ''}{'&'.join(given)}"
    if len(text) > _LONGEST_URL:
        raise UserError(f"the parameters of {operation.name} are too long for an address: {len(text):,} characters")
    return text


def _literal(operation: Operation, name: str, value: Any) -> str:
    kind = operation.parameters[name].type
    written = _checked(operation, name, value)
    if kind == "Edm.String" and value is not None:
        return literal_of(value, AttributeType.STRING)
    if value is None or (kind in _SCALARS and kind not in _AS_TEXT):
        return written
    # A text for a type that is no scalar is a member of an enumeration.
    return str(json.loads(written)) if kind in _AS_TEXT or isinstance(value, str) else written


def _checked(operation: Operation, name: str, value: Any) -> str:
    kind = operation.parameters[name].type
    try:
        return json_value(value, kind)
    except ValueError:
        raise UserError(f"the parameter {name} of {operation.name} is {kind}, and its value does not fit") from None


def json_value(value: Any, kind: str) -> str:
    """A value as JSON of a type; types other than numbers, texts, ids and moments take any JSON.

    Raises:
        ValueError: It is not of this type.
    """
    scalar = _SCALARS.get(kind)
    if scalar is None or value is None:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict | list):
        raise ValueError("one value is needed here")  # noqa: TRY004 - the caller reports it as one that does not fit
    return _scalar(value, kind, scalar)


def _scalar(value: ParameterValue, kind: str, scalar: AttributeType) -> str:
    if kind == "Edm.String":
        return json.dumps(shown(value), ensure_ascii=False)
    try:
        literal = literal_of(value, scalar)
    except (InvalidOperation, OverflowError) as error:
        raise ValueError("not of this type") from error
    return json.dumps(literal) if kind in _AS_TEXT else literal
