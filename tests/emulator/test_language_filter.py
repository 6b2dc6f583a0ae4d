"""Filters: the rows that they find, and the service's messages for those that it cannot read."""

import pytest

from emulator.errors import ODataError, ServiceError
from emulator.odata import parse_filter
from tests.emulator.language_world import COLLATION, NOW, SCHEMA, TABLE, USER, World, guid, world_of

Rows = dict[int, dict[str, object]]


def names(*texts: str | None) -> World:
    return world_of({number: {"new_name": text} for number, text in enumerate(texts, 1)})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new_name eq 'miller'", [1, 2]),
        ("new_name eq 'Müller'", [3]),
        ("new_name ne 'miller'", [3, 4, 5]),
        ("not new_name eq 'miller'", [3, 4, 5]),
        ("new_name eq null", [5]),
        ("new_name ne null", [1, 2, 3, 4]),
        ("new_name eq @p", [5]),
        ("'miller' eq new_name", [1, 2]),
        ("new_name gt 'miller'", [3, 4]),
        ("not (new_name gt 'miller')", [1, 2]),
        ("(((new_name eq 'O''Brian')))", [4]),
        ("new_name eq 'miller' or new_name eq 'muller' and new_name eq null", [1, 2]),
        ("(new_name eq 'miller' or new_name eq null) and new_name eq null", [5]),
    ],
)
def test_text_compares_under_the_collation(text: str, expected: list[int]) -> None:
    """Case, accents and trailing spaces do not count, null is only equal to null, `and` binds tighter than `or`."""
    world = names("Miller", "miller  ", "Muller", "O'Brian", None)
    assert world.found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("contains(new_name,'a%c')", [1, 2, 4]),
        ("contains(new_name,'a[%]c')", [2]),
        ("startswith(new_name,'a_c')", [1, 2, 4]),
        ("startswith(new_name,'a[_]c')", [4]),
        ("startswith(new_name,'a[bx]c')", [1]),
        ("startswith(new_name,'a[^bx]c')", [2, 4]),
        ("endswith(new_name,'C')", [1, 2, 4]),
        ("contains(new_name,'*')", [5]),
        ("contains(new_name,'?')", [5]),
        ("contains(new_name,'[[]')", [3]),
        ("contains(new_name,'[')", []),
        ("not contains(new_name,'[')", [1, 2, 3, 4, 5, 6]),
        ("contains(new_name,']')", [3]),
        ("not contains(new_name,'c')", [3, 5, 6]),
        ("new_name eq 'a%c'", [2]),
        ("endswith(new_name,'* ')", [5]),
        ("contains(new_name,'*') eq true", [5]),
        ("contains(new_name,'c') ne true", [3, 5, 6]),
    ],
)
def test_wildcards_work_only_in_text_functions(text: str, expected: list[int]) -> None:
    """`% _ [set] [^set]` work as in SQL Server's LIKE; an unclosed bracket finds nothing."""
    assert names("abc", "a%c", "[x]", "a_c", "?* ", None).found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new_count eq 2", [2]),
        ("new_count gt 1.5", [2]),
        ("new_count lt 2 and new_count ge -1", [1]),
        ("new_amount eq 1.5", [1]),
        ("new_amount gt 1", [1]),
        ("new_big eq 9007199254740993", [2]),
        ("new_flag eq true", [1]),
        ("new_flag", [1]),
        ("not new_flag", [2, 3]),
        ("new_flag ne true", [2, 3]),
        ("new_kind eq 3", [2]),
        ("new_day eq 2026-03-01", [1]),
        ("new_moment ge 2026-03-01", [1, 2]),
        ("new_moment gt 2026-03-01T09:00:00Z", [2]),
        ("new_moment gt 2026-03-01T10:00:00+01:00", [2]),
        ("new_moment ge 2026-03-01T09:00:00.5Z", [2]),
        ("new_moment lt 2026-03-01T09:00:00.5Z", [1]),
        ("new_moment eq 2026-03-01T09:00:00.5Z", []),
        (f"new_thingid eq {guid(2)}", [2]),
        (f"new_thingid eq '{guid(2)}'", [2]),
        (f"_new_parentid_value eq {guid(2)}", [1]),
        ("_new_parentid_value eq null", [2, 3]),
        ("new_ParentId eq null", [2, 3]),
        ("new_kinds eq '12,1'", [1]),
        ("new_count eq new_kind", []),
        ("new_kind gt new_count", [1, 2]),
        ("true", [1, 2, 3]),
        ("false or new_count eq 2", [2]),
    ],
)
def test_each_type_compares_with_its_literals(text: str, expected: list[int]) -> None:
    """Numbers, booleans, choices, days, moments in any zone and identifiers compare as the service does."""
    world = world_of(
        {
            1: {
                "new_count": 1, "new_amount": 1.5, "new_flag": 1, "new_kind": 2, "new_kinds": "1,12", "new_big": 1,
                "new_day": "2026-03-01", "new_moment": "2026-03-01T09:00:00Z", "new_parentid": guid(2),
            },
            2: {
                "new_count": 2, "new_amount": -1, "new_flag": 0, "new_kind": 3, "new_big": 9007199254740993,
                "new_day": "2026-03-02", "new_moment": "2026-03-01T09:00:01Z",
            },
            3: {},
        }
    )  # fmt: skip
    assert world.found(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("new_ParentId/new_name eq 'top'", [2, 3]),
        ("new_ParentId/new_name ne 'top'", [1, 4]),
        ("new_ParentId/new_ParentId/new_name eq 'top'", [4]),
        ("startswith(new_ParentId/new_name,'t')", [2, 3]),
        ("new_PartyId_new_other/new_title eq 'other'", [2]),
        ("new_PartyId_new_thing/new_name eq 'leaf'", [1]),
        ("new_thing_children/any()", [1, 2]),
        ("new_thing_children/any(c:c/new_name eq 'leaf')", [2]),
        ("not new_thing_children/any(c:c/new_name eq 'leaf')", [1, 3, 4]),
        ("new_thing_children/all(c:c/new_name eq 'leaf')", [2, 3, 4]),
        ("new_thing_children/any(c:c/new_thing_children/any(d:d/new_name eq 'leaf' and c/new_name eq 'mid'))", [1]),
    ],
)
def test_filters_can_use_related_rows(text: str, expected: list[int]) -> None:
    """Paths follow lookups, polymorphic ones by target, and lambdas filter the rows that refer to this one."""
    world = world_of(
        {
            1: {"new_name": "top", "new_partyid": guid(4), "new_partyid__type": "new_thing"},
            2: {"new_name": "mid", "new_parentid": guid(1), "new_partyid": guid(4), "new_partyid__type": "new_other"},
            3: {"new_name": "side", "new_parentid": guid(1)},
            4: {"new_name": "leaf", "new_parentid": guid(2)},
        },
        others={4: "other"},
    )
    assert world.found(text) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("In(PropertyName='new_name',PropertyValues=['A','c'])", [1]),
        ("In(PropertyName='new_name',PropertyValues=[\"O'B\"])", [2]),
        ("In(PropertyName='new_name',PropertyValues=[\"\\u0041\"])", [1]),
        ("NotIn(PropertyName='new_name',PropertyValues=['a'])", [2, 3]),
        ("In(PropertyName='new_count',PropertyValues=['1','2'])", [1, 2]),
        ("In(PropertyName='new_name',PropertyValues=['%'])", []),
        (f"In(PropertyName='new_parentid',PropertyValues=['{guid(1).upper()}'])", [2]),
        ("In(PropertyName='_new_parentid_value',PropertyValues=['{00000000-0000-0000-0000-000000000001}'])", [2]),
        ("Between(PropertyName='new_count',PropertyValues=['0','1'])", [1]),
        ('NotBetween(PropertyName=\'new_count\',PropertyValues=["0","1"])', [2, 3]),
        ("ContainValues(PropertyName='new_kinds',PropertyValues=['2'])", []),
        ("ContainValues(PropertyName='new_kinds',PropertyValues=['12','2'])", [1]),
        ("DoesNotContainValues(PropertyName='new_kinds',PropertyValues=['12'])", [2, 3]),
        ("EqualUserId(PropertyName='new_parentid')", [3]),
        ("NotEqualUserId(PropertyName='new_parentid')", [1, 2]),
        ("On(PropertyName='new_moment',PropertyValue='2026-03-18')", [1]),
        ("OnOrBefore(PropertyName='new_moment',PropertyValue='2026-03-18T00:00:00Z')", [1, 2]),
        ("OnOrAfter(PropertyName='new_day',PropertyValue='2026-03-18')", [1]),
        ("OnOrBefore(PropertyName='new_day',PropertyValue='9999-12-31')", [1, 2]),
        ("On(PropertyName='new_moment',PropertyValue='9999-12-31')", []),
        ("NotOn(PropertyName='new_day',PropertyValue='9999-12-31')", [1, 2, 3]),
        ("Today(PropertyName='new_moment')", [1]),
        ("Yesterday(PropertyName='new_day')", [2]),
        ("LastXDays(PropertyName='new_moment',PropertyValue=1)", [1, 2]),
        ("LastXDays(PropertyName='new_day',PropertyValue=1)", [1, 2]),
        ("LastXHours(PropertyName='new_moment',PropertyValue=1)", []),
        ("ThisWeek(PropertyName='new_moment')", [1, 2]),
        ("LastWeek(PropertyName='new_moment')", []),
        ("ThisMonth(PropertyName='new_day')", [1, 2]),
        ("OlderThanXDays(PropertyName='new_moment',PropertyValue=1)", [2]),
        ("NextXMonths(PropertyName='new_moment',PropertyValue=1)", []),
    ],
)
def test_query_functions_of_dataverse(call: str, expected: list[int]) -> None:
    """The service's own functions; values are text whatever the column's type, and wildcards are not special."""
    world = world_of(
        {
            1: {
                "new_name": "a", "new_count": 1, "new_kinds": "1,12",
                "new_moment": "2026-03-18T01:00:00Z", "new_day": "2026-03-18",
            },
            2: {
                "new_name": "O'b", "new_count": 2, "new_parentid": guid(1),
                "new_moment": "2026-03-17T10:00:00Z", "new_day": "2026-03-17",
            },
            3: {"new_parentid": USER},
        }
    )  # fmt: skip
    assert world.found(f"Microsoft.Dynamics.CRM.{call}") == expected


