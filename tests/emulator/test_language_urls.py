"""Paths, keys and query options: what a URL addresses, and how an invalid one is refused."""

import pytest

from emulator.errors import ODataError, ServiceError
from emulator.odata import (
    Expand,
    RowKey,
    check_query,
    parse_path,
    parse_query,
    parse_reference,
    resolve_key,
    row_reference,
)
from emulator.odata.evaluate import matches
from emulator.odata.parser import parse_filter
from tests.emulator.language_world import SCHEMA, TABLE, guid

CODE_KEY, PAIR_KEY = TABLE.keys


def key_of(path: str) -> RowKey:
    arguments = parse_path(path)[0].arguments
    assert arguments is not None
    return resolve_key(arguments, TABLE)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"new_things({guid(1)})", RowKey(id=guid(1))),
        ("new_things(0000000A-0000-0000-0000-000000000001)", RowKey(id="0000000a-0000-0000-0000-000000000001")),
        (f"new_things(new_thingid={guid(1)})", RowKey(id=guid(1))),
        ("new_things(new_code='A1')", RowKey(key=CODE_KEY, values={"new_code": "A1"})),
        ("new_things(new_code='O''Brian')", RowKey(key=CODE_KEY, values={"new_code": "O'Brian"})),
        ("new_things(new_code='M%C3%BCller%20GmbH')", RowKey(key=CODE_KEY, values={"new_code": "Müller GmbH"})),
        ("new_things(new_code='a,b=(c)')", RowKey(key=CODE_KEY, values={"new_code": "a,b=(c)"})),
        (
            f"new_things(_new_parentid_value={guid(2)},new_big=7)",
            RowKey(key=PAIR_KEY, values={"new_parentid": guid(2), "new_big": 7}),
        ),
    ],
)
def test_rows_are_addressed_by_identifier_and_by_alternate_key(path: str, expected: RowKey) -> None:
    """The primary key with and without its name, alternate keys of one and several columns, lookups by their value."""
    assert key_of(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "new_things('A1')",
        "new_things(7)",
        "new_things(new_name='A1')",
        "new_things(new_big=7)",
        "new_things(new_code=7)",
        "new_things(new_code=null)",
        f"new_things(new_parentid={guid(2)},new_big=7)",
        f"new_things(new_thingid={guid(1)},new_big=7)",
    ],
)
def test_columns_that_are_no_key_are_refused(path: str) -> None:
    """Wrong names, a wrong number of them and wrong types get the documented message."""
    with pytest.raises(ServiceError) as caught:
        key_of(path)
    assert caught.value.status == 400
    assert caught.value.message.startswith(
        "The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.new_thing'."
    )


@pytest.mark.parametrize("char", list("<>*%&:\\?+"))
def test_reserved_characters_in_a_path_are_refused(char: str) -> None:
    """Key values with these characters work in no URL, whatever their encoding is."""
    with pytest.raises(ODataError) as caught:
        parse_path(f"new_things(new_code='A%{ord(char):02X}1')")
    assert caught.value.status == 400
    assert f"({char})" in caught.value.message


def test_a_slash_in_a_key_divides_the_path() -> None:
    """The service reads an encoded slash as a plain one; a reference in a body is not a path and may contain it."""
    with pytest.raises(ODataError) as caught:
        parse_path("new_things(new_code='A%2F1')")
    assert caught.value.status == 404
    assert row_reference("/new_things(new_code='A%2F1')", SCHEMA)[1].values == {"new_code": "A/1"}


@pytest.mark.parametrize(
    "text",
    [
        f"/new_things({guid(1)})",
        f"new_things({guid(1).upper()})",
        f"http://127.0.0.1:5080/api/data/v9.2/new_things({guid(1)})",
        f"/api/data/v9.2/new_things({guid(1)})",
        f"new_things(new_thingid={guid(1)})",
    ],
)
def test_references_may_be_relative_or_whole_urls(text: str) -> None:
    """All forms that are allowed in a body identify the same row."""
    assert row_reference(text, SCHEMA) == (TABLE, RowKey(id=guid(1)))


@pytest.mark.parametrize(
    ("text", "status"),
    [("nothings(1)", 404), ("new_things", 400), (f"new_things({guid(1)})/new_name", 400), ("", 404)],
)
def test_references_to_no_row_are_refused(text: str, status: int) -> None:
    """A reference needs a known set and a key, and nothing after it."""
    with pytest.raises(ServiceError) as caught:
        row_reference(text, SCHEMA)
    assert caught.value.status == status


@pytest.mark.parametrize("path", ["new_things(", "new_things(new_code=", "new_things(a=1,)", "(1)", "a(b c d)"])
def test_a_path_that_is_not_well_formed_is_refused(path: str) -> None:
    """An incomplete key is a mistake and not a table."""
    with pytest.raises(ODataError) as caught:
        parse_path(path)
    assert caught.value.status == 400


