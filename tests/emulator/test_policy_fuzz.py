"""Requests at random: every one is answered, none with a failure of the emulator's own."""

import asyncio
import random
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest

from emulator.app import Application
from emulator.options import Options
from emulator.schema import Schema
from emulator.server import build_application

ROOT = "/api/data/v9.2/"
GUID = "00000000-0000-0000-0000-00000000000"
REQUESTS = 2500
TABLES = ("account", "account", "account", "contact", "task", "lead", "opportunity", "product", "systemuser", "team")
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 1.5, 1e308, "", "a", "x" * 5000, "1, 9", "2026-01-01", "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00+25:00", "0001-01-01T00:00:00Z", f"{GUID}1", [], {}, [1], {"a": 1}, "\0", "é",
    f"/contacts({GUID}1)", "contacts(x=1)", "$1", "/accounts(accountnumber='A')",
)  # fmt: skip
PATHS = (
    "", "({id})", "(accountnumber='{n}')", "({id})/name", "({id})/name/$value", "({id})/primarycontactid/$ref",
    "({id})/primarycontactid", "({id})/contact_customer_accounts", "({id})/contact_customer_accounts/$ref", "/$count",
    "/Microsoft.Dynamics.CRM.UpsertMultiple", "/Microsoft.Dynamics.CRM.CreateMultiple", "()",
    "/Microsoft.Dynamics.CRM.UpdateMultiple", "/Microsoft.Dynamics.CRM.DeleteMultiple", "({id})/ownerid",
    "({id})/parentcustomerid_account/$ref", "({id})/Microsoft.Dynamics.CRM.Foo",
)  # fmt: skip
QUERIES = (
    "", "$select=name", "$top=0", "$count=true", "$expand=primarycontactid($select=fullname;$expand=createdby)",
    "$expand=contact_customer_accounts($top=1;$filter=lastname eq 'x')", "$orderby=name desc", "$skiptoken=x",
    "$deltatoken=x", "$filter=primarycontactid/fullname eq null", "$expand=ownerid", "tag=x", "$skiptoken=%3Ccookie%3E",
)  # fmt: skip
OTHERS = (
    "EntityDefinitions", "EntityDefinitions(LogicalName='account')", "EntityDefinitions(LogicalName='account')/Attributes",
    f"EntityDefinitions({GUID}1)", "RelationshipDefinitions", "GlobalOptionSetDefinitions", "WhoAmI", "WhoAmI()", "",
    "EntityDefinitions(LogicalName='account')/Keys", "$metadata", "BulkDelete", "$batch",
    "EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata",
    "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata",
)  # fmt: skip
METADATA_QUERIES = (
    "", "$select=LogicalName", "$expand=Attributes", "$filter=LogicalName eq 'account'", "$select=Foo", "$top=2",
    "$expand=Attributes($select=LogicalName;$filter=LogicalName eq 'name'),Keys", "$filter=contains(LogicalName,'x')",
    "$expand=OptionSet,GlobalOptionSet", "$orderby=LogicalName",
)  # fmt: skip
HEADERS = (
    ("prefer", "return=representation"), ("prefer", "odata.maxpagesize=2"), ("prefer", "odata.maxpagesize=0"),
    ("prefer", 'odata.include-annotations="*"'), ("prefer", "odata.track-changes"), ("prefer", "respond-async"),
    ("if-match", "*"), ("if-match", 'W/"1"'), ("if-none-match", "*"), ("if-none-match", "null"), ("if-match", "x"),
)  # fmt: skip


class Generator:
    """Requests from one seed, about half of them nearly right."""

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
            body["@odata.type"] = f"Microsoft.Dynamics.CRM.{pick(TABLES)}"
        if self.chance.random() < 0.2:
            body["@odata.id"] = pick(["accounts(accountnumber='A')", f"/accounts({GUID}1)", "accounts(x)", 5, None])
        return body

    def body(self) -> bytes:
        """A row, a bulk message, a reference or nonsense."""
        pick = self.chance.choice
        whole = pick(
            [
                self.row(pick(TABLES)),
                self.row("account"),
                {"Targets": [self.row("account") for _ in range(self.chance.randint(0, 3))]},
                {"Targets": pick(VALUES)},
                {"value": pick(VALUES)},
                {"@odata.id": pick([f"/contacts({GUID}1)", "x", 1])},
                [1],
            ]
        )
        return pick([orjson.dumps(whole, option=orjson.OPT_NON_STR_KEYS)] * 9 + [b"{", b"", b"\xff"])

    def target(self) -> tuple[str, str]:
        """A path and a query string."""
        pick = self.chance.choice
        if self.chance.random() < 0.2:
            return ROOT + pick(OTHERS), pick(METADATA_QUERIES)
        path = pick(PATHS).format(id=f"{GUID}{self.chance.randint(0, 3)}", n=self.chance.randint(0, 5))
        return ROOT + self.schema.tables[pick(TABLES)].entity_set + path, pick(QUERIES)


async def answer(app: Application, token: str, request: tuple[str, str, str, bytes], *headers: tuple[str, str]) -> int:
    """Send one request straight into the application and return the status."""
    method, path, query, body = request
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    named = [("host", "h"), ("authorization", f"Bearer {token}"), *headers]
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "scheme": "http", "headers": [(name.encode(), value.encode()) for name, value in named],
    }  # fmt: skip
    await app(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("seed", [1, 2])
def test_no_request_makes_the_emulator_fail(seed: int) -> None:
    """Wrong names, types, methods and half bodies are refused; nothing is answered with 500 and nothing raises."""
    options = Options.parse(["--limits", "none"])
    app = build_application(options)
    token = app.policies.authority.mint(options.client_id, "test")
    source = Generator(app.service.environment.schema, seed)
    statuses: Counter[int] = Counter()

    async def run() -> None:
        for _ in range(REQUESTS):
            method = source.chance.choice(
                ["GET", "GET", "POST", "POST", "PATCH", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]
            )
            headers = source.chance.sample(HEADERS, source.chance.choice([0, 0, 1, 2]))
            statuses[await answer(app, token, (method, *source.target(), source.body()), *headers)] += 1

    asyncio.run(run())
    assert statuses.total() == REQUESTS
    assert not {status for status in statuses if status >= 500} - {501}
    assert statuses[200] > REQUESTS / 20
