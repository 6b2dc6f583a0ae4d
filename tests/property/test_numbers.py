"""Numbers from text to a target column: the same as exact decimal arithmetic, for any text and any column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.definitions import Column
from shared.definitions.models import ColumnType
from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.transform.convert import conversion
from shared.transform.notation.incoming import incoming
from shared.transform.reading import read_columns, reading
from shared.transform.targets import TargetColumn, sql_type
from shared.workspace import Workspace

EXACT = Context(prec=80)
BLANKS = " \t\r\n\x0b\x0c\u00a0\ufeff"
WHOLE = {AttributeType.INTEGER: 2**31, AttributeType.BIGINT: 2**63}


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    """One workspace for all examples."""
    with Workspace.open(threads=1) as opened:
        opened.execute("CREATE TABLE source_raw (_row BIGINT, x VARCHAR)")
        yield opened


def filled(workspace: Workspace, attribute: AttributeMetadata, texts: Sequence[str], **column: Any) -> list[Any]:
    """What a target column gets from the texts of a source column of type number."""
    source = Column.model_validate({"name": "x", "type": "number", **column})
    target = TargetColumn(name="n", attribute=attribute, sql_type=sql_type(attribute), source_sql="x")
    workspace.execute("DELETE FROM source_raw")
    rows = ", ".join(f"({number}, ?)" for number, _ in enumerate(texts))
    workspace.execute(f"INSERT INTO source_raw VALUES {rows}", list(texts))
    fitted = conversion(ColumnType.NUMBER, attribute)
    given_ = f'SELECT _row, {incoming(source, target)} AS "in:n" FROM ({read_columns([source], [reading(source)], ())})'
    read = f'SELECT *, {fitted.read} AS "read:n" FROM ({given_})'
    sql = f"SELECT {fitted.value} FROM ({read}) AS given{fitted.join('n')} ORDER BY _row"
    return [value for (value,) in workspace.query(sql)]


def meant(text: str) -> Decimal | None:
    """The number that a text is, with every digit; a minus may stand behind plain digits."""
    plain = text.strip(BLANKS)
    if plain.endswith("-") and not set(plain[:-1]) - set("0123456789."):
        plain = f"-{plain[:-1]}"
    try:
        return Decimal(plain)
    except InvalidOperation:
        return None


def rounded(number: Decimal, digits: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, EXACT)


blanks = st.text(BLANKS, max_size=2)
edges = st.sampled_from([2**31, -(2**31), 2**53, -(2**53), 2**63, -(2**63)])
whole_numbers = st.integers(-(2**64), 2**64) | st.builds(int.__add__, edges, st.integers(-3, 3))
fractions = st.sampled_from([Decimal(text) for text in ("0", "0.5", "-0.5", "1e-10", "-1e-10", "0.00499999999999")])
near_whole = st.builds(lambda whole, fraction: f"{EXACT.add(Decimal(whole), fraction):f}", whole_numbers, fractions)
decimals = st.decimals(-(10**14), 10**14, places=14, allow_nan=False).map(lambda number: f"{number:f}")
exponents = st.builds(lambda number, power: f"{number}e{power}", st.integers(-999, 999), st.integers(-12, 12))
plain = near_whole | decimals | exponents
turned = plain.filter(lambda text: not set(text) & set("-e")).map(lambda text: f"{text}-")
numbers = st.builds(lambda before, text, behind: f"{before}{text}{behind}", blanks, plain | turned, blanks)


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(numbers, min_size=1, max_size=40), kind=st.sampled_from(sorted(WHOLE)))
@example(texts=["2147483646.0000000001", "2147483647", "-2147483648", "2147483648"], kind=AttributeType.INTEGER)
@example(texts=["9007199254740993", "9223372036854775807", "-9223372036854775808"], kind=AttributeType.BIGINT)
def test_a_whole_number_fills_a_column_of_whole_numbers(
    workspace: Workspace, texts: list[str], kind: AttributeType
) -> None:
    """Every whole number in the range of the column, and no other number."""
    exact = [rounded(number, 10) for text in texts if (number := meant(text)) is not None]
    fits = [number == number.to_integral_value() and -WHOLE[kind] <= number < WHOLE[kind] for number in exact]
    expected = [int(number) if fit else None for number, fit in zip(exact, fits, strict=True)]
    assert filled(workspace, AttributeMetadata(name="n", type=kind), texts) == expected


@settings(deadline=None, max_examples=100)
@given(texts=st.lists(numbers, min_size=1, max_size=40), digits=st.integers(0, 10))
@example(texts=["0.00499999999999", "-0.00499999999999", "0.005", " 0.005 ", "0.005-"], digits=2)
def test_a_number_is_rounded_once(workspace: Workspace, texts: list[str], digits: int) -> None:
    """Half away from zero at the precision of the column, from all digits of the text."""
    attribute = AttributeMetadata(name="n", type=AttributeType.DECIMAL, precision=digits)
    expected = [rounded(number, digits) for text in texts if (number := meant(text)) is not None]
    assert filled(workspace, attribute, texts) == expected


CHOICES = (
    *(Choice(value=number, labels=(f"Option {number}",)) for number in (1, 2, 33)),
    Choice(value=4, labels=("2024",)),
    Choice(value=5, labels=("1.50",)),
    Choice(value=6, labels=("2.5",)),
    Choice(value=7, labels=("-0",)),
    Choice(value=8, labels=("33",)),
)


@pytest.mark.parametrize("more", [0, 100])
def test_a_number_chooses_an_option_as_its_text_would(workspace: Workspace, more: int) -> None:
    """By value first, then by a label that is the plain notation of the number; however many options there are."""
    choices = (*CHOICES, *(Choice(value=1000 + number, labels=()) for number in range(more)))
    attribute = AttributeMetadata(name="n", type=AttributeType.PICKLIST, choices=choices)
    texts = ["1", " 2.0 ", "33", "2024", "1.5", "2.5", "0", "-1", "3", "1e0", "8"]
    assert filled(workspace, attribute, texts) == [1, 2, 33, 4, None, 6, None, None, None, 1, 8]


def test_the_length_of_a_number_is_that_of_its_text_without_blanks(workspace: Workspace) -> None:
    """The text is cleaned where something else than the number is asked of it."""
    source = Column.model_validate({"name": "x", "type": "number", "max_length": 3})
    workspace.execute("DELETE FROM source_raw")
    workspace.execute("INSERT INTO source_raw VALUES (1, ' 123 ')")
    assert workspace.query(f'SELECT "text:x" FROM ({read_columns([source], [reading(source)], ())})') == [("123",)]
