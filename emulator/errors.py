"""Error answers: HTTP status, error code and message as Dataverse documents them or as a real organisation gave them.

Every one is a `ServiceError`; the functions below make the documented ones, so that each code is written once.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "ODataError",
    "ServiceError",
    "access_denied",
    "associated_with_another",
    "content_id_missing",
    "content_id_unknown",
    "duplicate_key",
    "duplicate_primary_key",
    "hierarchy_loop",
    "invalid_argument",
    "invalid_entity_key",
    "matching_record_exists",
    "method_not_allowed",
    "no_function_of_definitions",
    "no_resource",
    "not_implemented",
    "plugin_error",
    "record_not_found",
    "record_not_found_by_key",
    "request_too_large",
    "sql_deadlock",
    "sql_timeout",
    "team_owns_records",
    "too_many_links",
    "unauthorized",
    "unknown_property",
    "unknown_segment",
    "unsupported_message",
    "user_enabled",
    "version_mismatch",
]

NAMESPACE: Final = "Microsoft.Dynamics.CRM"
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})


class ServiceError(Exception):
    """An error that becomes an HTTP answer.

    Attributes:
        status: HTTP status.
        code: The code in the body, such as ``0x80040217``, ``0x0`` or an empty text.
        message: The text that a client sees.
        headers: Headers to add to the answer, such as ``Retry-After``.
    """

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        """Keep the parts of the answer."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers: Mapping[str, str] = headers

    def body(self) -> dict[str, Any]:
        """Return the JSON object of the answer: ``{"error": {"code": ..., "message": ...}}``."""
        return {"error": {"code": self.code, "message": self.message}}


class ODataError(ServiceError):
    """A URL or query option that the service's OData layer refuses before it reads rows.

    Attributes:
        position: Index of the error in the text, from 0, or None.
    """

    def __init__(
        self, message: str, *, status: int = 400, code: str = "0x80060888", position: int | None = None
    ) -> None:
        """Use by default the code that the service gives to a URL that it cannot parse."""
        super().__init__(status, code, message)
        self.position = position


# URLs and names


def unknown_segment(segment: str) -> ServiceError:
    """There is no resource of that name (SupportArticles, web-api-client-errors)."""
    return ServiceError(404, "0x8006088a", f"Resource not found for the segment '{segment}'.")


def no_resource(url: str) -> ServiceError:
    """The path exists, but not for this method (SupportArticles, web-api-client-errors)."""
    return ServiceError(404, "", f"No HTTP resource was found that matches the request URI '{url}'.")


def method_not_allowed(method: str) -> ServiceError:
    """The resource does not support the method."""
    return ServiceError(405, "0x0", f"The requested resource does not support http method '{method}'.")


def not_implemented(message: str) -> ServiceError:
    """A message that the service answers with 501, such as DeleteMultiple on a standard table."""
    return ServiceError(501, "0x80040800", message)


def unknown_property(name: str, table: str) -> ODataError:
    """A query names a property that the type does not have; names are case-sensitive."""
    return ODataError(f"Could not find a property named '{name}' on type '{NAMESPACE}.{table}'.", code="0x0")


def no_function_of_definitions(name: str) -> ODataError:
    """A filter of definitions has a function for texts; code and words are those that real organisations answer."""
    return ODataError(f'The "{name}" function isn\'t supported for Metadata Entities', status=501, code="0x8006088a")


def too_many_links() -> ServiceError:
    """A query joins more than 15 tables (join-tables pages of OData and FetchXML)."""
    return ServiceError(400, "0x8004430D", "Number of link entities in query exceeded maximum limit.")


def invalid_entity_key(table: str) -> ServiceError:
    """A URL addresses a row by columns that do not form a key (use-alternate-key-reference-record)."""
    return ServiceError(
        400,
        "0x80060888",
        f"The key in the request URI is not valid for resource '{NAMESPACE}.{table}'. Ensure that the names and "
        "number of key properties match the declared or alternate key properties for the resource "
        f"'{NAMESPACE}.{table}'.",
    )


def invalid_argument(message: str) -> ServiceError:
    """An argument is not valid, for any reason without a code of its own."""
    return ServiceError(400, "0x80040203", message)


# Rows


def record_not_found(table: str, record_id: str) -> ServiceError:
    """There is no row with that primary key (ObjectDoesNotExist)."""
    return ServiceError(404, "0x80040217", f"{table} With Id = {record_id} Does Not Exist")


def record_not_found_by_key(table: str) -> ServiceError:
    """There is no row with those values of the alternate key."""
    return ServiceError(404, "0x80060891", f"A record with the specified key values does not exist in {table} entity")


def matching_record_exists() -> ServiceError:
    """``If-None-Match: *`` found a row, or two upserts created the same key at the same time."""
    return ServiceError(412, "0x80060892", "A record with matching key values already exists.")


def duplicate_primary_key() -> ServiceError:
    """A create states the identifier of an existing row."""
    return ServiceError(412, "0x80040237", "Cannot insert duplicate key.")


