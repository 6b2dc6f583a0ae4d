"""Derived values: full names, amounts in the base currency, status of a state, account of a contact."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from emulator.errors import invalid_state_pair
from emulator.schema import ColumnType, Table
from emulator.store import Values
from emulator.store.system_rows import BASE_CURRENCY

__all__ = ["Derivations"]

_CUSTOMER: Final = "parentcustomerid"
# The account and the parent contact of a contact follow from its company, a lookup to an account or a contact.
_CUSTOMERS: Final[Mapping[str, str]] = {"account": "accountid", "contact": "parentcontactid"}
_NAME_PARTS: Final = ("firstname", "middlename", "lastname")


class Derivations:
    """The derived columns of one table; `rate` returns the exchange rate of a currency."""

    def __init__(self, table: Table, rate: Callable[[str], float]) -> None:
        """Finds the rules that apply to the columns of the table."""
        self._table = table
        self._rate = rate
        columns = table.columns
        self._name_parts = tuple(
            part for part in _NAME_PARTS if part in columns and "fullname" in columns and columns["fullname"].computed
        )
        self._money = tuple(
            name
            for name, column in columns.items()
            if column.type is ColumnType.MONEY and not column.computed and f"{name}_base" in columns
        )
        self._triggers = {*self._name_parts, *self._money}
        self._customers = {kind: name for kind, name in _CUSTOMERS.items() if _CUSTOMER in columns and name in columns}
        if self._customers:
            self._triggers.add(_CUSTOMER)
        if self._money:
            self._triggers.add("transactioncurrencyid")
        if table.has_state:
            self._triggers |= {"statecode", "statuscode"}
            self._states = {option.value: option for option in columns["statecode"].options}
            self._statuses = {option.value: option for option in columns["statuscode"].options}
        self.needed = (
            *self._name_parts,
            *(self._money and (*self._money, "transactioncurrencyid", "exchangerate")),
            *(("statecode",) if table.has_state else ()),
        )

    def concern(self, values: Mapping[str, Any]) -> bool:
        """Whether a rule reads or writes one of these columns."""
        return not self._triggers.isdisjoint(values)

    def apply(self, values: Values, current: Mapping[str, Any]) -> None:
        """Adds the derived columns to `values`; `current` is the row before the change, empty for a new one.

        Raises:
            ServiceError: State and status do not match.
        """
        if not self._triggers.isdisjoint(self._name_parts) and not set(self._name_parts).isdisjoint(values):
            parts = [values.get(part, current.get(part)) for part in self._name_parts]
            values["fullname"] = " ".join([part for part in parts if part]) or None
        if _CUSTOMER in values:
            for kind, name in self._customers.items():
                values[name] = values[_CUSTOMER] if values.get(f"{_CUSTOMER}__type") == kind else None
        if self._table.has_state:
            self._state(values, current)
        if self._money:
            self._amounts(values, current)

    def _state(self, values: Values, current: Mapping[str, Any]) -> None:
        status = values.get("statuscode")
        if "statecode" in values and status is None:
            option = self._states.get(values["statecode"])
            if option is not None:
                values["statuscode"] = option.default_status
            return
        if status is None:
            values.pop("statuscode", None)
            return
        first_state = next(iter(self._states), None)
        state = values.get("statecode", current.get("statecode", first_state))
        option = self._statuses.get(status)
        if option is not None and option.state != state:
            raise invalid_state_pair(status, state, self._table.logical_name)

    def _amounts(self, values: Values, current: Mapping[str, Any]) -> None:
        written = [name for name in self._money if name in values]
        currency = values.get("transactioncurrencyid")
        if not written and currency is None:
            return
        if currency is not None:
            rate = self._rate(currency)
            written = [name for name in self._money if name in values or current.get(name) is not None]
        else:
            rate = current.get("exchangerate") or 1
        if currency is None and current.get("transactioncurrencyid") is None:
            values["transactioncurrencyid"] = BASE_CURRENCY
        values["exchangerate"] = rate
        for name in written:
            amount = values.get(name, current.get(name))
            values[f"{name}_base"] = None if amount is None else round(amount / rate, 4)
