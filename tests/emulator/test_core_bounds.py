"""Small requests that would cause much work: each is refused, or answered with little work."""

import asyncio
import sqlite3
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from emulator.errors import ServiceError
from emulator.http.options import Options
from emulator.http.server import build_application
from emulator.service import Service
from emulator.store import Budget
from emulator.store.patterns import glob_pattern, wildcard_match
from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, error

GUID = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(in_thread=True, limits="none") as emulator:
        yield emulator


def _path(depth: int) -> str:
    """A path over polymorphic lookups, which lead from contact to contact."""
    return "parentcustomerid_contact/" * depth + "lastname"


@pytest.mark.parametrize(("depth", "status"), [(1, 200), (15, 200), (16, 400), (1000, 400)])
def test_a_filter_follows_fifteen_lookups(client: Client, depth: int, status: int) -> None:
    """One more join is refused as the service refuses it."""
    answer = client.send("GET", f"contacts?$filter={_path(depth)} eq 'x'")
    assert answer.status_code == status
    if status == 400:
        assert error(answer) == (400, "0x8004430D")


def test_a_path_of_lookups_finds_the_row_at_its_end(client: Client) -> None:
    """The SQL of a deep path joins each lookup to its row, by the kind of the lookup."""
    ids: list[str] = []
    for number in range(4):
        bound = {"parentcustomerid_contact@odata.bind": f"/contacts({ids[-1]})"} if ids else {}
        answer = client.send("POST", "contacts", {"lastname": f"n{number}", **bound})
        ids.append(answer.headers["OData-EntityId"][-37:-1])
    found = client.send("GET", f"contacts?$select=lastname&$filter={_path(3)} eq 'N0'").json()["value"]
    assert [row["lastname"] for row in found] == ["n3"]
    other = "parentcustomerid_account/name"
    assert client.send("GET", f"contacts?$filter={other} ne null").json()["value"] == []


def test_paths_of_one_prefix_share_their_joins(client: Client) -> None:
    """Forty conditions on one lookup need one join; sixteen different lookups need sixteen."""
    shared = " or ".join(f"primarycontactid/lastname eq 'n{number}'" for number in range(40))
    assert client.send("GET", f"accounts?$filter={shared}").status_code == 200
    children = " or ".join(["contact_customer_accounts/any(c:c/lastname eq 'x')"] * 16)
    assert error(client.send("GET", f"accounts?$filter={children}")) == (400, "0x8004430D")


@pytest.mark.parametrize("path", [_path(3000).replace("/lastname", ""), "/".join(["parentcustomerid_contact"] * 101)])
def test_a_path_has_a_hundred_segments(client: Client, path: str) -> None:
    """Longer ones are refused and not followed."""
    answer = client.send("GET", f"contacts({GUID})/{path}"[:30_000])
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Too many segments in URI."


@pytest.mark.parametrize(("count", "status"), [(15, 200), (16, 400)])
def test_a_query_has_fifteen_expands(client: Client, count: int, status: int) -> None:
    """Nested ones count as well."""
    nested = "createdby"
    for _ in range(count - 1):
        nested = f"createdby($expand={nested})"
    assert client.send("GET", f"accounts?$expand={nested}").status_code == status
    beside = ",".join(["createdby", "primarycontactid", "modifiedby"] * 6)
    assert client.send("GET", f"accounts?$expand={beside[: beside.index(',', 1)]}").status_code == 200
    assert client.send("GET", f"accounts?$expand={beside}").status_code == 400


def test_deeply_nested_expands_are_refused(client: Client) -> None:
    """Thousands of levels in one URL cause no work."""
    text = "createdby($expand=" * 1600
    assert error(client.send("GET", f"accounts?$expand={text}{')' * 1600}")) == (400, "0x8004430D")


def test_an_answer_has_a_limited_number_of_rows(client: Client) -> None:
    """Relationships that form a loop do not multiply rows without limit."""
    owner = client.send("POST", "accounts", {"name": "A"}).headers["OData-EntityId"][-37:-1]
    rows = [
        {"@odata.type": "Microsoft.Dynamics.CRM.contact", "parentcustomerid_account@odata.bind": f"/accounts({owner})"}
        for _ in range(400)
    ]
    assert client.send("POST", "contacts/Microsoft.Dynamics.CRM.CreateMultiple", {"Targets": rows}).status_code == 200
    back = "contact_customer_accounts($select=lastname;$expand=parentcustomerid_account($select=name{}))"
    once = back.format("")
    assert client.send("GET", f"accounts?$select=name&$expand={once}").status_code == 200
    twice = back.format(f";$expand={back.format('')}")
    answer = client.send("GET", f"accounts?$select=name&$expand={twice}")
    assert error(answer) == (400, "0x80060888")
    assert "more than 100000 rows" in answer.json()["error"]["message"]


