"""Error answers for the bodies of requests: what is not JSON, names no property, or does not fit its column."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from emulator.errors import NAMESPACE, ServiceError, invalid_argument

__all__ = [
    "PayloadError",
    "conflicting_type",
    "date_too_early",
    "date_too_late",
    "decimal_out_of_range",
    "integer_out_of_range",
    "invalid_characters",
    "invalid_literal",
    "invalid_option",
    "invalid_parameter",
    "invalid_payload",
    "invalid_property",
    "key_column_in_body",
    "number_as_text",
    "repeated_content_id",
    "repeated_property",
    "text_too_long",
    "undeclared_property",
    "unexpected_node",
    "value_required",
]

_LONGEST_SHOWN: Final = 100  # characters of a refused value: an answer does not repeat a whole body


class PayloadError(ServiceError):
    """A body that Microsoft's OData library refuses; its message names the entity set (web-api-client-errors)."""

    def __init__(self, reason: str, entity_set: str = "") -> None:
        """Keep the reason, the text of the inner exception."""
        super().__init__(
            400,
            "0x80048d19",
            f"Error identified in Payload provided by the user for Entity :'{entity_set}', For more information on "
            "this error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  "
            f"InnerException : {reason}",
        )
        self.reason = reason

    def about(self, entity_set: str) -> "PayloadError":
        """Return the same error with the name of the entity set."""
        return PayloadError(self.reason, entity_set)


def invalid_property(name: str, table: str) -> ServiceError:
    """A body names a property that the type does not have (web-api-client-errors)."""
    return ServiceError(
        400,
        "0x0",
        f"An error occurred while validating input parameters: Microsoft.Crm.CrmException: Invalid property '{name}' "
        f"was found in entity '{NAMESPACE}.{table}'. ---> Microsoft.OData.ODataException: Does not support untyped "
        "value in non-open type.",
    )


def undeclared_property(name: str) -> ServiceError:
    """A body binds ``name@odata.bind`` where ``name`` is not a navigation property (SupportArticles)."""
    return invalid_payload(
        f"An undeclared property '{name}' which only has property annotations in the payload but no property value "
        "was found in the payload. In OData, only declared navigation properties and declared named streams can be "
        "represented as properties without values."
    )


def invalid_payload(reason: str) -> ServiceError:
    """The body is not JSON, or the operation cannot use it."""
    return PayloadError(f"Microsoft.OData.ODataException: {reason}")


def conflicting_type(value_type: str, found: str) -> ServiceError:
    """A body states another type of row than that of the address; the text is that of Microsoft's library."""
    return invalid_payload(
        f"A resource with type '{found}' was found, but it is not assignable to the expected type '{value_type}'. The "
        "type specified in the resource must be equal to either the expected type or a derived type."
    )


def invalid_parameter(name: str, operation: str) -> ServiceError:
    """The body of an action has a parameter that the action does not have."""
    return invalid_payload(
        f"The parameter '{name}' in the request payload is not a valid parameter for the operation '{operation}'."
    )


def repeated_property(name: str) -> ServiceError:
    """An object of a body has a name twice; the texts are those of Microsoft's library."""
    what, at, annotation = _shown(name).partition("@")
    if not at:
        return invalid_payload(
            f"Multiple properties with the name '{what}' were detected in a resource or a complex value. In OData, "
            "duplicate property names are not allowed."
        )
    of = f" for the property with name '{what}'" if what else ""
    return invalid_payload(
        f"Multiple annotations with the name '{annotation}' were detected{of}. In OData, duplicate annotations are not "
        "allowed."
    )


def repeated_content_id(content_id: str) -> ServiceError:
    """A change set has a Content-ID twice; the text is that of Microsoft's library."""
    return invalid_payload(
        f"The content ID '{_shown(content_id)}' was found more than once in the same change set or same batch request. "
        "Content IDs have to be unique across all operations of a change set for OData V4.0 and have to be unique "
        "across all operations in the whole batch request for OData V4.01."
    )


