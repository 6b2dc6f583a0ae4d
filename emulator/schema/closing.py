"""The actions that close opportunities, cases, quotes and orders, and those that lock the prices of a sale.

(WinOpportunity, LoseOpportunity, CloseIncident and so on in the Web API reference)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from emulator.schema.model import Action, ActionParameter

__all__ = ["CLOSING", "PRICING", "ClosingAction", "built_in_actions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingAction:
    """One closing action.

    Attributes:
        table: The table whose rows it closes.
        activity: The table of the activity it creates.
        parameter: The parameter with the activity.
        lookup: The activity's lookup to the closed row.
        before: The state from which it closes.
        after: The state that it sets.
    """

    table: str
    activity: str
    parameter: str
    lookup: str
    before: int
    after: int


def _opportunity(after: int) -> ClosingAction:
    return ClosingAction(
        table="opportunity",
        activity="opportunityclose",
        parameter="OpportunityClose",
        lookup="opportunityid",
        before=0,
        after=after,
    )


def _quote(after: int) -> ClosingAction:
    return ClosingAction(
        table="quote", activity="quoteclose", parameter="QuoteClose", lookup="quoteid", before=1, after=after
    )


def _order(after: int) -> ClosingAction:
    return ClosingAction(
        table="salesorder", activity="orderclose", parameter="OrderClose", lookup="salesorderid", before=0, after=after
    )


CLOSING: Final[Mapping[str, ClosingAction]] = {
    "WinOpportunity": _opportunity(1),
    "LoseOpportunity": _opportunity(2),
    "CloseIncident": ClosingAction(
        table="incident",
        activity="incidentresolution",
        parameter="IncidentResolution",
        lookup="incidentid",
        before=0,
        after=1,
    ),
    "WinQuote": _quote(2),
    "CloseQuote": _quote(3),
    "CancelSalesOrder": _order(2),
    "FulfillSalesOrder": _order(3),
}
PRICING: Final[Mapping[str, tuple[str, str, bool]]] = {
    "LockInvoicePricing": ("invoice", "InvoiceId", True),
    "LockSalesOrderPricing": ("salesorder", "SalesOrderId", True),
    "UnlockInvoicePricing": ("invoice", "InvoiceId", False),
    "UnlockSalesOrderPricing": ("salesorder", "SalesOrderId", False),
}
"""Table, parameter with the row's identifier, and whether the prices are locked afterwards."""


def built_in_actions() -> list[Action]:
    """Returns the declarations of these actions, for `$metadata`."""
    closing = [
        Action(
            name=name,
            parameters=(
                ActionParameter(name=action.parameter, type=f"mscrm.{action.activity}", required=True),
                ActionParameter(name="Status", type="Edm.Int32", required=True),
            ),
        )
        for name, action in CLOSING.items()
    ]
    pricing = [
        Action(name=name, parameters=(ActionParameter(name=parameter, type="Edm.Guid", required=True),))
        for name, (_, parameter, _) in PRICING.items()
    ]
    return closing + pricing
