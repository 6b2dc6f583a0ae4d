"""The watermark that a run reaches."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.definitions.models import ColumnType, TypedColumn
from shared.sources.watermarks.marks import Mark, Scale, parameter_of, start_of
from shared.sources.watermarks.reached import order_of, ordering, reached_value
from shared.workspace import Workspace

NOBODY = "SELECT 0"


def reached(
    values: list[str | None], scale: Scale, sql_type: str = "VARCHAR", unfinished: str = NOBODY, within: str = "true"
) -> str | None:
    column = TypedColumn(name="c", raw=ColumnType.TEXT, sql_type=sql_type)
    with Workspace.open() as workspace:
        workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, c {sql_type})")
        for number, value in enumerate(values, start=1):
            workspace.execute("INSERT INTO source_raw VALUES (?, ?)", [number, value])
        return reached_value(workspace, column, scale, unfinished, within=within)


@pytest.mark.parametrize(
    ("values", "scale", "sql_type", "expected"),
    [
        (["9", "10", None], Scale.NUMBER, "VARCHAR", "10"),
        (["9", "10"], Scale.TEXT, "VARCHAR", "9"),
        (["9007199254740993", "9007199254740992"], Scale.NUMBER, "BIGINT", "9007199254740993"),
        (["0.1000000000000000001", "0.1", "NaN"], Scale.NUMBER, "VARCHAR", "0.1000000000000000001"),
        (["9" * 30, "1" + "0" * 30, "5"], Scale.NUMBER, "DECIMAL(38, 0)", "1" + "0" * 30),
        (["9" * 30 + ".25", "9" * 30 + ".5", "-" + "9" * 31], Scale.NUMBER, "VARCHAR", "9" * 30 + ".5"),
        (["1e20", "3e25", "20000000000000000000"], Scale.NUMBER, "DOUBLE", "3e+25"),
        (["1" * 39, "1e300", "7"], Scale.NUMBER, "VARCHAR", "7"),
        (["2024-01-31", "infinity"], Scale.DAY, "DATE", "2024-01-31"),
        (["2024-01-31 10:00:00", "2024-01-31 09:00:00.5"], Scale.TIME, "TIMESTAMP", "2024-01-31 10:00:00"),
        (["2024-01-31 10:00+02", "2024-01-31 09:00+00"], Scale.TIME, "VARCHAR", "2024-01-31 09:00+00"),
        (
            ["2024-01-31T09:00:00.5Z", "2024-2-1", "2024-02-01 10:00 Europe/Berlin"],
            Scale.TIME,
            "VARCHAR",
            "2024-01-31T09:00:00.5Z",
        ),
        (["12024-01-31", "2024-01-31"], Scale.DAY, "DATE", "2024-01-31"),
        (["2024-01-31T24:00:00Z", "2024-01-31T23:59:59Z"], Scale.TIME, "VARCHAR", "2024-01-31T23:59:59Z"),
        (["2024-01-31T24:00", "2024-01-31T10:60"], Scale.TIME, "VARCHAR", None),
        (["b", "B", ""], Scale.TEXT, "VARCHAR", "b"),
        ([None, None], Scale.DAY, "DATE", None),
        ([], Scale.NUMBER, "VARCHAR", None),
    ],
)
def test_the_greatest_value_is_reached_if_all_rows_are_settled(
    values: list[str | None], scale: Scale, sql_type: str, expected: str | None
) -> None:
    """In the order of its scale, as the source wrote it; values that cannot be ordered are ignored."""
    assert reached(values, scale, sql_type) == expected


@pytest.mark.parametrize(
    ("values", "unfinished", "expected"),
    [
        (["1", "2", "3"], "SELECT 2", "2"),
        (["1", "2", "3"], "SELECT unnest([3, 2])", "2"),
        (["1", "2", None], "SELECT 3", "2"),
        (["1", "NaN", "3"], "SELECT unnest([2, 3])", None),
        (["1", "NaN", "3"], "SELECT 2", None),
    ],
)
def test_a_watermark_does_not_pass_a_row_that_is_not_settled(
    values: list[str | None], unfinished: str, expected: str | None
) -> None:
    """Every run reads rows without a value; a row with an unknown place stops the watermark."""
    assert reached(values, Scale.NUMBER, unfinished=unfinished) == expected


@pytest.mark.parametrize(
    ("values", "unfinished", "within", "expected"),
    [
        (["2", "3", "1"], NOBODY, "_row <= 1", "2"),
        (["2", "3", "1"], "SELECT 3", "_row <= 1", "1"),
        (["2", "3", "1"], "SELECT 2", "_row <= 1", "2"),
        (["2", "3"], NOBODY, f"place <= {order_of('2', Scale.NUMBER)}", "2"),
        (["2", "3"], NOBODY, "false", None),
        (["2", "3"], "SELECT 1", "false", None),
    ],
)
def test_only_some_rows_can_be_reached(values: list[str], unfinished: str, within: str, expected: str | None) -> None:
    """A row that is not settled holds the watermark wherever it is."""
    assert reached([*values], Scale.NUMBER, unfinished=unfinished, within=within) == expected


def test_in_an_unknown_order_the_watermark_waits_for_every_row() -> None:
    """No row is known to be the least one."""
    assert reached(["a", "B"], Scale.COLLATED) == "a"
    assert reached(["a", "B", None], Scale.COLLATED, unfinished="SELECT 3") == "a"
    assert reached(["a", "B"], Scale.COLLATED, unfinished="SELECT 1") is None


LONG = st.builds(
    lambda sign, whole, decimals: f"{sign}{whole}{decimals}",
    st.sampled_from(["", "-"]),
    st.one_of(st.integers(0, 20), st.integers(10**19, 10**21), st.integers(0, 10**38 - 1)),
    st.one_of(
        st.just(""),
        st.from_regex(r"\.[0-9]{1,3}", fullmatch=True),
        st.from_regex(r"\.0{16}[0-9]{1,40}", fullmatch=True),
    ),
)


@settings(max_examples=50)
@given(st.lists(LONG, min_size=1, max_size=20))
def test_numbers_with_many_digits_are_ordered_by_their_values(texts: list[str]) -> None:
    """As Python orders them; the greatest one is reached, and the least one where no row is settled."""
    with Workspace.open() as workspace:
        workspace.execute("CREATE TABLE source_raw AS SELECT 1 AS _row, unnest(?) AS c", [texts])
        column = TypedColumn(name="c", raw=ColumnType.TEXT, sql_type="VARCHAR")
        greatest = reached_value(workspace, column, Scale.NUMBER, NOBODY)
        least = reached_value(workspace, column, Scale.NUMBER, "SELECT 1")
    numbers = list(map(Decimal, texts))
    assert Decimal(str(greatest)) == max(numbers)
    assert Decimal(str(least)) == min(numbers)


NUMBERS = st.integers(0, 61).map(lambda number: f"{number:02}")
FORMS = st.sampled_from(
    ["{}-{}-{}", "{}-{}-{} {}:{}", "{}-{}-{}T{}:{}:{}Z", "{}-{}-{} {}:{}:{}.25+{}", "{}-{}-{}T{}:{}:{}-{}:{}"]
)
TEXTS = st.builds(
    lambda form, year, parts: form.format(f"{year:04}", *parts),
    FORMS,
    st.integers(0, 9999),
    st.lists(NUMBERS, min_size=8, max_size=8),
)


@settings(max_examples=30)
@given(st.lists(TEXTS, min_size=1, max_size=40))
@example(["2024-01-31T24:00:00Z", "2024-01-31 24:00", "0001-01-01T00:00:00Z"])
def test_the_next_read_can_start_at_each_value_that_is_reached(texts: list[str]) -> None:
    """What has a place is a moment for Python too."""
    with Workspace.open() as workspace:
        workspace.execute("CREATE TABLE source_raw (c VARCHAR)")
        workspace.execute("INSERT INTO source_raw SELECT unnest(?)", [texts])
        order = ordering(TypedColumn(name="c", raw=ColumnType.TEXT, sql_type="VARCHAR"), Scale.TIME)
        for (value,) in workspace.query(f"SELECT c FROM source_raw WHERE {order} IS NOT NULL"):
            mark = Mark(value=str(value), scale=Scale.TIME, identity="")
            assert start_of(mark, Scale.TIME, 0)
            assert start_of(mark, Scale.TIME, 3600)
            assert parameter_of(mark, Scale.TIME, 0) == value
