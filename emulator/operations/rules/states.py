"""State and status of a row: which pairs are valid, and which changes of state a table takes.

The graphs of the sales and service tables are those that the service's own clients follow; see "State and status" in
docs/emulator.md for what Microsoft documents and what others observed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from emulator.errors import ServiceError
from emulator.operations.rules.refusals import (
    already_closed,
    invalid_state_pair,
    other_message_needed,
    read_only_row,
    transition_not_allowed,
)
from emulator.schema import Table
from emulator.store import Values

__all__ = ["States"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    """The changes of state of a table that a plain update makes, besides those back to the first state.

    `messages` are the states that only a message sets, each with the state's name and the message's name in the error.
    """

    changes: frozenset[tuple[int, int]] = frozenset()
    messages: Mapping[int, tuple[str, str]]


_GRAPHS: Final[Mapping[str, _Graph]] = {
    "opportunity": _Graph(messages={1: ("won", "won"), 2: ("lost", "lost")}),
    "incident": _Graph(changes=frozenset({(0, 2)}), messages={1: ("Resolved", "CloseIncidentRequest")}),
    "quote": _Graph(
        changes=frozenset({(0, 1)}), messages={2: ("Won", "WinQuoteRequest"), 3: ("Closed", "CloseQuoteRequest")}
    ),
    "salesorder": _Graph(
        changes=frozenset({(0, 1), (0, 4)}),
        messages={2: ("Canceled", "CancelSalesOrderRequest"), 3: ("Fulfilled", "FulfillSalesOrderRequest")},
    ),
    "lead": _Graph(changes=frozenset({(0, 1), (0, 2)}), messages={}),
}
# Rows that cannot be changed unless they are in the first state.
_READ_ONLY: Final = frozenset({"quote", "salesorder", "invoice"})
_PAIR: Final = frozenset({"statecode", "statuscode"})


class States:
    """The rules for state and status of one table; a table without a state has none."""

    def __init__(self, table: Table) -> None:
        """Prepares the options by value."""
        self._table = table
        self.triggers: frozenset[str] = _PAIR if table.has_state else frozenset()
        self.checks_every_update = table.has_state and table.logical_name in _READ_ONLY
        self.needed = (table.primary_id, "statecode", "statuscode") if table.has_state else ()
        if not table.has_state:
            return
        self._states = {option.value: option for option in table.columns["statecode"].options}
        self._statuses = {option.value: option for option in table.columns["statuscode"].options}
        self._has_others = table.columns["statuscode"].other_values
        self._first = next(iter(self._states), None)
        self._graph = _GRAPHS.get(table.logical_name)

    def complete(self, values: Values, record_id: str, current: Mapping[str, Any]) -> None:
        """Adds the status that a state implies; `current` is the row before the change, empty for a new one.

        Raises:
            ServiceError: State and status do not match.
        """
        status = values.get("statuscode")
        if status is None:
            values.pop("statuscode", None)
            option = self._states.get(values["statecode"]) if "statecode" in values else None
            if option is not None:
                values["statuscode"] = option.default_status
            return
        state = values.get("statecode", current.get("statecode", self._first))
        option = self._statuses.get(status)
        if option is not None and option.state != state:
            raise self._wrong_pair(status, state, record_id)

    def _wrong_pair(self, status: int, state: int | None, record_id: str) -> ServiceError:
        option = None if state is None else self._states.get(state)
        name = option.invariant_name if option else str(state)
        return invalid_state_pair(status, f"{self._table.schema_name}State.{name}", self._table.logical_name, record_id)

    def status_for(self, state: int, status: int, record_id: str) -> int:
        """Returns the status for a message that sets a state; -1 asks for the default status of the state.

        Raises:
            ServiceError: The status is not one of the state.
        """
        if status == -1:
            option = self._states.get(state)
            return 0 if option is None or option.default_status is None else option.default_status
        option = self._statuses.get(status)
        if option is None and self._has_others:
            return status
        if option is None or option.state != state:
            raise self._wrong_pair(status, state, record_id)
        return status

    def check_change(self, values: Values, current: Mapping[str, Any], *, by_message: bool) -> None:
        """Checks a change of an existing row; `by_message` is set for messages such as WinOpportunity.

        Raises:
            ServiceError: The row is read-only, or the table does not take this change of its state or status.
        """
        old = current["statecode"]
        if self.checks_every_update and not by_message and old != self._first and not values.keys() <= _PAIR:
            raise read_only_row()
        new = values.get("statecode", old)
        if new not in {old, self._first} and not by_message:
            self._check_graph(old, new)
        if self._table.enforce_transitions:
            self._check_transition(old, new, current["statuscode"], values.get("statuscode", current["statuscode"]))

    def _check_graph(self, old: int, new: int) -> None:
        graph = self._graph
        if graph is None or (old, new) in graph.changes:
            return
        if new in graph.messages:
            raise other_message_needed(self._table.logical_name, *graph.messages[new])
        raise already_closed(self._table.logical_name)

    def _check_transition(self, old: int, new: int, old_status: int, new_status: int) -> None:
        option = self._statuses.get(old_status)
        if new_status == old_status or option is None or new_status in option.transitions:
            return
        raise transition_not_allowed(
            self._table.logical_name, old=old, new=new, first=0 if self._first is None else self._first
        )
