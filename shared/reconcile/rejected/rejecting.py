"""What follows from an error that a decision has: the row is rejected, and its record stays as it is."""

from __future__ import annotations

from typing import Final

from shared.reconcile.plan import PlanAction
from shared.transform import ErrorType
from shared.workspace import Step, Table, literal

__all__ = ["reject_steps"]

_NEEDS: Final = frozenset({Table.DECISIONS, Table.SOURCE_ERRORS})


def reject_steps(error: ErrorType, origin: str) -> tuple[Step, ...]:
    """Return the steps that reject the rows with an error; they need `decisions`, `desired` and the errors.

    The decision about a record becomes `ignored`, so that it is not dropped.
    """
    rejected = f"SELECT _row FROM source_errors WHERE rejected AND error = {literal(error)}"
    keep = f"""
UPDATE decisions SET action = {literal(PlanAction.IGNORED)}, _row = NULL
WHERE _id IS NOT NULL AND _row IN ({rejected})""".strip()
    return (
        Step("Leave the records of rejected rows alone", keep, origin, needs=_NEEDS),
        Step("Make no records of them", f"DELETE FROM decisions WHERE _row IN ({rejected})", origin, needs=_NEEDS),
        Step(
            "Set these rows aside",
            f"DELETE FROM desired WHERE _row IN ({rejected})",
            origin,
            needs=frozenset({Table.DESIRED, Table.SOURCE_ERRORS}),
        ),
    )
