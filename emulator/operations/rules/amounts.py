"""Amounts of money: the currency of a row, its exchange rate and the amounts in the base currency.

(transaction-currency-currency-entity: `x_base = x / exchangerate`; all amounts of a row share one currency)
"""

from collections.abc import Mapping
from typing import Any, Final

from emulator.operations.rules.currencies import Currencies
from emulator.operations.rules.refusals import (
    base_amount_out_of_range,
    base_currency_rate,
    currency_required,
    invalid_exchange_rate,
)
from emulator.schema import ColumnType, Table
from emulator.store import Values
from emulator.store.system_rows import BASE_CURRENCY
from emulator.store.values import rounded

__all__ = ["Amounts"]

_DIGITS: Final = 4  # of an amount in the base currency


class Amounts:
    """The amounts of one table."""

    def __init__(self, table: Table, currencies: Currencies) -> None:
        """Finds the columns with amounts."""
        self._table = table
        self._currencies = currencies
        # Amounts whose decimals are those of the row's currency, or of a setting; others have those of their column.
        self._rounded = {
            name: column
            for name, column in table.columns.items()
            if column.type is ColumnType.MONEY and not column.computed and column.precision_source
        }
        self._money = tuple(
            name
            for name, column in table.columns.items()
            if column.type is ColumnType.MONEY and not column.computed and f"{name}_base" in table.columns
        )
        self._is_currency = table.logical_name == "transactioncurrency"
        self.triggers: frozenset[str] = frozenset({*self._money, "transactioncurrencyid"} if self._money else ())
        self.triggers |= self._rounded.keys()
        if self._is_currency:
            self.triggers |= {"exchangerate"}
        currency = ("transactioncurrencyid",) if self._rounded and "transactioncurrencyid" in table.columns else ()
        self.needed = (*self._money, "transactioncurrencyid", "exchangerate") if self._money else currency
        if self._is_currency:
            self.needed = (table.primary_id, "exchangerate")

    def apply(self, values: Values, current: Mapping[str, Any]) -> None:
        """Adds currency, rate and amounts in the base currency; `current` is the row before, empty for a new one.

        Raises:
            ServiceError: The currency is null although an amount has a value, an amount in the base currency is out of
                range, or the rate of a currency is not valid.
        """
        if self._is_currency:
            self._check_rate(values, current)
        self._round(values, current)
        if not self._money or self.triggers.isdisjoint(values):
            return
        currency = values.get("transactioncurrencyid")
        if currency is None and "transactioncurrencyid" in values and current:
            self._remove_currency(values, current)
            return
        written = [name for name in self._money if name in values]
        if currency is not None:
            rate = self._currencies.rate(currency)
            written = [name for name in self._money if name in values or current.get(name) is not None]
        else:
            rate = current.get("exchangerate") or 1
        if not written and currency is None:
            return
        if currency is None and current.get("transactioncurrencyid") is None:
            values["transactioncurrencyid"] = BASE_CURRENCY
        values["exchangerate"] = rate
        for name in written:
            values[f"{name}_base"] = self._base(name, values.get(name, current.get(name)), rate)

    def _round(self, values: Values, current: Mapping[str, Any]) -> None:
        """Rounds the amounts that are written; those that only get another currency stay as they are."""
        currency = values.get("transactioncurrencyid") or current.get("transactioncurrencyid")
        for name, column in self._rounded.items():
            if isinstance(values.get(name), float):
                digits = self._currencies.digits(column, currency)
                values[name] = values[name] if digits is None else rounded(values[name], digits)

    def _remove_currency(self, values: Values, current: Mapping[str, Any]) -> None:
        if any(values.get(name, current.get(name)) is not None for name in self._money):
            raise currency_required()
        values["exchangerate"] = None
        values.update({f"{name}_base": None for name in self._money if name in values})

    def _base(self, name: str, amount: float | None, rate: float) -> float | None:
        if amount is None:
            return None
        column = self._table.columns[f"{name}_base"]
        base = round(amount / rate, _DIGITS)
        if column.max_value is not None and base > column.max_value:
            raise base_amount_out_of_range(name, column.max_value, larger=True)
        if column.min_value is not None and base < column.min_value:
            raise base_amount_out_of_range(name, column.min_value, larger=False)
        return base

    def _check_rate(self, values: Values, current: Mapping[str, Any]) -> None:
        if "exchangerate" not in values:
            return
        if values["exchangerate"] is None:
            raise invalid_exchange_rate()
        is_base = current and current[self._table.primary_id] == BASE_CURRENCY
        if is_base and values["exchangerate"] != current["exchangerate"]:
            raise base_currency_rate()