def test_aliases_can_be_values_and_lists() -> None:
    """Parameter aliases can be texts with quotes, and the lists of query functions."""
    world = names("O'Brian", "b")
    assert world.found("new_name eq @n", n="'O''Brian'") == [1]
    listed = "Microsoft.Dynamics.CRM.In(PropertyName=@p,PropertyValues=@v)"
    assert world.found(listed, p="'new_name'", v='["O\'Brian","B"]') == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("new_name eq 'O'Brian'", "There is an unterminated literal at position 21 in 'new_name eq 'O'Brian''."),
        ("new_name eq", "Expression expected at position 11 in 'new_name eq'."),
        ("new_name eq 'a' 'b'", "Syntax error at position 16 in 'new_name eq 'a' 'b''."),
        ("(new_name eq 'a'", "')' or operator expected at position 16 in '(new_name eq 'a''."),
        ("new_name # 1", "Syntax error: character '#' is not valid at position 9 in 'new_name # 1'."),
        ("Name eq 'a'", "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.new_thing'."),
        (
            "new_ParentId/Name eq 'a'",
            "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.new_thing'.",
        ),
        (
            "new_name eq 1",
            "A binary operator with incompatible types was detected. Found operand types 'Edm.String' and 'Edm.Int32' for operator kind 'Equal'.",
        ),
        (
            "new_count lt 'a'",
            "A binary operator with incompatible types was detected. Found operand types 'Edm.Int32' and 'Edm.String' for operator kind 'LessThan'.",
        ),
        (
            "new_day eq 2026-03-01T00:00:00Z",
            "A binary operator with incompatible types was detected. Found operand types 'Edm.Date' and 'Edm.DateTimeOffset' for operator kind 'Equal'.",
        ),
        ("new_day eq 2026-02-30", "Unrecognized 'Edm.Date' literal '2026-02-30' at '11' in '2026-02-30'."),
        (
            "upper(new_name) eq 'A'",
            "An unknown function with name 'upper' was found. This may also be a function import or a key lookup on a navigation property, which is not allowed.",
        ),
        (
            "Microsoft.Dynamics.CRM.In(PropertyName='new_name',PropertyValues=['a' 'b'])",
            "Invalid JSON. A comma character ',' was expected in scope 'Array'. Every two elements in an array and properties of an object must be separated by commas.",
        ),
        ("new_name in ('MILLER','O''Brian')", "The query node In is not supported"),
        (
            "not (new_code eq null or Microsoft.Dynamics.CRM.In(PropertyName='new_name',PropertyValues=['a']))",
            "Not operator along with the Custom Named Condition operators is not allowed",
        ),
        ("'a'", "The $filter expression must evaluate to a single boolean value."),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_with_the_services_message(text: str, message: str) -> None:
    """Each mistake has its position or property, in the words of OData's library."""
    with pytest.raises(ODataError) as caught:
        names("a").found(text)
    assert caught.value.message == message