def _shown(text: str) -> str:
    return f"{text[:_LONGEST_SHOWN]}…" if len(text) > _LONGEST_SHOWN else text


def invalid_literal(literal: object, edm_type: str) -> ServiceError:
    """A value is not of the column's type; ``edm_type`` is for example ``Edm.Int32``."""
    return invalid_payload(f"Cannot convert the literal '{_shown(str(literal))}' to the expected type '{edm_type}'.")


def unexpected_node(value: object, expected: str) -> ServiceError:
    """A parameter has JSON of another kind than its type; the text is that of Microsoft's library.

    Args:
        value: The JSON.
        expected: `StartArray` for a list, `StartObject` for a row.
    """
    found = "StartArray" if isinstance(value, list) else "StartObject" if isinstance(value, dict) else "PrimitiveValue"
    return invalid_payload(
        f"An unexpected '{found}' node was found when reading from the JSON reader. A '{expected}' node was expected."
    )


def number_as_text(edm_type: str) -> ServiceError:
    """A decimal or a 64-bit number is a text, which Microsoft's library reads only where a client announces it."""
    return invalid_payload(
        f"Cannot convert a value to target type '{edm_type}' because of conflict between input format string/number "
        "and parameter 'IEEE754Compatible' false/true."
    )


def invalid_characters(column: str) -> ServiceError:
    """A text holds a character that XML does not allow (error code InvalidCharactersInField)."""
    return ServiceError(400, "0x80040278", f"The field '{column}' contains one or more invalid characters.")


def text_too_long(column: str, table: str, limit: int) -> ServiceError:
    """A text is longer than its column allows; the message is the sample of the batch page, with its two spaces."""
    return ServiceError(
        400,
        "0x80044331",
        f"A validation error occurred.  The length of the '{column}' attribute of the '{table}' entity exceeded the "
        f"maximum allowed length of '{limit}'.",
    )


def integer_out_of_range(column: str, table: str) -> ServiceError:
    """A whole number is outside the column's range."""
    return _out_of_range("0x8004432f", column, table)


def decimal_out_of_range(column: str, table: str) -> ServiceError:
    """A decimal, money or floating-point number is outside the column's range."""
    return _out_of_range("0x80044330", column, table)


def _out_of_range(code: str, column: str, table: str) -> ServiceError:
    return ServiceError(
        400,
        code,
        f"A validation error occurred.  The value of '{column}' on record of type '{table}' is outside the valid "
        "range.",
    )


def date_too_early(value: str, earliest: date) -> ServiceError:
    """A date is before the earliest day that date columns take (behavior-format-date-time-attribute)."""
    return _unsupported_date(value, "less than minumum", f"Minimum value supported: {earliest:%m/%d/%Y} 00:00:00")


def date_too_late(value: str, latest: date) -> ServiceError:
    """A date is after the latest day that date columns take; the documentation has the limit, and not the words."""
    return _unsupported_date(value, "greater than maximum", f"Maximum value supported: {latest:%m/%d/%Y} 23:59:59")


def _unsupported_date(value: str, what: str, bound: str) -> ServiceError:
    return ServiceError(
        400, "0x80040239", f"DateTime is {what} value supported by CrmDateTime. Actual value: {value}, {bound}"
    )


def invalid_option(value: object, column: str, table: str, valid: Sequence[int]) -> ServiceError:
    """A choice column gets a value that is not one of its options."""
    known = ", ".join(str(option) for option in valid)
    return ServiceError(
        400,
        "0x8004431a",
        f"A validation error occurred.  The value {value} of '{column}' on record of type '{table}' is outside the "
        f"valid range. Accepted Values: {known}",
    )


def value_required(column: str, table: str) -> ServiceError:
    """A required column has no value (error code InvalidArgument)."""
    return invalid_argument(
        f"A validation error occurred.  The '{column}' attribute of the '{table}' entity is required and cannot be "
        "null."
    )


def key_column_in_body() -> ServiceError:
    """UpsertMultiple creates a row, and both its ``@odata.id`` and its body state a key column."""
    return ServiceError(400, "0x80040216", "An unexpected error occurred.")
