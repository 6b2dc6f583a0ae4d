"""Derived values: full names, account of a contact, file of a note, amounts in the base currency, status of a state."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

from emulator.operations.rules.amounts import Amounts
from emulator.operations.rules.currencies import Currencies
from emulator.operations.rules.refusals import no_picture
from emulator.operations.rules.states import States
from emulator.schema import ColumnType, Table
from emulator.store import Values

__all__ = ["Derivations"]

_CUSTOMER: Final = "parentcustomerid"
# The account and the parent contact of a contact follow from its company, a lookup to an account or a contact.
_CUSTOMERS: Final[Mapping[str, str]] = {"account": "accountid", "contact": "parentcontactid"}
_BODY: Final = "documentbody"  # the file of a note
# The first bytes of the files that image columns store (image-column-data): GIF, JPEG, TIFF, BMP and PNG.
_PICTURES: Final = (b"GIF8", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"\x89PNG")
_NAME_PARTS: Final = ("firstname", "middlename", "lastname")


class Derivations:
    """The derived columns of one table."""

    def __init__(self, table: Table, currencies: Currencies) -> None:
        """Finds the rules that apply to the columns of the table."""
        columns = table.columns
        self._table = table.logical_name
        self._primary_id = table.primary_id
        self.states = States(table)
        self._amounts = Amounts(table, currencies)
        full_name = columns.get("fullname")
        is_derived = full_name is not None and not full_name.valid_for_create and not full_name.valid_for_update
        self._name_parts = tuple(part for part in _NAME_PARTS if is_derived and part in columns)
        self._customers = {kind: name for kind, name in _CUSTOMERS.items() if _CUSTOMER in columns and name in columns}
        self._pictures = tuple(name for name, column in columns.items() if column.type is ColumnType.IMAGE)
        self._triggers = {*self._name_parts, *self.states.triggers, *self._amounts.triggers, *self._pictures}
        if self._customers:
            self._triggers.add(_CUSTOMER)
        self._is_note = table.logical_name == "annotation" and {_BODY, "isdocument", "filesize"} <= columns.keys()
        if self._is_note:
            self._triggers.add(_BODY)
        identity = (table.primary_id,) if self._pictures else ()
        self.needed = tuple(dict.fromkeys((*self._name_parts, *self._amounts.needed, *self.states.needed, *identity)))

    def concern(self, values: Mapping[str, Any], *, existing: bool = False) -> bool:
        """Whether a rule reads or writes one of these columns, of a new row or of an existing one."""
        return (existing and self.states.checks_every_update) or not self._triggers.isdisjoint(values)

    def apply(self, values: Values, current: Mapping[str, Any], *, by_message: bool = False) -> None:
        """Adds the derived columns to `values`.

        Args:
            values: The SQL columns of a new row with its identifier, or those to change.
            current: The row before the change, empty for a new one.
            by_message: Whether a message such as WinOpportunity makes the change.

        Raises:
            ServiceError: State and status do not match, the table does not take this change of its state, the currency
                is missing, or a file is not a picture.
        """
        record_id = str(current.get(self._primary_id) or values.get(self._primary_id))
        if self.states.triggers:
            self.states.complete(values, record_id, current)
            if current:
                self.states.check_change(values, current, by_message=by_message)
        if not set(self._name_parts).isdisjoint(values):
            parts = [values.get(part, current.get(part)) for part in self._name_parts]
            values["fullname"] = " ".join([part for part in parts if part]) or None
        if _CUSTOMER in values:
            for kind, name in self._customers.items():
                values[name] = values[_CUSTOMER] if values.get(f"{_CUSTOMER}__type") == kind else None
        if self._is_note and _BODY in values:  # base64: attachment-annotation-files
            text = values[_BODY]
            values["isdocument"] = text is not None
            values["filesize"] = None if text is None else len(text) * 3 // 4 - text[-2:].count("=")
        for name in self._pictures:
            if values.get(name) is not None and not _is_picture(values[name]):
                raise no_picture(self._table, name, record_id)
        self._amounts.apply(values, current)


def _is_picture(base64: str) -> bool:
    """Whether a file begins as one of the types that image columns store."""
    return b64decode("".join(base64.split())).startswith(_PICTURES)