CRM = "Microsoft.Dynamics.CRM."


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("new_name eq contains(new_name,'a')", "Only a property and a value can be compared"),
        ("1 eq 1", "A filter compares a property with a value"),
        ("new_name in (new_code)", "Syntax error at position"),
        ("new_name in 'a'", "Syntax error at position"),
        ("contains(new_name)", "')' or ',' expected at position"),
        ("contains('a',new_name)", "No function signature for the function with name 'contains'"),
        ("contains(new_count,'1')", "No function signature for the function with name 'contains'"),
        ("startswith(new_ParentId,'1')", "No function signature for the function with name 'startswith'"),
        (f"new_ParentId eq {guid(1)}", "A binary operator with incompatible types was detected"),
        ("new_count eq new_name", "A binary operator with incompatible types was detected"),
        ("new_name eq new_ParentId/new_name", "Only properties of the same row can be compared."),
        ("new_name/new_code eq 'a'", "Could not find a property named 'new_name'"),
        ("new_ParentId/ eq 'a'", "Syntax error at position 17"),
        ("new_ParentId/1 eq 'a'", "Syntax error at position"),
        ("new_ParentId/any()", "Could not find a property named 'new_ParentId'"),
        ("new_thing_children/any(c)", "Syntax error at position"),
        ("new_thing_children/any(c:c/Name eq 'a')", "Could not find a property named 'Name'"),
        (f"{CRM}Over(PropertyName='new_parentid')", f"An unknown function with name '{CRM}Over' was found"),
        (f"{CRM}Above(PropertyName='new_parentid',PropertyValue='a')", "'new_parentid' is not the key of a table with"),
        (f"{CRM}In(PropertyName='new_ParentId',PropertyValues=['a'])", "'new_ParentId' is not a column"),
        (f"{CRM}In(PropertyName='Name',PropertyValues=['a'])", "Could not find a property named 'Name'"),
        (f"{CRM}In(PropertyName='new_name')", f"The function '{CRM}In' needs the parameter 'PropertyValues'"),
        (f"{CRM}In(PropertyValues=['a'])", f"The function '{CRM}In' needs the parameter 'PropertyName'"),
        (
            f"{CRM}In(PropertyName='new_count',PropertyValues=['x'])",
            "Cannot convert the literal 'x' to the expected type",
        ),
        (
            f"{CRM}In(PropertyName='new_parentid',PropertyValues=['x'])",
            "Cannot convert the literal 'x' to the expected",
        ),
        (f"{CRM}In('new_name')", "Syntax error at position"),
        (f"{CRM}In(PropertyName='a' PropertyValues=['x'])", "')' or ',' expected at position"),
        (f"{CRM}In(PropertyName=new_name)", "Syntax error at position"),
        (
            f"{CRM}Between(PropertyName='new_count',PropertyValues=['1'])",
            f"The function '{CRM}Between' needs two values",
        ),
        (f"{CRM}ContainValues(PropertyName='new_name',PropertyValues=['1'])", "The column of ContainValues must be"),
        (f"{CRM}Today(PropertyName='new_name')", f"The function '{CRM}Today' needs a date column"),
        (f"{CRM}On(PropertyName='new_day')", f"The function '{CRM}On' needs the parameter 'PropertyValue'"),
        (f"{CRM}On(PropertyName='new_moment',PropertyValue='noon')", "Cannot convert the literal 'noon'"),
        (f"{CRM}LastXDays(PropertyName='new_day',PropertyValue=0)", "'0' is not a count"),
        (f"{CRM}LastXYears(PropertyName='new_day',PropertyValue=9000)", "'9000' is too large for a date"),
        ("new_moment eq 2026-01-01T25:00:00Z", "Unrecognized 'Edm.DateTimeOffset' literal"),
        ("new_name eq @p eq", "Syntax error at position"),
    ],
)
def test_invalid_parts_of_a_filter_are_refused(text: str, beginning: str) -> None:
    """Functions with wrong arguments, unknown columns, and values of the wrong type."""
    with pytest.raises(ODataError) as caught:
        names("a").found(text)
    assert caught.value.message.startswith(beginning)


