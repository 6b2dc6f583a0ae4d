"""Random requests: every one is answered, and none with an internal error of the emulator."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest

from emulator.http.app import Application
from emulator.http.options import Options
from emulator.http.server import build_application
from emulator.schema import Schema

ROOT = "/api/data/v9.2/"
GUID = "00000000-0000-0000-0000-00000000000"
REQUESTS = 2500
TABLES = ("account", "account", "account", "contact", "task", "lead", "opportunity", "product", "systemuser", "team")
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 2**64 - 1, 1.5, "9999-12-31T23:59:59-14:00", "2026-W01-1", [[[[]]]], {"@odata.id": 1}, 1e308, "", "a", "x" * 5000, "1, 9", "2026-01-01", "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00+25:00", "0001-01-01T00:00:00Z", f"{GUID}1", [], {}, [1], {"a": 1}, "\0", "é",
    f"/contacts({GUID}1)", "contacts(x=1)", "$1", "/accounts(accountnumber='A')",
)  # fmt: skip
PATHS = (
    "", "({id})", "(accountnumber='{n}')", "({id})/name", "({id})/name/$value", "({id})/primarycontactid/$ref",
    "({id})/primarycontactid", "({id})/contact_customer_accounts", "({id})/contact_customer_accounts/$ref", "/$count",
    "/Microsoft.Dynamics.CRM.UpsertMultiple", "/Microsoft.Dynamics.CRM.CreateMultiple", "()",
    "/Microsoft.Dynamics.CRM.UpdateMultiple", "/Microsoft.Dynamics.CRM.DeleteMultiple", "({id})/ownerid",
    "({id})/parentcustomerid_account/$ref", "({id})/Microsoft.Dynamics.CRM.Foo", "({id})/contact_customer_accounts({id})",
    "({id})/contact_customer_accounts({id})/$ref", "({id})/contact_customer_accounts({id})/lastname", "({id})" + "/primarycontactid" * 150,
    "({id})/Microsoft.Dynamics.CRM.Merge", "({id})/contact_customer_accounts(lastname='x')", "({id})/teammembership_association",
    "({id})/accountleads_association", "({id})/accountleads_association/$ref", "({id})/accountleads_association({id})/$ref",
    "({id})/accountleads_association({id})", "({id})/accountleads_association/$count", "({id})/teammembership_association/$ref",
    "({id})/Microsoft.Dynamics.CRM.AddMembersTeam", "({id})/Microsoft.Dynamics.CRM.RemoveMembersTeam", "({id})/ownerid/$ref",
)  # fmt: skip
QUERIES = (
    "", "$select=name", "$top=0", "$count=true", "$expand=primarycontactid($select=fullname;$expand=createdby)",
    "$expand=contact_customer_accounts($top=1;$filter=lastname eq 'x')", "$orderby=name desc", "$skiptoken=x",
    "$deltatoken=x", "$filter=primarycontactid/fullname eq null", "$expand=ownerid", "tag=x", "$skiptoken=%3Ccookie%3E",
    "=x", "&&=", "$select=name,", "$id=x", f"$id=leads({GUID}1)", "$expand=accountleads_association($top=1)",
    "$expand=ownerid($select=fullname)", "$filter=accountleads_association/any(l:l/subject eq 'x')", "$expand=ownerid/$ref",
    "$expand=primarycontactid/$ref", "$expand=contact_customer_accounts/$ref", "$deltatoken=1!99/99/2020 99:99:99",
    "$deltatoken=99999999999999999999!01/01/2020 00:00:00", "@p=[1]&@q={'a':'b'}", "$filter=name eq @p&@p=%20@p",
    "$filter=contains(name,'%25a%25a%25')", "$expand=" + "createdby($expand=" * 40 + ")" * 40, "$top=%C2%B2",
    "$filter=" + "parentaccountid/" * 40 + "name eq 'x'", "$filter=" + "(" * 300, "$filter=" + "not " * 2000 + "true",
    "$skiptoken=%3Ccookie pagenumber=%2299999999999999999999%22 pagingcookie=%22%22/%3E", "$count=true&$filter=name in (" + "1," * 500,
)  # fmt: skip
OTHERS = (
    "EntityDefinitions", "EntityDefinitions(LogicalName='account')", "EntityDefinitions(LogicalName='account')/Attributes",
    f"EntityDefinitions({GUID}1)", "RelationshipDefinitions", "GlobalOptionSetDefinitions", "WhoAmI", "WhoAmI()", "", "accountleadscollection",
    "RelationshipDefinitions/Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata", f"teammemberships({GUID}1)",
    "RelationshipDefinitions(SchemaName='accountleads_association')", "EntityDefinitions(LogicalName='lead')/ManyToManyRelationships",
    "EntityDefinitions(LogicalName='account')/Keys", "$metadata", "BulkDelete", "$batch", "EntityDefinitions/$count",
    "RetrieveMetadataChanges(Query=@p)", "RetrieveVersion()", "incidents", "GlobalOptionSetDefinitions", "CreateEntities", "Foo(a=@p,b=@q)",
    "EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
    "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata",
)  # fmt: skip
METADATA_QUERIES = (
    "", "$select=LogicalName", "$expand=Attributes", "$filter=LogicalName eq 'account'", "$select=Foo", "$top=2",
    "$expand=Attributes($select=LogicalName;$filter=LogicalName eq 'name'),Keys", "$filter=contains(LogicalName,'x')",
    "$expand=OptionSet,GlobalOptionSet", "$orderby=LogicalName", "@p=[]", "@p={'Criteria':1}", "@p=" + "[" * 500, "@p=[{",
    "@p=%7B%22Criteria%22:%7B%22Conditions%22:[1]%7D%7D", "$count=true",
)  # fmt: skip
HEADERS = (
    ("prefer", "return=representation"), ("prefer", "odata.maxpagesize=2"), ("prefer", "odata.maxpagesize=0"),
    ("prefer", 'odata.include-annotations="*"'), ("prefer", "odata.track-changes"), ("prefer", "respond-async"),
    ("prefer", "odata.maxpagesize=\u00b2"), ("prefer", "odata.maxpagesize=" + "9" * 5000), ("prefer", '"'), ("cookie", "ARRAffinity"),
    ("mscrmcallerid", "x"), ("mscrmcallerid", f"{GUID}1"), ("callerobjectid", f"{GUID}1"), ("mscrm.suppressduplicatedetection", "false"),
    ("content-type", "multipart/mixed; boundary=b"), ("content-type", "multipart/mixed"), ("if-match", "\u00e9"), ("if-none-match", ""),
    ("if-match", "*"), ("if-match", 'W/"1"'), ("if-none-match", "*"), ("if-none-match", "null"), ("if-match", "x"),
)  # fmt: skip


METHODS = ("GET", "GET", "POST", "POST", "PATCH", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS")
OPERANDS: tuple[Any, ...] = ([1], ["x"], [{"Value": []}], [{"Value": "2026-01-01"}], [None], 5, [])
CRITERIA: tuple[Any, ...] = (
    1, [], {"Conditions": [1]}, {"Conditions": {"a": 1}}, {"Filters": [1]}, {"Filters": [{"Filters": [{}]}]},
    *(
        {"Conditions": [{"AttributeName": name, "Operator": operator, "Values": values}]}
        for name in ("name", "accountid", "revenue", "createdon", "donotfax", "x")
        for operator in ("Equal", "In", "Null", "BeginsWith", "Foo")
        for values in OPERANDS
    ),
)  # fmt: skip


class Generator:
    """Random requests from one seed, about half of them almost correct."""

    def __init__(self, schema: Schema, seed: int) -> None:
        self.schema = schema
        self.chance = random.Random(seed)

    def row(self, table: str) -> dict[str, Any]:
        """A body with a few properties of a table, named in one of the ways that bodies name them."""
        pick = self.chance.choice
        body: dict[str, Any] = {}
        for _ in range(self.chance.randint(0, 4)):
            column = pick(list(self.schema.tables[table].columns.values()))
            navigation = next(iter(column.navigation.values()), column.logical_name)
            name = pick([column.logical_name, column.property_name, navigation, f"{navigation}@odata.bind"])
            body[name] = pick(VALUES)
        if self.chance.random() < 0.3:
            body |= self.related()
        if self.chance.random() < 0.3:
            body["@odata.type"] = f"Microsoft.Dynamics.CRM.{pick(TABLES)}"
        if self.chance.random() < 0.2:
            body["@odata.id"] = pick(["accounts(accountnumber='A')", f"/accounts({GUID}1)", "accounts(x)", 5, None])
        return body

    def related(self) -> dict[str, Any]:
        """Related rows in a row, and lists of references, correct or almost correct."""
        pick = self.chance.choice
        inner = pick([*VALUES, {"lastname": "x"}, self.row(pick(TABLES)), {"Contact_Tasks": [{"subject": "x"}]}])
        name = pick(
            [
                "contact_customer_accounts",
                "accountleads_association",
                "primarycontactid",
                "teammembership_association",
                "ownerid",
            ]
        )
        listed = pick([[inner], [inner, inner], inner, [f"leads({GUID}1)"], [f"contacts({GUID}1)", 1]])
        return {pick([name, f"{name}@odata.bind"]): listed}

    def body(self) -> bytes:
        """A row, a bulk message, a reference or an invalid value."""
        pick = self.chance.choice
        whole = pick(
            [
                self.row(pick(TABLES)),
                self.row("account"),
                {"Targets": [self.row("account") for _ in range(self.chance.randint(0, 3))]},
                {"Targets": pick(VALUES)},
                {"value": pick(VALUES)},
                {"@odata.id": pick([f"/contacts({GUID}1)", "x", 1, [], {"a": 1}])},
                [1],
                {"QuerySet": [{"EntityName": "account", "Criteria": pick(CRITERIA)}]},
                {"SchemaName": pick(VALUES), "Attributes": [pick(VALUES)], "Keys": pick(VALUES)},
                {"Entities": pick(VALUES)},
                {"Members": pick([[pick(VALUES)], [{"ownerid": pick(VALUES)}], [{"@odata.id": pick(VALUES)}]])},
                {
                    "SchemaName": "new_x",
                    "Entity1LogicalName": pick(TABLES),
                    "Entity2LogicalName": pick([*TABLES, *VALUES]),
                },
                {
                    "SchemaName": pick(VALUES),
                    "Lookup": {"SchemaName": pick(["new_L", 1])},
                    "ReferencingEntity": "account",
                    "ReferencedEntity": "lead",
                    "CascadeConfiguration": pick([{"Delete": pick(["Restrict", *VALUES])}, *VALUES]),
                },
            ]
        )
        text = orjson.dumps(whole, option=orjson.OPT_NON_STR_KEYS)
        deep = b'{"name":' + b"[" * 900 + b"]" * 900 + b"}"
        return pick([text] * 9 + [b"{", b"", b"\xff", deep, b"--b\r\n" + text, self.batch(text)])

    def batch(self, body: bytes) -> bytes:
        """A batch of a few operations, with some parts missing or repeated."""
        pick = self.chance.choice
        pieces: list[bytes] = []
        for _ in range(self.chance.randint(0, 3)):
            path, query = self.target()
            line = f"{pick(METHODS)} {pick([path, path, path.removeprefix(ROOT), '$1'])}?{query} HTTP/1.1".encode()
            pieces += [b"--b", b"Content-Type: application/http", pick([b"Content-ID: 1"] * 9 + [b"X", b""]), b"", line]
            pieces += [
                pick([b"Content-ID: 2", b"Prefer: odata.maxpagesize=x", b":"] * 4 + [b"X"]),
                b"",
                pick([body, b"", b"", b'{"@odata.id":"$1"}']),
            ]
        pieces += [b"--b--", b"", b""]
        if self.chance.random() < 0.3:
            del pieces[self.chance.randrange(len(pieces))]
        return pick([b"\r\n", b"\n"]).join(pieces)

    def target(self) -> tuple[str, str]:
        """A path and a query string."""
        pick = self.chance.choice
        if self.chance.random() < 0.2:
            return ROOT + pick(OTHERS), pick(METADATA_QUERIES)
        path = pick(PATHS).format(id=f"{GUID}{self.chance.randint(0, 3)}", n=self.chance.randint(0, 5))
        return ROOT + self.schema.tables[pick(TABLES)].entity_set + path, pick(QUERIES)


async def answer(
    app: Application, token: str, request: tuple[str, str, str, bytes], *headers: tuple[str, str]
) -> tuple[int, bytes]:
    """Send one request directly to the application and return status and body."""
    method, path, query, body = request
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    named = [("host", "h"), ("authorization", f"Bearer {token}"), *headers]
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "scheme": "http", "headers": [(name.encode(), value.encode("latin-1")) for name, value in named],
    }  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"]), sent[1]["body"]


@pytest.mark.parametrize("seed", [1, 2])
def test_no_request_makes_the_emulator_fail(seed: int) -> None:
    """Wrong names, types, methods and incomplete bodies are refused; no answer is 500 and nothing raises."""
    options = Options.parse(["--limits", "none"])
    app = build_application(options)
    token = app.policies.authority.issue(options.client_id, "http://h")
    source = Generator(app.service.environment.schema, seed)
    statuses: Counter[int] = Counter()

    async def run() -> None:
        for _ in range(REQUESTS):
            method = source.chance.choice(METHODS)
            headers = source.chance.sample(HEADERS, source.chance.choice([0, 0, 1, 2]))
            status, _ = await answer(app, token, (method, *source.target(), source.body()), *headers)
            statuses[status] += 1

    asyncio.run(run())
    assert statuses.total() == REQUESTS
    assert not {status for status in statuses if status >= 500} - {501}
    assert statuses[200] > REQUESTS / 30


@pytest.mark.parametrize("seed", [1, 2])
def test_no_batch_makes_the_emulator_fail(seed: int) -> None:
    """The same for operations in batches with missing or repeated parts."""
    options = Options.parse(["--limits", "none"])
    app = build_application(options)
    token = app.policies.authority.issue(options.client_id, "http://h")
    source = Generator(app.service.environment.schema, seed)
    inner: Counter[bytes] = Counter()

    async def run() -> None:
        for _ in range(REQUESTS // 2):
            headers = [("content-type", "multipart/mixed; boundary=b"), ("prefer", "odata.continue-on-error")]
            request = ("POST", f"{ROOT}$batch", "", source.batch(source.body()))
            status, body = await answer(app, token, request, *headers[: source.chance.randint(1, 2)])
            assert status < 500 or status == 501
            inner.update(re.findall(rb"HTTP/1.1 (\d+)", body))

    asyncio.run(run())
    assert not {status for status in inner if status >= b"500"} - {b"501"}
    assert inner[b"200"] > REQUESTS / 250