def test_a_path_has_segments_with_and_without_parentheses() -> None:
    """Functions have empty ones, navigation properties none; parameter aliases fill keys."""
    names = [(segment.name, segment.arguments is not None) for segment in parse_path("new_things(1)/nav/$ref")]
    assert names == [("new_things", True), ("nav", False), ("$ref", False)]
    assert parse_path("WhoAmI()")[0].arguments is not None
    aliased = parse_path("new_things(new_code=@c)", {"@c": "'A1'"})[0].arguments
    assert aliased is not None
    assert resolve_key(aliased, TABLE).values == {"new_code": "A1"}
    assert [segment.name for segment in parse_reference("$1")] == ["$1"]


def test_query_options_are_read() -> None:
    """Encoding, aliases, nested expands and custom options."""
    query = check_query(
        parse_query(
            "$select=new_name,new_ParentId,_new_parentid_value&$orderby=new_name%20desc,new_count&$top=5&$count=true"
            "&$expand=new_ParentId($select=new_name,new_count;$expand=new_ParentId($select=new_name)),new_thing_children"
            "&$filter=new_name+eq+@n&@n=%27a%26b%27&tag=mine"
        ),
        TABLE,
        SCHEMA,
    )
    assert query.select == ("new_name", "_new_parentid_value")
    assert [(term.operand.path, term.descending) for term in query.order] == [
        (("new_name",), True),
        (("new_count",), False),
    ]
    assert (query.top, query.count, query.custom) == (5, True, {"tag": "mine"})
    parent, children = query.expand
    assert (parent.name, parent.query.select) == ("new_ParentId", ("new_name", "new_count"))
    assert [inner.name for inner in parent.query.expand] == ["new_ParentId"]
    assert isinstance(children, Expand)
    assert children.name == "new_thing_children"
    assert query.filter == parse_filter("new_name eq @n", {"@n": "'a&b'"})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("$skip=5", "Skip Clause is not supported in CRM"),
        ("$top=-1", "Invalid value '-1' for $top query option found."),
        ("$count=yes", "Invalid value 'yes' for $count query option found."),
        ("$select=a&$select=b", "Query option '$select' was specified more than once"),
        ("$sellect=a", "The query parameter $sellect is not supported"),
        ("select=a", "The query parameter select is not supported"),
        ("utm_source=FetchXMLBuilder", "The query parameter utm_source is not supported"),
        ("$select=Name", "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.new_thing'."),
        ("$select=new_name,,new_code", "Term '' is not valid in a $select or $expand expression."),
        ("$expand=new_name", "Property 'new_name' on type 'Microsoft.Dynamics.CRM.new_thing' is not a navigation"),
        ("$expand=Nothing", "Could not find a property named 'Nothing'"),
        ("$expand=new_ParentId($select=Name)", "Could not find a property named 'Name'"),
        ("$orderby=new_name up", "Syntax error at position 8 in 'new_name up'."),
        ("$apply=aggregate(x)", "The query option '$apply' is emulated for whole tables only."),
        ("savedQuery=1", "The query option 'savedQuery' is emulated for whole tables only."),
        ("sql=SELECT name FROM account", "The query option 'sql' is not emulated."),
    ],
)
def test_query_options_the_service_refuses(raw: str, message: str) -> None:
    """Unknown, repeated and unsupported options, and names that the table does not have."""
    with pytest.raises(ServiceError) as caught:
        check_query(parse_query(raw), TABLE, SCHEMA)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LogicalName eq 'ACCOUNT' and IsCustom eq false", True),
        ("not startswith(LogicalName,'acc')", False),
        ("endswith(LogicalName,'t') and contains(LogicalName,'oun')", True),
        ("Code ge 1 and Code lt 1.5", True),
        ("Code gt 'a'", False),
        ("Label/Text eq 'x'", True),
        ("Label/Missing eq null", True),
        ("Microsoft.Dynamics.CRM.In(PropertyName='LogicalName',PropertyValues=['Account'])", True),
        ("Microsoft.Dynamics.CRM.NotIn(PropertyName='Code',PropertyValues=['1'])", False),
        ("Changed ge 2026-01-01T00:00:00Z", True),
        ("IsCustom or Code eq 1", True),
    ],
)
def test_filters_work_on_json_objects_too(text: str, expected: bool) -> None:  # noqa: FBT001 - a parametrised expectation
    """Metadata and the rows of a request are filtered without a table."""
    row = {
        "LogicalName": "account",
        "IsCustom": False,
        "Code": 1,
        "Label": {"Text": "X"},
        "Changed": "2026-03-01T00:00:00Z",
    }
    assert matches(parse_filter(text), row) is expected


def test_a_lambda_needs_a_table() -> None:
    """It is refused for objects."""
    with pytest.raises(ODataError):
        matches(parse_filter("things/any()"), {})