@pytest.mark.parametrize(
    ("call", "days"),
    [
        ("ThisYear", ["2026-01-01", "2026-03-17", "2026-03-18", "2026-03-25", "2026-12-31"]),
        ("LastYear", ["2025-12-31"]),
        ("NextYear", ["2027-01-01"]),
        ("LastMonth", []),
        ("NextMonth", []),
        ("NextWeek", ["2026-03-25"]),
        ("Next7Days", ["2026-03-18", "2026-03-25"]),
        ("Last7Days", ["2026-03-17", "2026-03-18"]),
        ("Tomorrow", []),
        ("LastXMonths:3", ["2025-12-31", "2026-01-01", "2026-03-17", "2026-03-18"]),
        ("LastXYears:1", ["2025-12-31", "2026-01-01", "2026-03-17", "2026-03-18"]),
        ("NextXYears:1", ["2026-03-18", "2026-03-25", "2026-12-31", "2027-01-01"]),
        ("NextXWeeks:1", ["2026-03-18", "2026-03-25"]),
        ("OlderThanXMonths:2", ["2025-12-31", "2026-01-01"]),
        ("OlderThanXYears:1", []),
        ("NotOn:2026-03-18", ["2025-12-31", "2026-01-01", "2026-03-17", "2026-03-25", "2026-12-31", "2027-01-01"]),
    ],
)
def test_spans_of_time_on_days(call: str, days: list[str]) -> None:
    """On Wednesday, 18 March 2026; a column of days takes the whole of the day a span begins or ends in."""
    known = ["2025-12-31", "2026-01-01", "2026-03-17", "2026-03-18", "2026-03-25", "2026-12-31", "2027-01-01"]
    world = world_of({number: {"new_day": day} for number, day in enumerate(known)})
    name, _, value = call.partition(":")
    argument = f",PropertyValue='{value}'" if value else ""
    assert [known[number] for number in world.found(f"{CRM}{name}(PropertyName='new_day'{argument})")] == days


