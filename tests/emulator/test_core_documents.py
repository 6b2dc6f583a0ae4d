"""Requests as Microsoft's documents and clients write them, and the answers to those that are not supported."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from emulator.environment import Environment
from emulator.messages import Request
from emulator.schema.loader import builtin_schema
from emulator.service import Service
from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, error, made, whole_error

ENTRA = "11111111-2222-4333-8444-555555555555"
RESERVED = "/<>*%&:\\?+#"
ACTIONS = """
actions:
  new_Sum: {function: true, parameters: {p: {type: Collection(Edm.String)}, q: {type: mscrm.account}}, response: {Total: 1}}
  new_Kinds:
    function: true
    parameters:
      n: {type: Edm.Double}
      i: {type: Edm.Int32}
      d: {type: Edm.Date}
      m: {type: Edm.DateTimeOffset}
      b: {type: Edm.Boolean}
      s: {type: Edm.String}
      g: {type: Edm.Guid}
      e: {type: mscrm.SomeEnum}
    response: {}
  new_Send:
    parameters:
      Depth: {type: Edm.Int32}
      When: {type: Edm.DateTimeOffset}
      Rate: {type: Edm.Decimal}
      Flag: {type: Edm.Boolean}
      Id: {type: Edm.Guid}
      Text: {type: Edm.String}
      Tags: {type: Collection(Edm.String)}
      Row: {type: mscrm.account}
      Rows: {type: Collection(mscrm.crmbaseentity)}
      Kind: {type: mscrm.SomeEnum}
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    file = tmp_path_factory.mktemp("schema") / "actions.yaml"
    file.write_text(ACTIONS, encoding="utf-8")
    with running(in_thread=True, limits="none", schema=[file]) as emulator:
        yield emulator


# Queries


def test_a_comma_at_the_end_of_select_is_ignored(client: Client) -> None:
    """The columns before it are read."""
    made(client, "accounts", name="A")
    assert client.send("GET", "accounts?$select=name,").json()["value"][0]["name"] == "A"
    assert client.send("GET", "accounts?$select=").status_code == 400


@pytest.mark.parametrize("query", ["=x", "&", "&=&$top=1"])
def test_an_option_without_a_name_is_ignored(client: Client, query: str) -> None:
    """It cannot be refused by its name."""
    assert client.send("GET", f"accounts?{query}").status_code == 200


def test_a_filter_within_expand_knows_the_callers_business_unit(client: Client) -> None:
    """`EqualBusinessId` compares with the unit of the user that sent the request, as in a filter outside."""
    account = made(client, "accounts", name="A")
    made(client, "contacts", lastname="L", **{"parentcustomerid_account@odata.bind": f"accounts({account})"})
    function = "Microsoft.Dynamics.CRM.EqualBusinessId(PropertyName='owningbusinessunit')"
    answer = client.send("GET", f"accounts?$expand=contact_customer_accounts($filter={function};$select=lastname)")
    assert [row["lastname"] for row in answer.json()["value"][0]["contact_customer_accounts"]] == ["L"]


def test_expand_with_ref_gives_addresses(client: Client) -> None:
    """On a lookup; the documented refusal comes for a collection."""
    contact = made(client, "contacts", lastname="L")
    account = made(client, "accounts", name="A", **{"primarycontactid@odata.bind": f"contacts({contact})"})
    made(client, "accounts", name="B")
    answer = client.send("GET", "accounts?$select=name&$orderby=name&$expand=primarycontactid/$ref").json()
    first, second = answer["value"]
    assert first["primarycontactid"] == {"@odata.id": f"{client.base}/api/data/v9.2/contacts({contact})"}
    assert second["primarycontactid"] is None
    assert answer["@odata.context"].endswith("#accounts(name,primarycontactid,primarycontactid/$ref())")
    assert (first["_primarycontactid_value"], second["_primarycontactid_value"]) == (contact, None)
    one = client.send("GET", f"accounts({account})?$select=name&$expand=primarycontactid/$ref").json()
    assert one["primarycontactid"] == first["primarycontactid"]
    refused = client.send("GET", "accounts?$expand=contact_customer_accounts/$ref")
    message = "Expand with $ref is only supported on lookup type navigation property."
    assert whole_error(refused) == (400, "0x80060888", message)


