"""Transitions between status reasons, where a table enforces them: what the service would refuse is a row's error.

Microsoft: "Define custom state model transitions". A new record has the default status of the first state before it
gets another one; a closed record reaches another closed state by way of the open one (`shared.state_rules`).
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.definitions.models import SyncDefinition
from shared.reconcile.columns import differs, records, records_need
from shared.reconcile.later import is_made_open
from shared.reconcile.plan import PlanAction
from shared.reconcile.rejected.rejecting import reject_steps
from shared.state_rules import OPEN
from shared.transform import ErrorType, Pair, TargetColumn, listed, pair_of
from shared.workspace import Step, Table, literal, quoted

__all__ = ["transition_steps"]

_ORIGIN = "destination.mappings"


def transition_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """Reject rows whose status cannot follow the record's; needs `decisions`, `desired`, `current` and the errors.

    Of a sync that keeps a ledger they need `ledger` too.
    """
    pair = pair_of(layout)
    if pair is None or all(status.next is None for status in pair.status.attribute.choices):
        return ()
    error = literal(ErrorType.TRANSITION)
    report = f"""
INSERT INTO source_errors
SELECT decisions._row, {literal(pair.status.name)}, {error}, true, {_message(pair)}
FROM decisions
JOIN desired ON desired._row = decisions._row
LEFT JOIN current AS target ON target._id = decisions._id
{records(definition)}
WHERE {_refused(pair)}""".strip()
    needs = frozenset({Table.DECISIONS, Table.SOURCE_ERRORS, Table.DESIRED, Table.CURRENT})
    return (
        Step(
            "Report transitions of the status that are not allowed",
            report,
            _ORIGIN,
            needs=needs | records_need(definition),
        ),
        *reject_steps(ErrorType.TRANSITION, _ORIGIN),
    )


def _refused(pair: Pair) -> str:
    """SQL condition: the table does not allow the change."""
    state, status = quoted(pair.state.name), quoted(pair.status.name)
    opened, wanted, held = str(pair.default_status(OPEN)), f"desired.{status}", f"target.{status}"
    change = _allowed(pair, held, wanted)
    if pair.state.rules is not None and not pair.state.rules.direct:
        between = f"desired.{state} <> {OPEN} AND target.{state} <> {OPEN} AND desired.{state} <> target.{state}"
        by_way = f"{_allowed(pair, held, opened)} AND {_allowed(pair, opened, wanted)}"
        change = f"CASE WHEN {between} THEN {by_way} ELSE {change} END"
    refused = f"decisions.action = {literal(PlanAction.UPDATE)} AND ({differs(pair.status)}) AND NOT ({change})"
    if not is_made_open(pair.state):
        return refused
    late = f"desired.{state} <> {OPEN} AND NOT ({_allowed(pair, opened, wanted)})"
    return f"{refused}\n  OR decisions.action = {literal(PlanAction.INSERT)} AND {late}"


def _allowed(pair: Pair, old: str, new: str) -> str:
    """SQL condition: the one status may follow the other; a status without rules may be followed by any."""
    rules = {status.value: status.next for status in pair.status.attribute.choices if status.next is not None}
    tests = {value: f"{new} IN ({', '.join(map(str, after))})" if after else "false" for value, after in rules.items()}
    cases = "".join(f" WHEN {value} THEN {test}" for value, test in tests.items())
    return f"CASE {old}{cases} ELSE true END"


def _message(pair: Pair) -> str:
    """SQL of the message: which statuses may follow the one that the record has, or gets when it is made."""
    names = {status.value: status for status in pair.status.attribute.choices}
    cases = "".join(
        f" WHEN {status.value} THEN {literal(_following(str(status), [names[n] for n in status.next if n in names]))}"
        for status in names.values()
        if status.next is not None
    )
    return f"CASE coalesce(target.{quoted(pair.status.name)}, {pair.default_status(OPEN)}){cases} END"


def _following(status: str, allowed: Sequence[object]) -> str:
    if not allowed:
        return f"the table does not allow another status reason after {status}"
    return f"the status reason {status} can change only to {listed(allowed)}"
