"""Every input of a client gets a result or one of the service's errors."""

from contextlib import suppress
from urllib.parse import quote

from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulator.errors import ServiceError
from emulator.odata import RowKey, check_query, parse_filter, parse_path, parse_query, resolve_key, row_reference
from emulator.odata.evaluate import matches
from tests.emulator.language_world import COLLATION, SCHEMA, TABLE, world_of

PIECES = st.sampled_from(
    [
        "new_name", "new_count", "new_day", "new_moment", "new_kinds", "new_flag", "_new_parentid_value", "new_ParentId",
        "new_thing_children", "new_thingid", "new_partyid", "Name", " eq ", " ne ", " gt ", " and ", " or ", "not ", " in ",
        "(", ")", ",", "/", ":", "=", "[", "]", "'a'", "'", '"', "1", "-2.5", "1e400", "99999999999999999999", "null", "true",
        "2026-03-01", "2026-13-01", "2026-03-01T10:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "@p",
        "00000000-0000-0000-0000-000000000001", "contains(", "startswith(new_name,'[^", "any(", "all(c:c/new_name eq 'a')",
        "Microsoft.Dynamics.CRM.In(PropertyName='new_name',PropertyValues=['a'])", "Microsoft.Dynamics.CRM.",
        "Microsoft.Dynamics.CRM.LastXYears(PropertyName='new_moment',PropertyValue=9999999999)",
        "Microsoft.Dynamics.CRM.NextXMonths(PropertyName='new_day',PropertyValue=99999)",
        "Microsoft.Dynamics.CRM.On(PropertyName='new_day',PropertyValue='x')", "PropertyName=", "$it", "%", "*", " ", "é",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join)
WORLD = world_of({1: {"new_name": "a", "new_count": 1, "new_day": "2026-03-01"}, 2: {}})


@settings(max_examples=400, deadline=None)
@given(TEXTS)
@example("new_name eq @p")
@example("new_count eq 99999999999999999999")
@example("new_count eq " + "9" * 5000)
@example("new_count eq 1e40099999999999999999999")
@example("new_kinds eq '--1,²'")
@example("new_ParentId/" * 3000 + "new_name eq 'a'")
@example("new_thing_children/any(c:" * 400 + "true" + ")" * 400)
@example("contains(new_name,'" + "%a" * 1000 + "')")
@example("contains(new_name,'" + "a" * 5000 + "')")
@example("not " * 5000 + "new_flag")
@example("Microsoft.Dynamics.CRM.In(PropertyName='new_big',PropertyValues=['99999999999999999999'])")
@example("Microsoft.Dynamics.CRM.ContainValues(PropertyName='new_kinds',PropertyValues=['--1','²'])")
@example(f"Microsoft.Dynamics.CRM.LastXDays(PropertyName='new_day',PropertyValue='{'9' * 5000}')")
def test_any_filter_is_answered_or_refused(text: str) -> None:
    """No text makes the parser, the compiler, SQLite or the evaluator fail with another error."""
    with suppress(ServiceError):
        expression = parse_filter(text, {"@p": "@p"})
        with suppress(ServiceError):
            matches(expression, {"new_name": "a", "new_count": 1})
        condition = WORLD.compiler().filter(expression, TABLE)
        statement = f'SELECT count(*) FROM "new_thing" WHERE {condition.text}'
        WORLD.database.connection.execute(statement, condition.parameters).fetchone()


@settings(max_examples=200, deadline=None)
@example("createdby($expand=" * 2000, "$expand")
@example("new_ParentId/$ref", "$expand")
@example("new_ParentId($top=1)", "$expand")
@example("x", "")
@example("[" * 2000, "@p")
@example("9" * 5000, "$top")
@example("²", "$top")
@given(TEXTS, st.sampled_from(["$filter", "$select", "$orderby", "$expand", "$top", "$count", "$skip", "@p", "x", ""]))
def test_any_query_string_is_answered_or_refused(text: str, name: str) -> None:
    """The same for the query string around the filter."""
    with suppress(ServiceError):
        query = check_query(parse_query(f"{name}={text}"), TABLE, SCHEMA)
        WORLD.compiler().order(query.order, TABLE)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_path_is_answered_or_refused(text: str) -> None:
    """The same for paths, and for the references that bodies hold."""
    for path in (text, f"new_things({text})", f"new_things(new_code={text})", "f(a=@p,b=@q)", f"{text}/" * 150):
        with suppress(ServiceError):
            for segment in parse_path(path, {"@p": text, "@q": f"[{text}]"}):
                if segment.arguments is not None:
                    resolve_key(segment.arguments, TABLE)
        with suppress(ServiceError):
            row_reference(path, SCHEMA)


KEY_TEXTS = st.text(st.characters(exclude_characters="<>*%&:\\?+/", exclude_categories=("Cs", "Cc")), min_size=1)


@given(KEY_TEXTS)
@example('O\'Brian, (x=1) "y" #;@')
def test_a_key_is_unchanged_by_a_url(text: str) -> None:
    """Every key that the service allows arrives unchanged."""
    raw = quote(f"new_things(new_code='{text.replace(chr(39), chr(39) * 2)}')")
    arguments = parse_path(raw)[0].arguments
    assert arguments is not None
    expected = RowKey(key=TABLE.keys[0], values={"new_code": text})
    assert resolve_key(arguments, TABLE) == expected
    assert row_reference(f"/{raw}", SCHEMA) == (TABLE, expected)


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    """The folded form of a folded text is the same, with and without trailing spaces."""
    once = COLLATION.normalise(text)
    assert COLLATION.normalise(once) == once
    assert COLLATION.normalise(text + "  ") == once
    assert COLLATION.fold(text).rstrip(" ") == once


@given(st.text(alphabet="aAäÄéßẞİıſﬁ²™ ", max_size=5))
def test_case_does_not_matter(text: str) -> None:
    """Upper and lower case of a text are the same text."""
    assert COLLATION.normalise(text.lower()) == COLLATION.normalise(text.lower().lower())
    assert COLLATION.normalise(text) == COLLATION.normalise(text.swapcase()) or "İ" in text or "ı" in text