@pytest.mark.parametrize(
    "expand",
    [
        "createdby($count=true)", "createdby($levels=2)", "createdby($search=x)", "createdby($skip=1)", "createdby(x=1)",
        "createdby($select=fullname;)", "primarycontactid($expand=Contact_Tasks($top=1))",
        "primarycontactid($expand=Contact_Tasks($orderby=subject))",
    ],
)  # fmt: skip
def test_options_that_expand_does_not_take_are_refused(client: Client, expand: str) -> None:
    """The join-tables page names those it takes, and which of them not in a nested expand."""
    assert client.send("GET", f"accounts?$expand={expand}").status_code == 400


def test_amounts_are_answered_with_their_currency(client: Client) -> None:
    """A query that selects an amount also gets the currency, in lists, single rows and related ones."""
    account = made(client, "accounts", name="A", revenue=5)
    row = client.send("GET", "accounts?$select=revenue").json()["value"][0]
    assert row["_transactioncurrencyid_value"]
    assert client.send("GET", f"accounts({account})?$select=revenue").json()["_transactioncurrencyid_value"]
    assert "_transactioncurrencyid_value" not in client.send("GET", "accounts?$select=name").json()["value"][0]


@pytest.mark.parametrize(
    ("function", "found"),
    [
        ("Last7Days(PropertyName='overriddencreatedon')", True),
        ("LastXHours(PropertyName='overriddencreatedon',PropertyValue=1)", True),
        ("LastXDays(PropertyName='overriddencreatedon',PropertyValue=1)", True),
        ("LastXMonths(PropertyName='overriddencreatedon',PropertyValue=1)", True),
        ("NextXHours(PropertyName='overriddencreatedon',PropertyValue=1)", True),
        ("Next7Days(PropertyName='overriddencreatedon')", True),
        ("OlderThanXMinutes(PropertyName='overriddencreatedon',PropertyValue=1)", False),
    ],
)
def test_the_current_second_is_in_the_last_and_next_hours(function: str, found: bool) -> None:  # noqa: FBT001 - a column of the table
    """A row of this second is in both, at any fraction of the second."""
    moments = [datetime(2026, 3, 1, 12, tzinfo=UTC)]
    environment = Environment(builtin_schema(), clock=lambda: moments[0])
    service = Service(environment)
    work = service.changes.of(environment.schema.tables["account"])
    work.create([work.bodies.created({"name": "A"})], environment.system)
    for fraction in (0, 1, 999_999):
        moments[0] = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(microseconds=fraction)
        query = f"$filter=Microsoft.Dynamics.CRM.{function}".replace("overriddencreatedon", "createdon")
        request = Request(
            method="GET", path="accounts", query=query, headers={}, body=b"", root="/", caller=environment.system
        )
        assert (b'"A"' in service.plan(request).act().body) is found


# Rows


def test_a_moment_without_an_offset_is_utc(client: Client) -> None:
    """Microsoft's SDK and pages write such values."""
    task = made(client, "tasks", subject="T", scheduledend="2026-03-01T10:30:00")
    assert client.send("GET", f"tasks({task})").json()["scheduledend"] == "2026-03-01T10:30:00Z"


@pytest.mark.parametrize("char", ["\0", "\x0b", "\x1f", "\ufffe"])
def test_characters_that_xml_does_not_allow_are_refused(client: Client, char: str) -> None:
    """With the name of the field, in every place: body, bulk message, and the key of a new row."""
    refused = (400, "0x80040278", "The field 'name' contains one or more invalid characters.")
    assert whole_error(client.send("POST", "accounts", {"name": f"a{char}b"})) == refused
    target = {"@odata.type": "Microsoft.Dynamics.CRM.account", "name": f"a{char}b"}
    bulk = "accounts/Microsoft.Dynamics.CRM.CreateMultiple"
    assert whole_error(client.send("POST", bulk, {"Targets": [target]})) == refused
    keyed = {
        "@odata.type": "Microsoft.Dynamics.CRM.account", "@odata.id": f"accounts(accountnumber='a{char}b')", "name": "A",
    }  # fmt: skip
    answer = client.send("POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": [keyed]})
    assert whole_error(answer)[1] == "0x80040278"
    assert client.send("POST", "accounts", {"name": "tab\tline\r\nend é 😀"}).status_code == 204


