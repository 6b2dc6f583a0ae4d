"""What a run says about its errors: how many there are, and why most rows were rejected, if one cause is behind it."""

from __future__ import annotations

from collections.abc import Iterable

from shared.counted import counted
from shared.jobs.summary import Done, ErrorRow, RowCounts

__all__ = ["errors_said", "rejection_cause"]


def errors_said(done: Done, source: RowCounts, violations: int, cause: str) -> str:
    """The errors of a run that reached its end, in words; empty if there is none.

    Args:
        done: What became of the changes.
        source: The rows of the source.
        violations: Rows that lack a value and are not rejected for it.
        cause: What `rejection_cause` gives; it takes the place of the number of rejected rows.
    """
    said = [counted(done.failed, "change was", "changes were") + " refused by Dataverse"] if done.failed else []
    if source.rejected and not cause:
        said.append(counted(source.rejected, "source row was", "source rows were") + " rejected")
    if violations:
        said.append(counted(violations, "row lacks", "rows lack") + " a mandatory value")
    return " ".join(filter(None, (cause, ", ".join(said))))


def rejection_cause(source: RowCounts, errors: Iterable[ErrorRow]) -> str:
    """The most frequent reason, where more than half of the rows were rejected; empty otherwise.

    Args:
        source: The rows of the source.
        errors: Of the run, by kind of message.
    """
    if 2 * source.rejected <= source.processed:
        return ""
    reasons = [error for error in errors if error.side == "source" and error.error_class == "Invalid Row"]
    most = max(reasons, key=lambda error: error.count, default=None)
    return f"{_tally(source)}{f'; most often {_said(most)}' if most else ''}. Mend these first."


def _tally(source: RowCounts) -> str:
    if source.rejected < source.processed:
        return f"{source.rejected:,} of {source.processed:,} rows were rejected"
    return "The only row was rejected" if source.rejected == 1 else f"All {source.rejected:,} rows were rejected"


def _said(error: ErrorRow) -> str:
    """Column and message as a part of a sentence."""
    message = error.message or error.error_type
    if not error.column:
        return message
    return f"{error.column} is {message}" if message.startswith("not ") else f"{error.column}: {message}"