def test_more_than_five_hundred_conditions_are_refused() -> None:
    """The service counts conditions, and suggests the In function for long lists."""
    world = names("n7")
    assert world.found(" or ".join(f"new_name eq 'n{number}'" for number in range(500))) == [1]
    with pytest.raises(ServiceError) as caught:
        world.found(" or ".join(f"new_name eq 'n{number}'" for number in range(501)))
    assert (caught.value.status, caught.value.code) == (400, "0x8004430C")
    values = ",".join(f'"n{number}"' for number in range(2000))
    assert world.found(f"Microsoft.Dynamics.CRM.In(PropertyName='new_name',PropertyValues=[{values}])") == [1]


def test_very_deep_nesting_is_refused_without_a_crash() -> None:
    """The limit is far below Python's own."""
    with pytest.raises(ODataError, match="Recursion depth exceeded"):
        parse_filter("(" * 2000 + "a eq 1" + ")" * 2000)


def test_a_key_column_is_searched_by_its_index() -> None:
    """The folded copy of a key's text column is what SQLite looks up."""
    world = world_of({1: {"new_code": "A1"}})
    condition = world.compiler().filter(parse_filter("new_code eq 'a1 '"), TABLE)
    plan = world.database.connection.execute(
        f'EXPLAIN QUERY PLAN SELECT 1 FROM "new_thing" WHERE {condition.text}', condition.parameters
    ).fetchall()
    assert world.found("new_code eq 'a1 '") == [1]
    assert any("code_key" in row[3] for row in plan)