def test_a_key_of_a_new_row_must_fit_its_column(client: Client) -> None:
    """A key value in an address that is longer than the column is refused as it is in a body."""
    answer = client.send("PATCH", f"accounts(accountnumber='{'x' * 200}')", {"name": "A"})
    assert whole_error(answer)[1] == "0x80044331"


@pytest.mark.parametrize("char", RESERVED)
@pytest.mark.parametrize("encoded", [True, False])
def test_references_in_bodies_accept_any_key_value(client: Client, char: str, encoded: bool) -> None:  # noqa: FBT001 - both ways
    """Binds and `@odata.id` find a row by a value that is not allowed in a URL, percent-encoded or not."""
    number = f"A{char}1{char}"
    written = quote(number, safe="") if encoded else number
    account = made(client, "accounts", name="A", accountnumber=number)
    contact = made(
        client, "contacts", lastname="L", **{"parentcustomerid_account@odata.bind": f"/accounts(accountnumber='{written}')"}
    )  # fmt: skip
    assert client.send("GET", f"contacts({contact})").json()["_parentcustomerid_value"] == account
    target = {
        "@odata.type": "Microsoft.Dynamics.CRM.account", "@odata.id": f"accounts(accountnumber='{written}')", "name": "B",
    }  # fmt: skip
    answer = client.send("POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": [target]})
    assert answer.status_code == 204
    assert client.names() == ["B"]


@pytest.mark.parametrize("address", [5, None, True, [], {}, ["accounts(x)"]])
def test_an_id_that_is_no_text_is_refused(client: Client, address: Any) -> None:
    """In bulk messages (where null is ignored) and in references."""
    target = {"@odata.type": "Microsoft.Dynamics.CRM.account", "@odata.id": address, "name": "A"}
    answer = client.send("POST", "accounts/Microsoft.Dynamics.CRM.UpsertMultiple", {"Targets": [target]})
    assert answer.status_code == (204 if address is None else 400)
    account = made(client, "accounts", name="A")
    for path in ("primarycontactid/$ref", "contact_customer_accounts/$ref"):
        assert client.send("POST", f"accounts({account})/{path}", {"@odata.id": address}).status_code in {204, 400, 404}


def test_a_contact_has_its_account(client: Client) -> None:
    """`accountid` and `parentcontactid` follow from the company name."""
    account, parent = made(client, "accounts", name="A"), made(client, "contacts", lastname="P")
    contact = made(client, "contacts", lastname="L", **{"parentcustomerid_account@odata.bind": f"accounts({account})"})
    path = f"contacts({contact})?$select=_accountid_value,_parentcontactid_value"

    def both() -> tuple[str | None, str | None]:
        row = client.send("GET", path).json()
        return row["_accountid_value"], row["_parentcontactid_value"]

    assert both() == (account, None)
    bound = {"parentcustomerid_contact@odata.bind": f"contacts({parent})"}
    assert client.send("PATCH", f"contacts({contact})", bound).status_code == 204
    assert both() == (None, parent)
    assert client.send("DELETE", f"contacts({contact})/parentcustomerid_contact/$ref").status_code == 204
    assert both() == (None, None)


def test_a_business_unit_has_a_flag_for_disabled(client: Client) -> None:
    """The root one is not."""
    assert [row["isdisabled"] for row in client.send("GET", "businessunits?$select=isdisabled").json()["value"]] == [
        False
    ]


# Paths behind a row


def test_a_row_is_made_within_a_collection(client: Client) -> None:
    """`POST` to a collection-valued navigation property creates a row that refers to the parent."""
    account = made(client, "accounts", name="A")
    contact = made(client, f"accounts({account})/contact_customer_accounts", lastname="L")
    assert client.send("GET", f"contacts({contact})").json()["_parentcustomerid_value"] == account
    answer = client.send(
        "POST", f"accounts({account})/contact_customer_accounts?$select=lastname", {"lastname": "M"},
        Prefer="return=representation",
    )  # fmt: skip
    assert (answer.status_code, answer.json()["lastname"]) == (201, "M")


