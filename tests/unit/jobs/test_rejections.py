"""What a run says about its errors, and why most rows of a source were rejected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.jobs.rejections import errors_said, left_out, left_out_warnings, rejection_cause
from shared.jobs.summary import ErrorRow, OutcomeCounts, RowCounts


def error(count: int, message: str, *, column: str = "year_established", kind: str = "Invalid Row") -> ErrorRow:
    return ErrorRow(
        side="source",
        error_class=kind,
        error_type="Input Format Exception",
        column=column,
        rows=(1,),
        count=count,
        message=message,
    )


DATE = error(85, "not a date in dd-MM-yy")


def rows(processed: int, rejected: int) -> RowCounts:
    return RowCounts(processed=processed, verified=processed - rejected, rejected=rejected)


@pytest.mark.parametrize(
    ("source", "errors", "said"),
    [
        (
            rows(85, 85),
            [error(3, "not a number", column="n"), DATE],
            "All 85 rows were rejected; most often year_established is not a date in dd-MM-yy.",
        ),
        (
            rows(1000, 900),
            [error(900, "longer than 160 characters", column="name")],
            "900 of 1,000 rows were rejected; most often name: longer than 160 characters.",
        ),
        (
            rows(4, 3),
            [error(3, "5 fields instead of 14", column="")],
            "3 of 4 rows were rejected; most often 5 fields instead of 14.",
        ),
        (rows(1, 1), [DATE], "The only row was rejected; most often"),
        (rows(5, 5), [error(9, "not a date", kind="Invalid Column")], "All 5 rows were rejected. Correct"),
    ],
)
def test_the_most_frequent_reason_is_the_cause(source: RowCounts, errors: list[ErrorRow], said: str) -> None:
    """As a sentence; fields that were left out reject no row."""
    cause = rejection_cause(source, errors)
    assert cause.startswith(said)
    assert cause.endswith("Correct these rows first.")


@pytest.mark.parametrize(("processed", "rejected"), [(0, 0), (10, 0), (10, 5)])
def test_up_to_half_of_the_rows_have_no_common_cause(processed: int, rejected: int) -> None:
    """They are listed one by one."""
    assert rejection_cause(rows(processed, rejected), [DATE]) == ""


@pytest.mark.parametrize(
    ("done", "source", "violations", "cause", "said"),
    [
        (OutcomeCounts(), rows(9, 0), 0, "", ""),
        (
            OutcomeCounts(failed=1),
            rows(9, 1),
            1,
            "",
            "1 change was refused by Dataverse, 1 source row was rejected, 1 row lacks a mandatory value",
        ),
        (
            OutcomeCounts(failed=2),
            rows(9, 2),
            2,
            "",
            "2 changes were refused by Dataverse, 2 source rows were rejected, 2 rows lack a mandatory value",
        ),
        (
            OutcomeCounts(),
            rows(9, 9),
            0,
            "All 9 rows were rejected. Correct these rows first.",
            "All 9 rows were rejected. Correct these rows first.",
        ),
        (OutcomeCounts(failed=1), rows(9, 8), 0, "8 of 9.", "8 of 9. 1 change was refused by Dataverse"),
    ],
)
def test_errors_are_counted_in_words(
    done: OutcomeCounts, source: RowCounts, violations: int, cause: str, said: str
) -> None:
    """One is not several, and the cause takes the place of the number of rejected rows."""
    assert errors_said(done, source, violations, cause) == said


def test_fields_that_were_left_out_are_counted_by_column() -> None:
    """Whatever the reason; a row that lacks a value has no field left out, and a rejected row is counted elsewhere."""
    missing = replace(error(7, "a value is required", kind="Invalid Column"), error_type="Mandatory Rule Violation")
    errors = [
        error(2, "not a number", column="size", kind="Invalid Column"),
        error(3, "not a date", kind="Invalid Column"),
        error(4, "not a whole number", column="size", kind="Invalid Column"),
        missing,
        DATE,
    ]
    assert left_out(errors) == {"size": 6, "year_established": 3}
    assert left_out_warnings(rows(85, 0), errors) == ()


@pytest.mark.parametrize(("processed", "said"), [(85, "all 85 rows"), (100, "85 of 100 rows"), (170, None)])
def test_a_column_that_most_rows_lack_is_warned_of(processed: int, said: str | None) -> None:
    """With the most frequent reason."""
    errors = [
        error(80, "not a number", column="n", kind="Invalid Column"),
        error(5, "x", column="n", kind="Invalid Column"),
    ]
    warned = left_out_warnings(rows(processed, 0), errors)
    assert warned == ((f"Warning: n was left out in {said}: not a number",) if said else ())