def duplicate_key(columns: Sequence[str], key: str) -> ServiceError:
    """A write would give two rows the same alternate key.

    Args:
        columns: Display names of the key's columns.
        key: Name of the key.
    """
    return ServiceError(
        412,
        "0x80060892",
        f"A record that has the attribute values {', '.join(columns)} already exists. The entity key {key} requires "
        "that this set of attributes contains unique values. Select unique values and try again.",
    )


def version_mismatch() -> ServiceError:
    """``If-Match`` states another ETag than the row has now."""
    return ServiceError(
        412,
        "0x80060882",
        "The version of the existing record doesn't match the RowVersion property provided.",
    )


def versions_not_compared(table: str) -> ServiceError:
    """`If-Match` states an ETag, and the table has no optimistic concurrency (optimistic-concurrency page).

    The page gives the name of the error, OptimisticConcurrencyNotEnabled, and its code -2147088243; the status is
    assumed.

    Args:
        table: Logical name.
    """
    return ServiceError(
        400,
        "0x8006088d",
        f"Optimistic concurrency isn't enabled for entity type {table}. The IfVersionMatches value of "
        "ConcurrencyBehavior can only be used if optimistic concurrency is enabled.",
    )


# Relations


def associated_with_another() -> ServiceError:
    """A relationship restricts the deletion (CannotDeleteDueToAssociation)."""
    return ServiceError(
        405, "0x80040227", "The object you tried to delete is associated with another object and cannot be deleted."
    )


def user_disabled() -> ServiceError:
    """The user of the request, or the one that it acts for, is disabled."""
    return ServiceError(
        403, "0x80040225", "The specified user is either disabled or is not a member of any business unit."
    )


def user_enabled(user_id: str) -> ServiceError:
    """A user is disabled before it is deleted (user-team-entities page); the code is assumed."""
    return invalid_argument(f"The user {user_id} is enabled. Disable the user, and delete it then.")


def team_owns_records(team_id: str) -> ServiceError:
    """A team with rows cannot be deleted (CannotDeleteTeamOwningRecords)."""
    return ServiceError(
        400,
        "0x8004830e",
        f"Can't delete a team which owns records. Reassign the records and try again (TeamId = {team_id}).",
    )


_LOOPS: Final[Mapping[str, tuple[str, str]]] = {
    "account": ("0x80040507", "Creating this parental association would create a loop in Accounts hierarchy."),
    "contact": ("0x8004050a", "Creating this parental association would create a loop in Contacts hierarchy."),
    "businessunit": (
        "0x80041d21",
        "Creating this parental association would create a loop in the business unit hierarchy.",
    ),
    "systemuser": ("0x80041d25", "Creating this parental association would create a loop in the user hierarchy."),
    "subject": ("0x80043e01", "Creating this parental association would create a loop in Subjects hierarchy."),
}


def hierarchy_loop(table: str) -> ServiceError:
    """A row would be its own ancestor (error codes AccountLoopBeingCreated and similar)."""
    code, message = _LOOPS.get(table, ("0x80045908", "This association would create a loop in the database."))
    return ServiceError(400, code, message)


def unsupported_message(message: str, table: str) -> ServiceError:
    """A table does not have a message, as intersect tables have no Create (SdkEntityDoesNotSupportMessage)."""
    return ServiceError(
        400,
        "0x80040800",
        f"The '{message}' method does not support entities of type '{table}'. "
        "MessageProcessorCache returned MessageProcessor.Empty.",
    )


# Batches


def content_id_missing() -> ServiceError:
    """An operation of a change set has no Content-ID."""
    return ServiceError(400, "0x80060888", "Content-ID header not present")


def content_id_unknown(reference: str) -> ServiceError:
    """A reference names an operation that has not run yet, such as ``$1``."""
    return ServiceError(400, "0x80060888", f"Content-ID Reference: '{reference}' does not exist in the batch context.")


# Access and operation


def unauthorized(challenge: str) -> ServiceError:
    """The token is missing or not valid; ``challenge`` is the value of ``WWW-Authenticate``."""
    return ServiceError(
        401, "0x0", "Authorization has been denied for this request.", headers={"WWW-Authenticate": challenge}
    )


def access_denied(privilege: str) -> ServiceError:
    """The caller lacks a privilege."""
    return ServiceError(403, "0x80040220", f"Principal user is missing {privilege} privilege.")


def sql_deadlock() -> ServiceError:
    """SQL Server chose the request as the victim of a deadlock (error 1205)."""
    return ServiceError(
        500,
        "0x80044150",
        "Generic SQL error. CRM ErrorCode: -2147204784 Sql ErrorCode: -2146232060 Sql Number: 1205",
    )


def sql_timeout() -> ServiceError:
    """A statement took longer than SQL Server's time limit (bulk-operation-errors)."""
    return ServiceError(500, "0x80044151", "SQL timeout expired.")


def request_too_large(limit: int) -> ServiceError:
    """The body is longer than the largest one allowed."""
    return ServiceError(413, "0x0", f"The request is too large: a body may have {limit} bytes.")


def plugin_error(message: str) -> ServiceError:
    """A plug-in raised an error (ISV code aborted the operation); the message is the plug-in's."""
    return ServiceError(400, "0x80040265", message)