def test_a_key_after_a_collection_addresses_one_of_its_rows(client: Client) -> None:
    """It can be read, changed, followed and deleted there; a row of another parent is not found."""
    account, other = made(client, "accounts", name="A"), made(client, "accounts", name="B")
    contact = made(client, f"accounts({account})/contact_customer_accounts", lastname="L")
    within = f"accounts({account})/contact_customer_accounts({contact})"
    assert client.send("GET", f"{within}?$select=lastname").json()["lastname"] == "L"
    assert client.send("GET", f"{within}/lastname").json()["value"] == "L"
    assert client.send("GET", f"{within}/parentcustomerid_account/name").json()["value"] == "A"
    reference = client.send("GET", f"{within}/$ref").json()["@odata.id"]
    assert reference.endswith(f"/contacts({contact})")
    assert client.send("GET", f"accounts({other})/contact_customer_accounts({contact})").status_code == 404
    assert client.send("PATCH", within, {"lastname": "M"}).status_code == 204
    assert client.send("DELETE", f"{within}/$ref").status_code == 204
    assert client.send("GET", within).status_code == 404
    assert client.send("GET", f"contacts({contact})").json()["lastname"] == "M"


# Functions


@pytest.mark.parametrize(
    "query",
    [
        '@p0=["a"]&@p1={"@odata.id":"accounts(x)"}', "@p0=['a','O''Brian']&@p1={'@odata.id':'accounts(x)'}",
        "@p0=[]&@p1={}", "@p0=%5B%22a%22%5D&@p1=%7B%7D",
    ],
)  # fmt: skip
def test_aliases_accept_lists_and_references(client: Client, emulator: RunningEmulator, query: str) -> None:
    """With double quotes as in JSON, or with single quotes as on Microsoft's pages."""
    answer = client.send("GET", f"new_Sum(p=@p0,q=@p1)?{query}")
    assert answer.json()["Total"] == 1
    call = emulator.calls()[-1]["parameters"]
    assert isinstance(call["p"], list)
    assert isinstance(call["q"], dict)


def test_every_kind_of_literal_is_recorded(client: Client, emulator: RunningEmulator) -> None:
    """The list of calls has numbers, dates and booleans as JSON has them."""
    given = "n=1.5,i=1,d=2026-01-01,m=@m,b=true,s='a',g=null,e='Yes'"
    assert client.send("GET", f"new_Kinds({given})?@m=2026-01-01T10:00:00Z").status_code == 200
    assert emulator.calls()[-1]["parameters"] == {
        "n": 1.5, "i": 1, "d": "2026-01-01", "m": "2026-01-01T10:00:00+00:00", "b": True, "s": "a", "g": None, "e": "Yes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "literal", "kind"),
    [
        ("i='1'", "'1'", "Edm.Int32"), ("i=1.0", "1.0", "Edm.Int32"), ("i=3000000000", "3000000000", "Edm.Int32"),
        ("s=1", "1", "Edm.String"), ("b=1", "1", "Edm.Boolean"), ("d='2026-01-01'", "'2026-01-01'", "Edm.Date"),
        ("g='a'", "'a'", "Edm.Guid"), ("m=true", "true", "Edm.DateTimeOffset"),
    ],
)  # fmt: skip
def test_a_function_takes_literals_of_the_types_that_it_declares(
    client: Client, emulator: RunningEmulator, given: str, literal: str, kind: str
) -> None:
    """Others are refused, and the call is not recorded."""
    calls = len(emulator.calls())
    message = f"Cannot convert the literal '{literal}' to the expected type '{kind}'."
    assert whole_error(client.send("GET", f"new_Kinds({given})")) == (400, "0x80060888", message)
    assert len(emulator.calls()) == calls