def test_rows_come_in_the_order_asked_for() -> None:
    """Nulls first, text without regard to case, later terms break ties."""
    world = world_of(
        {
            1: {"new_name": "b", "new_count": 1},
            2: {"new_name": "B", "new_count": 0},
            3: {"new_name": "a", "new_count": 2},
            4: {"new_count": 3},
        }
    )
    assert world.queried("$orderby=new_name,new_count") == [4, 3, 2, 1]
    assert world.queried("$orderby=new_name%20desc,new_count%20desc") == [1, 2, 3, 4]
    assert world.queried("$orderby=new_count%20asc") == [2, 1, 3, 4]


def test_an_accent_sensitive_collation_compares_accents() -> None:
    """The collation of the environment decides, not the filter."""
    assert (COLLATION.normalise("É "), NOW.tzinfo is not None, len(SCHEMA.tables)) == ("e", True, 2)
    strict = type(COLLATION).named("Finnish_Swedish_CI_AS")
    assert strict.normalise("É") == "é" != strict.normalise("e")
    with pytest.raises(ValueError, match="is not a collation"):
        type(COLLATION).named("Latin1")


@pytest.mark.parametrize("accents", ["CI_AI", "CI_AS"])
def test_width_and_kana_are_equal_unless_the_collation_compares_them(accents: str) -> None:
    """Full and half width, no-break spaces, ligatures, superscripts; hiragana and katakana."""
    pairs = ["ＡＢＣ ABC", "A\u00a0B A\u3000B", "oﬃce office", "m² m2", "ｶﾞﾗｽ ガラス", "ひらがな ヒラガナ", "ゝゞ ヽヾ"]
    both = [tuple(pair.split(" ")) for pair in pairs]
    plain = type(COLLATION).named(f"Latin1_General_{accents}")
    assert [plain.normalise(one) == plain.normalise(other) for one, other in both] == [True] * len(both)
    kana = type(COLLATION).named(f"Japanese_{accents}_KS")
    width = type(COLLATION).named(f"Japanese_{accents}_WS")
    assert kana.normalise("ひ") != kana.normalise("ヒ") == kana.normalise("ﾋ")
    assert width.normalise("Ａ") != width.normalise("a") == width.normalise("A")
    assert width.normalise("ひ") == width.normalise("ヒ") != width.normalise("ﾋ")
