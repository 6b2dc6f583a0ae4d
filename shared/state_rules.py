"""Which states of Microsoft's own sales and service tables a plain update does not set, and what sets them instead.

Microsoft: the actions `WinOpportunity`, `LoseOpportunity`, `CloseIncident`, `WinQuote`, `CloseQuote`,
`CancelSalesOrder` and `FulfillSalesOrder` of the Web API reference, and the error CannotUseOpportunitySetStateMessage
(0x80100005). Which changes of state a plain update makes is what Microsoft's clients and their users report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["CLOSE", "OPEN", "Closing", "StateRules", "rules_of"]

OPEN: Final = 0
"""The state of a new record in every table that has rules here; a closed record can be set back to it."""
CLOSE: Final = "@close"
"""The member of a change's second request that marks it as a closing: an object of `Closing.carried` members."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The action that sets a closing state.

    Attributes:
        action: Its name in the Web API.
        activity: The parameter that holds the closing activity.
        record: The activity's lookup to the record that is closed.
        carried: Column of the record -> the activity's column that sets it. The action overwrites these columns.
    """

    action: str
    activity: str
    record: str
    carried: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRules:
    """The rules of one table.

    Attributes:
        closings: State -> the action that the sync sends for it.
        refused: What closes records of the table instead of a sync; empty where a sync may.
        closed: The states that a sync may not set, where it may not close records.
        locked: Columns of a closed record cannot be updated before it is open again.
        direct: A closed record can get another closed state; otherwise it has to be open in between.
    """

    closings: Mapping[int, Closing] = field(default_factory=dict)
    refused: str = ""
    closed: frozenset[int] = frozenset()
    locked: bool = False
    direct: bool = False

    @property
    def carried(self) -> frozenset[str]:
        """The columns of a record that closing actions overwrite."""
        return frozenset(name for closing in self.closings.values() for name in closing.carried)


def _opportunity(action: str) -> Closing:
    return Closing(
        action=action,
        activity="OpportunityClose",
        record="opportunityid",
        carried={"actualvalue": "actualrevenue", "actualclosedate": "actualend"},
    )


# Quotes: Won, Closed; orders: Canceled, Fulfilled; invoices: Paid, Canceled.
_LAST_TWO: Final = frozenset({2, 3})
_RULES: Final[Mapping[str, StateRules]] = {
    **dict.fromkeys(("email", "fax", "letter", "phonecall", "task"), StateRules(direct=True)),
    "opportunity": StateRules(closings={1: _opportunity("WinOpportunity"), 2: _opportunity("LoseOpportunity")}),
    "incident": StateRules(
        closings={1: Closing(action="CloseIncident", activity="IncidentResolution", record="incidentid")}
    ),
    "lead": StateRules(),
    "quote": StateRules(refused="the actions WinQuote and CloseQuote", closed=_LAST_TWO, locked=True),
    "salesorder": StateRules(
        refused="the actions FulfillSalesOrder and CancelSalesOrder", closed=_LAST_TWO, locked=True
    ),
    "invoice": StateRules(
        refused="the commands Invoice Paid and Cancel Invoice of Dynamics 365 Sales", closed=_LAST_TWO, locked=True
    ),
}


def rules_of(table: str) -> StateRules | None:
    """The rules of a table by its logical name; None where a plain update sets every state."""
    return _RULES.get(table)