@pytest.mark.parametrize(
    ("name", "values", "others"),
    [
        ("Depth", [1, "200", None], ["a", [1], {}, 1.5, True, 2**31]),
        ("When", ["2024-01-01T00:00:00Z", "0001-01-01T00:00:00Z"], ["yesterday", 5, []]),
        ("Rate", [1.5, 2], ["1.5", True]),
        ("Flag", [True, "false"], ["yes", 1]),
        ("Id", ["00000000-0000-0000-0000-000000000001"], ["1", 1]),
        ("Text", ["", "x"], [1, ["x"], {}]),
        ("Tags", [[], ["x", None]], ["x", {}, [1], [["x"]]]),
        ("Row", [{"name": "A"}], ["accounts(1)", [], 1]),
        ("Rows", [[{"name": "A"}]], [{"name": "A"}, ["x"]]),
        ("Kind", ["Yes", 1, []], []),
    ],
)
def test_an_action_takes_values_of_the_types_that_it_declares(
    client: Client, emulator: RunningEmulator, name: str, values: list[Any], others: list[Any]
) -> None:
    """They are read as those of columns; a refused call is not recorded."""
    calls = len(emulator.calls())
    answers = [client.send("POST", "new_Send", {name: value}).status_code for value in values]
    assert answers == [204] * len(values)
    refused = [whole_error(client.send("POST", "new_Send", {name: other})) for other in others]
    assert [(status, code) for status, code, _ in refused] == [(400, "0x80048d19")] * len(others)
    assert len(emulator.calls()) == calls + len(values)


def test_the_parameters_of_a_custom_api_have_the_types_of_its_rows(client: Client, emulator: RunningEmulator) -> None:
    """Type 7 is a whole number."""
    api = made(client, "customapis", uniquename="new_Api", name="Api")
    row = {"uniquename": "Depth", "name": "Depth", "type": 7, "CustomAPIId@odata.bind": f"/customapis({api})"}
    made(client, "customapirequestparameters", **row)
    status, code, message = whole_error(client.send("POST", "new_Api", {"Depth": "a"}))
    assert (status, code) == (400, "0x80048d19")
    assert message.endswith("Cannot convert the literal 'a' to the expected type 'Edm.Int32'.")
    assert client.send("POST", "new_Api", {"Depth": 1}).status_code == 204
    assert [call["parameters"] for call in emulator.calls()][-1] == {"Depth": 1}


@pytest.mark.parametrize(
    "query", ["@p0=[", "@p0=" + "[" * 500 + "]" * 500, "@p0=@p0", "@p0=%20@p0", "@p0={'a", "@p0=[a]"]
)
def test_aliases_without_a_value_are_refused(client: Client, query: str) -> None:
    """Incomplete JSON, deep JSON, and an alias of itself."""
    assert client.send("GET", f"new_Sum(p=@p0)?{query}").status_code == 400
    assert client.send("GET", f"accounts?$filter=name eq @p0&{query}").status_code == 400
    inner = "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=@p0)"
    assert client.send("GET", f"accounts?$filter={inner}&{query}").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "WhoAmI"), ("POST", "new_Sum"), ("GET", "BulkDelete"),
        ("GET", "accounts/Microsoft.Dynamics.CRM.CreateMultiple"),
    ],
)  # fmt: skip
def test_functions_and_actions_have_one_method(client: Client, method: str, path: str) -> None:
    """With another method the resource does not exist (web-api-client-errors)."""
    status, code, message = whole_error(client.send(method, path, {} if method == "POST" else None))
    assert (status, code) == (404, "")
    assert message == f"No HTTP resource was found that matches the request URI '{client.base}/api/data/v9.2/{path}'."


# Impersonation


@pytest.mark.parametrize(("header", "by_entra"), [("CallerObjectId", True), ("MSCRMCallerID", False)])
def test_a_request_acts_for_another_user(client: Client, header: str, by_entra: bool) -> None:  # noqa: FBT001 - a column
    """That user creates and owns the row, and the caller is stored as acting on behalf of the user."""
    caller = client.send("GET", "WhoAmI").json()["UserId"]
    user = made(client, "systemusers", firstname="Jo", azureactivedirectoryobjectid=ENTRA)
    named = {header: ENTRA if by_entra else user}
    assert client.send("GET", "WhoAmI", **named).json()["UserId"] == user
    answer = client.send("POST", "accounts", {"name": "A"}, **named)
    path = f"accounts({answer.headers['OData-EntityId'][-37:-1]})"
    row = client.send("GET", path).json()
    makers = [row[f"_{name}_value"] for name in ("createdby", "modifiedby", "ownerid", "owninguser")]
    assert makers == [user] * 4
    assert row["_createdonbehalfby_value"] == row["_modifiedonbehalfby_value"] == caller
    client.send("PATCH", path, {"name": "B"})
    row = client.send("GET", path).json()
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (caller, None)
    assert row["_createdonbehalfby_value"] == caller


