"""The errors of the rules, with the codes and texts of Microsoft's list (data-service-error-codes)."""

from typing import Final

from emulator.errors import ServiceError

__all__ = [
    "already_closed",
    "base_amount_out_of_range",
    "base_currency_rate",
    "currency_required",
    "invalid_exchange_rate",
    "invalid_state_pair",
    "no_picture",
    "open_activities",
    "open_quotes",
    "other_message_needed",
    "party_missing",
    "party_role_missing",
    "party_role_not_allowed",
    "read_only_row",
    "transition_not_allowed",
    "unsupported_message",
    "wrong_state",
]

_CLOSED: Final = {
    "opportunity": ("0x80040515", "The opportunity is already closed."),
    "incident": ("0x80044411", "Already Closed or Canceled"),
    "lead": ("0x80040519", "The lead is already closed."),
}
_RESOLVED: Final = 1  # a state of cases
_TRANSITIONS: Final = {
    "resolve": (
        "0x8004f854",
        (
            "Because of the status transition rules, you can't resolve a case in the current status. Change the case "
            "status, and then try resolving it, or contact your system administrator."
        ),
    ),
    "cancel": (
        "0x8004f855",
        (
            "Because of the status transition rules, you can't cancel the case in the current status. Change the case "
            "status, and then try canceling it, or contact your system administrator."
        ),
    ),
    "reopen": (
        "0x8004f856",
        (
            "Because of the status transition rules, you can't activate the case from the current status. Contact your "
            "system administrator."
        ),
    ),
    "activate": (
        "0x8004f857",
        "You can't activate this record because of the status transition rules. Contact your system administrator.",
    ),
    "deactivate": (
        "0x8004f858",
        "You can't deactivate this record because of the status transition rules. Contact your system administrator.",
    ),
}


def invalid_state_pair(status: int, state: str, table: str, record_id: str) -> ServiceError:
    """A status reason does not belong to the state, such as `AccountState.Active`."""
    return ServiceError(
        400,
        "0x80048408",
        f"{status} is not a valid status code for state code {state} on {table} with Id {record_id}.",
    )


def other_message_needed(table: str, state: str, message: str) -> ServiceError:
    """An update sets a state that only a message sets, such as the state Won of an opportunity."""
    return ServiceError(
        400,
        "0x80100005" if table == "opportunity" else "0x80040233",
        f"This message can not be used to set the state of {table} to {state}. In order to set state of {table} to "
        f"{state}, use the {message} message instead.",
    )


def wrong_state() -> ServiceError:
    """The row is not in the state from which the message closes it (InvalidState)."""
    return ServiceError(400, "0x80040233", "The object is not in a valid state to perform this operation.")


def already_closed(table: str) -> ServiceError:
    """A closed row is closed again, in another way; for tables without a code of their own it is InvalidState."""
    return ServiceError(400, *_CLOSED[table]) if table in _CLOSED else wrong_state()


def open_activities() -> ServiceError:
    """A case with open activities is resolved."""
    return ServiceError(
        400, "0x8004440a", "The incident can not be closed because there are open activities for this incident."
    )


def open_quotes() -> ServiceError:
    """An opportunity with a draft or active quote is closed (troubleshoot-opportunities-issues)."""
    return ServiceError(400, "0x80040516", "The opportunity cannot be closed.")


def read_only_row() -> ServiceError:
    """A quote, order or invoice that is not in its first state is changed."""
    return ServiceError(400, "0x8004022e", "The object cannot be updated because it is read-only.")


def transition_not_allowed(table: str, *, old: int, new: int, first: int) -> ServiceError:
    """The status transitions of the table do not allow the new status; `first` is the state Active."""
    kind = "activate" if new == first else "deactivate"
    if table == "incident" and old == first and new != first:
        kind = "resolve" if new == _RESOLVED else "cancel"
    elif table == "incident" and new == first and old != first:
        kind = "reopen"
    return ServiceError(400, *_TRANSITIONS[kind])


def currency_required() -> ServiceError:
    """A row with amounts loses its currency."""
    return ServiceError(400, "0x80048cfb", "The currency cannot be null.")


def invalid_exchange_rate() -> ServiceError:
    """A currency gets no exchange rate."""
    return ServiceError(400, "0x80048cfd", "The exchange rate is invalid.")


def base_currency_rate() -> ServiceError:
    """The exchange rate of the organisation's own currency is changed."""
    return ServiceError(400, "0x80048cf5", "The exchange rate of the base currency cannot be modified.")


def base_amount_out_of_range(column: str, limit: float, *, larger: bool) -> ServiceError:
    """An amount in the base currency is outside the range of its column."""
    size, bound = ("larger", "maximum") if larger else ("smaller", "minimum")
    return ServiceError(
        400,
        "0x80048cec" if larger else "0x80048ceb",
        f"The exchange rate set for the currency specified in this record has generated a value for {column} that is "
        f"{size} than the {bound} allowed for the base currency ({limit}).",
    )


def party_missing() -> ServiceError:
    """An activity party names neither a row nor an address."""
    return ServiceError(400, "0x80043504", "Activity party object Id or type is missing")


def party_role_missing() -> ServiceError:
    """An activity party has no participation type."""
    return ServiceError(400, "0x80040b06", "Participation type is missing from an activity")


def party_role_not_allowed() -> ServiceError:
    """An activity party has a participation type that its activity does not have."""
    return ServiceError(400, "0x80043506", "Cannot create activity party of specified object type.")


def unsupported_message(message: str, table: str) -> ServiceError:
    """The table does not support the message (SdkEntityDoesNotSupportMessage)."""
    return ServiceError(400, "0x80040800", f"The '{message}' method does not support entities of type '{table}'.")


def no_picture(table: str, column: str, record_id: str) -> ServiceError:
    """A file for an image column is of no type that it stores (ProcessImageFailure, image-column-data)."""
    return ServiceError(
        400,
        "0x80072553",
        "Error occured when processing image. Reason: Update image properties failed for objectid: "
        f"{record_id}, logicalName: {table}, attribute: {column}",
    )