@pytest.mark.parametrize("depth", [101, 1000, 5000])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_json_is_nested_a_hundred_deep(client: Client, depth: int, method: str) -> None:
    """Deeper bodies are refused, whatever the operation."""
    body = b'{"name":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    path = {"POST": "accounts", "PATCH": f"accounts({GUID})", "PUT": f"accounts({GUID})/name"}[method]
    for address in (path, "BulkDelete") if method == "POST" else (path,):
        answer = client.session.request(
            method, f"{client.base}/api/data/v9.2/{address}", data=body, headers=client.headers, timeout=60
        )
        assert error(answer) == (400, "0x80048d19"), address


@pytest.mark.parametrize(
    "body", [b"[" * 500 + b"]" * 500, b'{"action":"status","message":"' + b"x" * 2_000_000 + b'"}']
)
def test_lists_of_faults_are_bounded_too(client: Client, body: bytes) -> None:
    """The emulator's own paths refuse bodies that are too deep or too large."""
    assert client.session.post(f"{client.base}/_emulator/faults", data=body, timeout=60).status_code in {400, 413}


def test_a_refusal_repeats_no_whole_body(client: Client) -> None:
    """It quotes only a part of a value of the wrong type."""
    answer = client.send("POST", "accounts", {"name": ["x" * 100_000]})
    assert answer.status_code == 400
    assert len(answer.content) < 1000


def test_a_body_has_a_size_limit() -> None:
    """A body that is too large is refused while it is received, and no part of it is kept."""
    app = build_application(Options.parse(["--limits", "none"]))
    pieces = [b"x" * (16 * 1024 * 1024)] * 20
    taken: list[int] = []
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        taken.append(1)
        return {"type": "http.request", "body": pieces[len(taken) - 1], "more_body": True}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/api/data/v9.2/accounts", "raw_path": b"/api/data/v9.2/accounts",
        "query_string": b"", "scheme": "http", "headers": [],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 413
    assert len(taken) == 9


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST"])
def test_an_address_has_a_length_limit(client: Client, method: str) -> None:
    """For every method."""
    answer = client.send(method, f"accounts?$filter=name eq '{'x' * 40_000}'", {})
    assert answer.status_code == 414


def test_a_statement_that_takes_too_long_is_ended() -> None:
    """The client gets the error of a timeout of SQL Server, and the next request works."""
    app = build_application(Options.parse(["--limits", "none"]))
    database = app.service.environment.database
    slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(ServiceError) as caught, database.within(Budget(left=0.0)), database.transaction():
        database.connection.execute(slow)
    assert (caught.value.status, caught.value.code) == (500, "0x80044151")
    with database.within(Budget()), database.transaction():
        assert database.scalar("SELECT 1") == 1


def test_many_wildcards_need_little_time(client: Client) -> None:
    """A pattern that can match a text in very many ways is answered at once."""
    client.send("POST", "accounts", {"name": "a" * 160})
    pattern = quote("%a" * 60 + "%b")
    assert client.send("GET", f"accounts?$filter=contains(name,'{pattern}')").json()["value"] == []
    pattern = quote("%a" * 60 + "%")
    assert len(client.send("GET", f"accounts?$filter=contains(name,'{pattern}')").json()["value"]) == 1


@pytest.mark.parametrize("text", ["", "a", "ab", "aab", "abb", "ba", "a-b", "]", "b^", "a*b", "axxbxxb"])
@pytest.mark.parametrize(
    "pattern", ["a%b", "%a%b%", "a%", "%b", "_%_", "[a-c]%[^a]", "[^a]%b", "a%%b", "%[*]%", "%^", "%[x-]%b"]
)
def test_both_ways_to_match_wildcards_agree(text: str, pattern: str) -> None:
    """The linear matcher gives the results of SQLite's GLOB."""
    for function in ("contains", "startswith", "endswith"):
        glob = glob_pattern(function, pattern)
        assert glob is not None
        with sqlite3.connect(":memory:") as connection:
            expected = connection.execute("SELECT ? GLOB ?", (text, glob)).fetchone()[0]
        connection.close()
        assert wildcard_match(text, glob) is bool(expected), (function, glob)


def test_an_error_of_the_emulator_itself_is_an_answer_of_the_service(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that reads the body of each error can read this one."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Service, "plan", broken)
        answer = client.send("GET", "accounts")
    assert error(answer) == (500, "0x80040216")
    assert client.send("GET", "accounts").status_code == 200