def test_users_that_cannot_be_impersonated(client: Client) -> None:
    """Unknown and disabled users, and values that are no identifier, are refused, and nothing is written."""
    disabled = made(client, "systemusers", firstname="Jo", isdisabled=True)
    refused = [
        ({"CallerObjectId": ENTRA}, 403, "0x80072560"),
        ({"MSCRMCallerID": ENTRA}, 404, "0x80040217"),
        ({"MSCRMCallerID": disabled}, 403, "0x80040225"),
        ({"CallerObjectId": "Jo"}, 400, "0x80048d19"),
    ]
    for headers, status, code in refused:
        assert whole_error(client.send("POST", "accounts", {"name": "A"}, **headers))[:2] == (status, code)
    assert client.names() == []


def test_a_disabled_application_user_is_refused_until_it_is_enabled() -> None:
    """Whoever it acts for; another application user goes on."""
    with running(in_thread=True, client_id=["one", "two"], limits="none") as emulator, Client(emulator) as client:
        other = {"Authorization": f"Bearer {emulator.token('two')}"}
        me = f"systemusers({client.send('GET', 'WhoAmI').json()['UserId']})"
        user = made(client, "systemusers", firstname="Jo")
        assert client.send("PATCH", me, {"isdisabled": True}).status_code == 204
        assert error(client.send("POST", "accounts", {"name": "A"})) == (403, "0x80040225")
        assert error(client.send("GET", "accounts", MSCRMCallerID=user)) == (403, "0x80040225")
        assert client.send("POST", "accounts", {"name": "B"}, **other).status_code == 204
        assert client.send("PATCH", me, {"isdisabled": False}, **other).status_code == 204
        assert client.names() == ["B"]


# Metadata


def test_definitions_are_counted(client: Client) -> None:
    """By `/$count`, with and without a filter."""
    listed = client.send("GET", "EntityDefinitions?$select=LogicalName").json()
    assert client.send("GET", "EntityDefinitions/$count").content.decode("utf-8-sig") == str(len(listed["value"]))
    one = "LogicalName eq 'account'"
    assert client.send("GET", f"EntityDefinitions/$count?$filter={one}").content.decode("utf-8-sig") == "1"
    columns = client.send("GET", "EntityDefinitions(LogicalName='team')/Attributes?$select=LogicalName").json()["value"]
    assert client.send("GET", "EntityDefinitions(LogicalName='team')/Attributes/$count").content.decode(
        "utf-8-sig"
    ) == str(len(columns))


def test_definitions_have_the_documented_properties(client: Client) -> None:
    """Those that clients select besides the usual ones."""
    names = "IconVectorName,IsAuditEnabled,IsValidForQueue,HasFeedback,EntityColor,DataSourceId,IsRenameable"
    answer = client.send("GET", f"EntityDefinitions(LogicalName='account')?$select={names}").json()
    assert set(names.split(",")) <= answer.keys()


@pytest.mark.parametrize(
    "name",
    ["", "Foo", "new_", "n_Foo", "1ew_Foo", "mscrm_Foo", "toolongone_Foo", "new_a b", "new_Fo\u00f6", None, 1, {}],
)
def test_a_new_name_needs_the_prefix_of_a_publisher(client: Client, name: Any) -> None:
    """Tables and columns that the service could not make would work here and fail there."""
    column = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": name}
    primary = {**column, "SchemaName": "new_Name", "IsPrimaryName": True}
    before = client.send("GET", "EntityDefinitions/$count").content
    for path, body in (
        ("EntityDefinitions", {"SchemaName": name, "Attributes": [primary]}),
        ("EntityDefinitions(LogicalName='account')/Attributes", column),
        ("EntityDefinitions(LogicalName='account')/Keys", {"SchemaName": name, "KeyAttributes": ["telephone1"]}),
    ):
        status, code, _ = whole_error(client.send("POST", path, body))
        assert (status, code) == (400, "0x80040203")
    assert client.send("GET", "EntityDefinitions/$count").content == before


