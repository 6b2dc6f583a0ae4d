"""Values: what each type of column accepts; every other value gets one of the service's errors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.errors import ServiceError
from emulator.schema import Column, ColumnType, DateBehavior, Option, Table
from emulator.schema.loader import builtin_schema
from emulator.store.values import Convert, converter, guid_text

ACCOUNT = builtin_schema().tables["account"]
WRITABLE = sorted(name for name, column in ACCOUNT.columns.items() if not column.is_lookup and column.type != "Virtual")
JSON = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def _column(kind: ColumnType, **settings: Any) -> Column:
    return Column(logical_name="x", schema_name="X", type=kind, display_name="X", **settings)


def _table(column: Column) -> Table:
    return Table(
        logical_name="t",
        schema_name="T",
        entity_set="ts",
        display_name="T",
        display_collection_name="Ts",
        primary_id="tid",
        primary_name="x",
        columns={"x": column},
    )


def _stored(column: Column, value: Any) -> Any:
    return converter(column, _table(column))(value)


def _code(column: Column, value: Any) -> str:
    with pytest.raises(ServiceError) as refused:
        _stored(column, value)
    assert refused.value.status == 400
    return refused.value.code


def _outcome(convert: Convert, value: Any) -> tuple[Any, ServiceError | None]:
    try:
        return convert(value), None
    except ServiceError as error:
        return None, error


@given(name=st.sampled_from(WRITABLE), value=JSON)
def test_any_value_is_stored_or_refused(name: str, value: Any) -> None:
    """No JSON value makes a converter fail in another way, and a stored value can be written again unchanged."""
    convert = converter(ACCOUNT.columns[name], ACCOUNT)
    stored, refusal = _outcome(convert, value)
    if refusal is None:
        assert convert(stored) == stored
    else:
        assert refusal.status == 400
        assert refusal.code


@pytest.mark.parametrize("length", [0, 1, 4, 5])
def test_texts_fit_up_to_their_length(length: int) -> None:
    """The limit counts UTF-16 units: a character outside the basic plane takes two."""
    column = _column(ColumnType.STRING, max_length=4)
    assert (
        (_code(column, "ä" * length) == "0x80044331")
        if length > 4
        else (_stored(column, "ä" * length) or "") == "ä" * length
    )
    assert _stored(column, "😀😀") == "😀😀"
    assert _code(column, "😀😀😀") == "0x80044331"


@pytest.mark.parametrize(
    ("value", "stored"), [(5, 5), ("200", 200), ("-3", -3), (None, None), (2147483647, 2147483647)]
)
def test_whole_numbers_are_accepted(value: Any, stored: Any) -> None:
    """Also as a text, as in the sample of the page about creates."""
    assert _stored(_column(ColumnType.INTEGER, min_value=-2147483648, max_value=2147483647), value) == stored


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("5a", "0x80048d19"), (5.5, "0x80048d19"), (5.0, "0x80048d19"), (True, "0x80048d19"), (2147483648, "0x80048d19"),
        ("2147483648", "0x80048d19"), (1001, "0x8004432f"),
    ],
)  # fmt: skip
def test_other_values_are_no_whole_numbers(value: Any, code: str) -> None:
    """Other texts, numbers with a point, booleans and numbers of more than 32 bits are bad literals."""
    assert _code(_column(ColumnType.INTEGER, min_value=-2147483648, max_value=1000), value) == code


@pytest.mark.parametrize(
    ("value", "stored"), [(1.005, 1.0), (1.015, 1.02), (2, 2), (123456789.12, 123456789.12), (-0.001, 0)]
)
def test_decimals_are_rounded_to_their_precision(value: float, stored: float) -> None:
    """Half to even, from the decimal digits and not from the nearest binary number."""
    column = _column(ColumnType.DECIMAL, precision=2, min_value=-1e11, max_value=1e11)
    assert _stored(column, value) == stored


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("2024-02-03T10:00:00Z", "2024-02-03T10:00:00Z"),
        ("2024-02-03T10:00:00.9999999Z", "2024-02-03T10:00:00Z"),
        ("2024-02-03T10:00:00-08:00", "2024-02-03T18:00:00Z"),
        ("1753-01-01T00:00:00Z", "1753-01-01T00:00:00Z"),
        ("2024-02-03", "2024-02-03T00:00:00Z"),
        ("2024-02-03T10:00:00", "2024-02-03T10:00:00Z"),
        ("2024-02-03T10:00", "2024-02-03T10:00:00Z"),
        (None, None),
    ],
)
def test_points_in_time_become_utc_seconds(value: Any, stored: Any) -> None:
    """Offsets are applied, without one it is UTC, fractions are dropped."""
    assert _stored(_column(ColumnType.DATETIME, date_behavior=DateBehavior.USER_LOCAL), value) == stored


@pytest.mark.parametrize(
    "value",
    [
        "2024-02-30T00:00:00Z",
        "20240203",
        "2024-W05-6",
        "9999-12-31T23:59:59-14:00",
        "yesterday",
        5,
        True,
        "",
        "2024-02-03T25:00:00Z",
    ],
)
def test_other_texts_are_no_points_in_time(value: Any) -> None:
    """Other notations of ISO 8601, days that do not exist and years beyond the calendar are refused."""
    assert _code(_column(ColumnType.DATETIME, date_behavior=DateBehavior.USER_LOCAL), value) == "0x80048d19"


@pytest.mark.parametrize("value", ["1752-12-31T23:59:59Z", "1753-01-01T00:00:00+01:00", "0002-01-01T00:00:00Z"])
def test_a_point_in_time_before_the_earliest_is_refused(value: str) -> None:
    """By its moment in UTC, as it would be given out."""
    with pytest.raises(ServiceError) as refused:
        _stored(_column(ColumnType.DATETIME, date_behavior=DateBehavior.USER_LOCAL), value)
    assert refused.value.code == "0x80040239"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("9999-12-30T23:59:59.9999999Z", "9999-12-30T23:59:59Z"),
        ("9999-12-31T00:59:59+01:00", "9999-12-30T23:59:59Z"),
        ("9999-12-31T00:00:00Z", None),
        ("9999-12-30T23:00:00-01:00", None),
        ("9999-12-31", None),
    ],
)
def test_a_point_in_time_after_the_latest_is_refused(value: str, stored: str | None) -> None:
    """The last moment that the metadata states is stored; a later one has the code of one that is too early."""
    column = _column(ColumnType.DATETIME, date_behavior=DateBehavior.USER_LOCAL)
    assert (_stored if stored else _code)(column, value) == (stored or "0x80040239")


@pytest.mark.parametrize("value", ["1753-01-01", "9999-12-30"])
def test_dates_without_a_time_have_the_same_limits(value: str) -> None:
    """The end of the calendar, `9999-12-31`, is not among them."""
    column = _column(ColumnType.DATETIME, date_behavior=DateBehavior.DATE_ONLY)
    assert _stored(column, value) == value
    assert [_code(column, other) for other in ("1752-12-31", "9999-12-31")] == ["0x80040239"] * 2


@pytest.mark.parametrize("value", ["2024-02-30", "2024-02-03T00:00:00Z", 20240203, "20240203"])
def test_dates_are_dates_only(value: Any) -> None:
    """Nothing but year, month and day with dashes."""
    assert _code(_column(ColumnType.DATETIME, date_behavior=DateBehavior.DATE_ONLY), value) == "0x80048d19"


@pytest.mark.parametrize("value", ["", "R0lGODlh", "R0lG\r\nODlh", "YQ==", None])
def test_binary_values_are_base64(value: str | None) -> None:
    """In one or several lines; what is stored is the text."""
    assert _stored(_column(ColumnType.IMAGE), value) == value


@pytest.mark.parametrize("value", ["%%%", "R0lGODl", "a-b_", "R0lGODlhé", 5, True, ["R0lGODlh"]])
def test_other_texts_are_no_binary_values(value: Any) -> None:
    """Texts with other signs or of a wrong length are refused."""
    assert _code(_column(ColumnType.IMAGE), value) == "0x80048d19"


def test_choices_accept_only_their_options() -> None:
    """A choice is one number, several choices are a text of numbers without repetitions."""
    options = tuple(Option(value=value, labels={1033: str(value)}) for value in (1, 2, 10))
    one, many = _column(ColumnType.PICKLIST, options=options), _column(ColumnType.MULTI_PICKLIST, options=options)
    assert _stored(one, 2) == 2
    assert _stored(one, "2") == 2
    assert _code(one, "two") == "0x80048d19"
    assert _code(one, 3).lower() == "0x8004431a"
    assert _stored(many, "10, 2,10") == "2,10"
    assert _stored(many, "") is None
    assert _code(many, "1;2") == "0x80048d19"
    assert _code(many, "3").lower() == "0x8004431a"


def test_identifiers_are_written_in_one_way() -> None:
    """Lower-case with dashes, whatever the client wrote."""
    assert guid_text("{6F9619FF-8B86-D011-B42D-00CF4FC964FF}") == "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
    with pytest.raises(ServiceError):
        guid_text("6f9619ff")
