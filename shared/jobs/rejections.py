"""The text about the errors of a run: their number, and the reason for most rejected rows, if there is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from shared.counted import counted
from shared.jobs.summary import ErrorRow, OutcomeCounts, RowCounts
from shared.transform import ErrorType

__all__ = ["errors_said", "left_out", "left_out_warnings", "rejection_cause"]


def errors_said(done: OutcomeCounts, source: RowCounts, violations: int, cause: str) -> str:
    """The errors of a run that reached its end, in words; empty if there is none.

    Args:
        done: The result of the changes.
        source: The rows of the source.
        violations: Rows that lack a value and are not rejected for it.
        cause: The result of `rejection_cause`; it replaces the number of rejected rows.
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
    return f"{_tally(source)}{f'; most often {_said(most)}' if most else ''}. Correct these rows first."


def left_out(errors: Iterable[ErrorRow]) -> dict[str, int]:
    """Column of the source -> rows in which the field was left out, the most first; the rest of them was synced."""
    counts = Counter[str]()
    for error in errors:
        if error.side == "source" and error.error_class == "Invalid Column" and error.error_type != ErrorType.MANDATORY:
            counts[error.column] += error.count
    return dict(counts.most_common())


def left_out_warnings(source: RowCounts, errors: Sequence[ErrorRow]) -> tuple[str, ...]:
    """A sentence for each column that was left out in more than half of the rows, with the most frequent reason."""
    found = []
    for column, count in left_out(errors).items():
        if 2 * count <= source.processed:
            continue
        reason = next(error for error in errors if error.column == column and error.error_class == "Invalid Column")
        rows = f"all {source.processed:,}" if count >= source.processed else f"{count:,} of {source.processed:,}"
        found.append(f"Warning: {column} was left out in {rows} rows: {reason.message}")
    return tuple(found)


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