@pytest.mark.parametrize("limit", [{"a": 1}, "100", True, [1], 0, -5])
def test_a_limit_of_a_new_column_is_a_number(client: Client, limit: Any) -> None:
    """Otherwise each later request about the column would fail."""
    column = {
        "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
        "SchemaName": "new_Y",
        "MaxLength": limit,
    }
    assert client.send("POST", "EntityDefinitions(LogicalName='account')/Attributes", column).status_code == 400
    assert client.send("GET", "EntityDefinitions(LogicalName='account')/Attributes/$count").status_code == 200
    assert client.send("POST", "accounts", {"name": "a"}).status_code == 204


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("EntityDefinitions", {"SchemaName": "new_X", "Attributes": [{"SchemaName": "new_Y", "AttributeType": "Foo"}]}),
        ("EntityDefinitions", {"SchemaName": "new_X", "Attributes": [{}]}),
        ("EntityDefinitions", {"SchemaName": "new_X", "Attributes": [1]}),
        ("EntityDefinitions(LogicalName='account')/Keys", {"SchemaName": "x"}),
        ("EntityDefinitions(LogicalName='account')/Attributes", {"SchemaName": "new_Y", "AttributeType": "Lookup"}),
        ("RelationshipDefinitions", {"Lookup": 1, "ReferencingEntity": "account", "ReferencedEntity": "contact"}),
        ("CreateEntities", {"Entities": [1]}),
        ("BulkDelete", {"QuerySet": [1]}),
        ("BulkDelete", {"QuerySet": [{"EntityName": "account", "Criteria": {"Conditions": [1]}}]}),
    ],
)
def test_refusals_use_no_internal_names(client: Client, path: str, body: Any) -> None:
    """The message uses the names of the request."""
    status, _, message = whole_error(client.send("POST", path, body))
    assert status == 400
    for word in ("SchemaFileError", "KeyError", "TypeError", "AttributeError", "object has no", "NoneType", "Error("):
        assert word not in message


# What is not emulated


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("GET", "contracts", "table 'contracts'"),
        ("POST", "campaigns", "table 'campaigns'"),
        ("GET", "connections(00000000-0000-0000-0000-000000000001)", "table 'connections'"),
        ("GET", "RetrieveTimestamp()", "function 'RetrieveTimestamp'"),
        ("POST", "PublishAllXml", "action 'PublishAllXml'"),
        ("POST", "QualifyLead", "action 'QualifyLead'"),
        ("POST", "accounts(00000000-0000-0000-0000-000000000001)/Microsoft.Dynamics.CRM.Merge", "action 'Merge'"),
        ("GET", "accounts?sql=select name from account", "query option 'sql'"),
        ("GET", "accounts(00000000-0000-0000-0000-000000000001)?userQuery=1", "query option 'userQuery'"),
        ("GET", "accounts/$count?fetchXml=x", "query option 'fetchXml'"),
        ("GET", "accounts(00000000-0000-0000-0000-000000000001)/listaccount_association", "listaccount_association"),
        ("PUT", "EntityDefinitions(LogicalName='account')", "PUT of 'EntityDefinitions'"),
        ("POST", "GlobalOptionSetDefinitions", "POST of 'GlobalOptionSetDefinitions'"),
    ],
)
def test_what_is_not_emulated_is_named(client: Client, method: str, path: str, named: str) -> None:
    """501 with one sentence, for paths, functions, actions, tables and options of the documented service."""
    status, _, message = whole_error(client.send(method, path, {} if method != "GET" else None))
    assert (status, message.count("."), named in message) == (501, 1 + named.count("."), True)


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/search/v2.0/query", "Dataverse search"),
        ("/api/search/v1.0/suggest", "Dataverse search"),
        ("/XRMServices/2011/Organization.svc/web", "Organization service"),
    ],
)
def test_other_apis_of_the_environment_are_not_emulated(client: Client, path: str, named: str) -> None:
    """Of their addresses only unknown ones do not exist."""
    answer = client.session.post(f"{client.base}{path}", json={}, headers=client.headers, timeout=60)
    status, _, message = whole_error(answer)
    assert (status, named in message) == (501, True)
    assert client.session.get(f"{client.base}/api/other", headers=client.headers, timeout=60).status_code == 404


