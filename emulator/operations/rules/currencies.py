"""Currencies: their rates, and how many digits the amounts of a row have (MoneyAttributeMetadata.PrecisionSource)."""

from dataclasses import dataclass
from typing import Any, Final

from emulator.environment import Environment
from emulator.schema import Column
from emulator.store import sql_name
from emulator.store.system_rows import BASE_CURRENCY

__all__ = ["Currencies"]

_TABLE: Final = "transactioncurrency"
_SHOWN: Final = 2  # decimals of an amount for which nothing says how many it has
_OF_PRICES: Final = 1
_OF_CURRENCY: Final = 2


@dataclass(frozen=True, slots=True)
class Currencies:
    """The currencies of one environment. A currency of None is the base currency."""

    environment: Environment

    def rate(self, currency: str) -> float:
        """Returns the exchange rate of a currency."""
        return float(self._setting(_TABLE, "exchangerate", currency) or 1)

    def symbol(self, currency: str | None) -> str:
        """Returns the symbol that is written before an amount."""
        return str(self._setting(_TABLE, "currencysymbol", currency or BASE_CURRENCY) or "")

    def digits(self, column: Column, currency: str | None) -> int | None:
        """Returns the decimals of an amount in a currency: those of its precision source, or else of the column."""
        found = None
        if column.precision_source == _OF_CURRENCY:
            found = self._setting(_TABLE, "currencyprecision", currency or BASE_CURRENCY)
        elif column.precision_source == _OF_PRICES:
            found = self._setting("organization", "pricingdecimalprecision", self.environment.organization_id)
        return column.precision if found is None else int(found)

    def shown_digits(self, column: Column, currency: str | None) -> int:
        """Returns the decimals with which an amount is shown."""
        digits = self.digits(column, currency)
        return _SHOWN if digits is None else digits

    def _setting(self, table: str, column: str, record_id: str) -> Any:
        """The value of a column; None also where a schema file has replaced the table by one without it."""
        known = self.environment.schema.tables.get(table)
        if known is None or column not in known.columns:
            return None
        return self.environment.database.scalar(
            f"SELECT {sql_name(column)} FROM {sql_name(table)} WHERE {sql_name(known.primary_id)} = ?", (record_id,)
        )
