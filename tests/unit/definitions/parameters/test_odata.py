"""Parameters in OData filters: literals of the type that they are compared with."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions import ParameterValue, in_odata
from shared.definitions.parameters import compared_text
from shared.entities import AttributeMetadata, AttributeType, Choice, DateBehavior, EntityMetadata
from shared.errors import UserError

GUID = "0A000000-0000-0000-0000-00000000000f"
COLUMNS = [
    AttributeMetadata(name="name", type=AttributeType.STRING),
    AttributeMetadata(name="employees", type=AttributeType.INTEGER),
    AttributeMetadata(name="revenue", type=AttributeType.MONEY, precision=2),
    AttributeMetadata(name="active", type=AttributeType.BOOLEAN),
    AttributeMetadata(name="accountid", type=AttributeType.UNIQUEIDENTIFIER),
    AttributeMetadata(name="parentid", type=AttributeType.LOOKUP),
    AttributeMetadata(name="modified", type=AttributeType.DATETIME, date_behavior=DateBehavior.USER_LOCAL),
    AttributeMetadata(name="born", type=AttributeType.DATETIME, date_behavior=DateBehavior.DATE_ONLY),
    AttributeMetadata(
        name="class",
        type=AttributeType.PICKLIST,
        choices=(
            Choice(value=1, labels=("Gold", "Or")),
            Choice(value=2, labels=("Silver", "Grau")),
            Choice(value=3, labels=("Grey", "GRAU", "2")),
        ),
    ),
]
ENTITY = EntityMetadata(
    logical_name="account",
    entity_set="accounts",
    display_name="Account",
    primary_id="accountid",
    primary_name="name",
    attributes={each.name: each for each in COLUMNS},
)
VALUES: dict[str, ParameterValue] = {
    "s": "O'Neil or 1 eq 1",
    "digits": "17",
    "n": 17,
    "f": 1e21,
    "b": True,
    "zero": 0,
    "id": GUID,
    "day": dt.date(2024, 1, 2),
    "time": dt.datetime(2024, 1, 2, 23, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=-2))),
    "label": "or",
    "two": "2",
    "grey": "grau",
    "none": None,
    "text": "2024-01-31",
    "moment": "2024-01-31T12:00:00+02:00",
    "words": " TRUE ",
    "half": 0.5,
}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name eq @s", "name eq 'O''Neil or 1 eq 1'"),
        ("@s eq name", "'O''Neil or 1 eq 1' eq name"),
        ("name eq @n", "name eq '17'"),
        ("NOT (employees GE @digits)", "NOT (employees GE 17)"),
        ("revenue gt @f and revenue lt @digits", "revenue gt 1000000000000000000000 and revenue lt 17"),
        ("active eq @b or active eq @zero", "active eq true or active eq false"),
        ("accountid eq @id", f"accountid eq {GUID.lower()}"),
        ("_parentid_value ne @id", f"_parentid_value ne {GUID.lower()}"),
        ("parentid/accountid eq @id", f"parentid/accountid eq {GUID}"),
        ("parentid/name eq @s", "parentid/name eq 'O''Neil or 1 eq 1'"),
        ("modified ge @day", "modified ge 2024-01-02T00:00:00Z"),
        ("modified ge @time", "modified ge 2024-01-03T01:04:05Z"),
        ("born eq @day", "born eq 2024-01-02"),
        ("born lt @time", "born lt 2024-01-03"),
        ("class eq @label and class ne @digits", "class eq 1 and class ne 17"),
        ("class eq @two", "class eq 2"),
        ("name eq @none", "name eq null"),
        (
            "contains(name,@digits) and startswith( name , @digits )",
            "contains(name,'17') and startswith( name , '17' )",
        ),
        ("tolower(name) eq @n", "tolower(name) eq '17'"),
        ("@n eq tolower(name)", "'17' eq tolower(name)"),
        ("year(modified) eq @n", "year(modified) eq 17"),
        ("employees in (@n, @digits)", "employees in (17, 17)"),
        (
            "Microsoft.Dynamics.CRM.In(PropertyName='employees',PropertyValues=[@n,@s])",
            "Microsoft.Dynamics.CRM.In(PropertyName='employees',PropertyValues=['17','O''Neil or 1 eq 1'])",
        ),
        (
            "Microsoft.Dynamics.CRM.LastXDays(PropertyName='modified',PropertyValue=@n)",
            "Microsoft.Dynamics.CRM.LastXDays(PropertyName='modified',PropertyValue=17)",
        ),
        (
            "Microsoft.Dynamics.CRM.On(PropertyName='modified',PropertyValue=@day)",
            "Microsoft.Dynamics.CRM.On(PropertyName='modified',PropertyValue='2024-01-02')",
        ),
        ("name eq '@s' and employees eq @n", "name eq '@s' and employees eq 17"),
        ("children/any(c:c/name eq @digits)", "children/any(c:c/name eq '17')"),
        ("@b", "true"),
        ("eq @n", "eq 17"),
        ("@n eq", "17 eq"),
        ("(employees eq 1) and contains(concat(name,'a'),@n)", "(employees eq 1) and contains(concat(name,'a'),'17')"),
        ("(employees) eq @digits", "(employees) eq '17'"),
        ("year(@day) eq year(modified)", "year(2024-01-02) eq year(modified)"),
        ("x(name,@none) or , @n", "x(name,null) or , 17"),
        ("born eq @text or modified eq @text", "born eq 2024-01-31 or modified eq 2024-01-31T00:00:00Z"),
        ("modified lt @moment", "modified lt 2024-01-31T10:00:00Z"),
        ("active eq @words", "active eq true"),
    ],
)
def test_a_parameter_becomes_a_literal_of_the_compared_type(condition: str, expected: str) -> None:
    """Text is quoted, the rest is bare, and nothing inside quotes is touched."""
    assert in_odata(condition, VALUES, ENTITY) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "employees eq @s",
        "employees eq @b",
        "revenue eq @label",
        "active eq @n",
        "accountid eq @s",
        "parentid eq @n",
        "modified ge @s",
        "class eq @s",
        "class eq @half",
        "employees eq @half",
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name_and_not_shown(condition: str) -> None:
    """The message names column and parameter."""
    column, _, name = condition.split()
    with pytest.raises(UserError, match=f"{column} is compared with {name}") as caught:
        in_odata(condition, VALUES, ENTITY)

    assert "Neil" not in str(caught.value)


def test_a_label_of_several_options_is_refused_in_a_filter() -> None:
    """The message names the options; a filter of one of them would be a guess."""
    message = (
        "in a filter class is compared with @grey, which is the label of several options: 2 Silver, 3 Grey; give the "
        "value of one of them"
    )
    with pytest.raises(UserError, match=f"^{message}$"):
        in_odata("class eq @grey", VALUES, ENTITY)


@pytest.mark.parametrize(
    ("column", "name", "expected"),
    [
        ("name", "s", "O'Neil or 1 eq 1"),
        ("name", "none", None),
        ("employees", "digits", "17"),
        ("class", "label", "1"),
        ("active", "words", "true"),
        ("modified", "time", "2024-01-03T01:04:05Z"),
    ],
)
def test_the_text_of_a_parameter_is_its_literal_without_quotes(column: str, name: str, expected: str | None) -> None:
    """For filters in another language than OData; null is none."""
    assert compared_text(name, VALUES, ENTITY.attributes[column]) == expected


def test_the_text_of_a_parameter_that_does_not_fit_is_refused_like_its_literal() -> None:
    with pytest.raises(UserError, match="in a filter employees is compared with @s, but the value does not fit"):
        compared_text("s", VALUES, ENTITY.attributes["employees"])


def test_a_parameter_without_value_is_refused() -> None:
    """A filter is never sent with a hole in it."""
    with pytest.raises(UserError, match="gone"):
        in_odata("name eq @gone", VALUES, ENTITY)


@given(value=st.text(), condition=st.sampled_from(["name eq @v", "contains(name,@v)", "other eq @v", "x/name eq @v"]))
def test_no_text_leaves_its_quotes(value: str, condition: str) -> None:
    """Whatever a value holds, it is one OData text: quotes inside are doubled."""
    filled = in_odata(condition, {"v": value}, ENTITY)
    before, after = condition.split("@v")

    literal = filled.removeprefix(before).removesuffix(after) if after else filled.removeprefix(before)
    assert literal[0] == literal[-1] == "'"
    assert literal[1:-1].replace("''", "") == value.replace("'", "")
    assert literal[1:-1].replace("''", "'") == value


@given(
    st.sampled_from(COLUMNS),
    st.one_of(
        st.text(max_size=30),
        st.sampled_from(["1e30000000", "-1e-30000000", "9" * 5000, "nan", "0001-01-01T00:00:00+14:00", "0001-01-01"]),
        st.builds("{}e{}".format, st.integers(), st.integers()),
        st.datetimes(timezones=st.just(dt.timezone(dt.timedelta(hours=-14)))).map(dt.datetime.isoformat),
    ),
)
def test_any_text_becomes_a_short_literal_or_a_mistake(column: AttributeMetadata, text: str) -> None:
    """A number with a large exponent is not written out, and no value ends as an unforeseen error."""
    with suppress(UserError):
        assert len(in_odata(f"{column.name} eq @odd", {"odd": text}, ENTITY)) < 6000


@pytest.mark.parametrize("text", ["1e30000000", "1e-30000000", "9" * 401])
def test_a_number_without_a_sensible_length_is_a_mistake(text: str) -> None:
    """The message names the parameter and the column's type."""
    with pytest.raises(UserError, match="odd"):
        in_odata("revenue eq @odd", {"odd": text}, ENTITY)


def test_the_first_year_has_four_digits() -> None:
    """As the service writes and reads it."""
    assert in_odata("modified ge @odd", {"odd": "0001-01-01T00:00:00Z"}, ENTITY) == "modified ge 0001-01-01T00:00:00Z"