def test_the_root_of_the_service_needs_no_slash(client: Client) -> None:
    """Both are the service document, with the same address."""
    with_slash = client.send("GET", "").json()
    root = f"{client.base}/api/data/v9.2"
    assert client.session.get(root, headers=client.headers, timeout=60).json() == with_slash
    assert with_slash["@odata.context"] == f"{root}/$metadata"
    assert client.session.get(f"{root}5", headers=client.headers, timeout=60).status_code == 404


def test_the_version_is_told(client: Client) -> None:
    """RetrieveVersion function: a text; it is also in the metadata."""
    answer = client.send("GET", "RetrieveVersion").json()
    assert answer["@odata.context"].endswith("#Microsoft.Dynamics.CRM.RetrieveVersionResponse")
    assert re.fullmatch(r"9\.2(\.[0-9]+){2}", answer["Version"])
    assert b'FunctionImport Name="RetrieveVersion"' in client.send("GET", "$metadata").content


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("MSCRM.SuppressDuplicateDetection", "false", 501),
        ("MSCRM.SuppressDuplicateDetection", "true", 204),
        ("MSCRM.SolutionUniqueName", "Mine", 501),
        ("AutoDisassociate", "true", 501),
        ("x-ms-transfer-mode", "chunked", 501),
        ("MSCRM.BypassCustomPluginExecution", "true", 204),
        ("MSCRM.SuppressCallbackRegistrationExpanderJob", "true", 204),
        ("Consistency", "Strong", 204),
    ],
)
def test_headers_take_effect_or_are_refused(client: Client, header: str, value: str, status: int) -> None:
    """A header that would change the result is not ignored; a header that skips plug-ins has nothing to skip."""
    answer = client.send("POST", "accounts", {"name": "A"}, **{header: value})
    assert answer.status_code == status
    if status == 501:
        assert header in answer.json()["error"]["message"]
        assert client.names() == []


@pytest.mark.parametrize(
    "body",
    [
        {"primarycontactid": {"lastname": "L"}},
        {"contact_customer_accounts": [{"lastname": "L"}]},
        {"contact_customer_accounts@odata.bind": ["contacts(00000000-0000-0000-0000-000000000001)"]},
    ],
)
def test_a_deep_update_is_refused_as_a_deep_update(client: Client, body: Any) -> None:
    """Related rows can be created only with a new row; in an update they are not reported as undeclared properties."""
    account = made(client, "accounts", name="A")
    status, _, message = whole_error(client.send("PATCH", f"accounts({account})", body))
    assert status == 501
    assert "deep insert" in message


def test_names_that_are_not_documented_are_not_found(client: Client) -> None:
    """A misspelled name gives 404, as in the service."""
    for path in ("Account", "incidentss", "RetrieveVersions()", "accounts/Microsoft.Dynamics.CRM.Foo"):
        assert client.send("GET", path).status_code == 404


def test_the_list_names_nothing_that_is_emulated() -> None:
    """No built-in table and no operation of the emulator is in the list."""
    environment = Environment(builtin_schema())
    service = Service(environment)
    for path in ("WhoAmI", *(table.entity_set for table in environment.schema.tables.values())):
        request = Request(
            method="GET", path=path, query="$top=1" if path != "WhoAmI" else "", headers={}, body=b"", root="/",
            caller=environment.system,
        )  # fmt: skip
        assert service.plan(request).act().status == 200


def test_a_column_keeps_its_type(client: Client) -> None:
    """Its values would not be of the new one; its other properties change."""
    path = "EntityDefinitions(LogicalName='account')/Attributes"
    column = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "new_Kept", "MaxLength": 9}
    assert client.send("POST", path, column).status_code == 204
    client.send("POST", "accounts", {"new_kept": "007"})
    named = f"{path}(LogicalName='new_kept')"
    other = {**column, "@odata.type": "Microsoft.Dynamics.CRM.IntegerAttributeMetadata"}
    status, code, message = whole_error(client.send("PUT", named, other))
    assert (status, code, "String" in message) == (400, "0x80040203", True)
    assert client.send("PUT", named, {**column, "MaxLength": 20}).status_code == 204
    assert client.send("GET", "accounts?$select=new_kept").json()["value"][0]["new_kept"] == "007"
    assert client.send("DELETE", named).status_code == 204
