"""Definitions over the API."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.app.definition_files import Author
from tests.console.conftest import Served, World

PERMISSIONS = "permissions: {admin: [Owners], write: [Writers], read: [Readers]}\n"


def test_all_kept_versions_can_be_reached(served_to_many: Served, customers: Path, world: World) -> None:
    """On pages and in answers of some at a time; each is shown with what it changed."""
    files, text = world.app.wiring.definition_files, customers.read_text()
    version = files.read("customers.yaml")
    for number in range(24):
        assert version is not None
        version = files.write(
            "customers.yaml", f"{text}# {number:02}\n", expected=version.version, by=Author(name="Ann")
        )
    kept = files.versions("customers.yaml")
    assert len(kept) == 25
    found: list[str] = []
    query = "limit=10"
    while query:
        answer = call(served_to_many, "readers", "GET", f"syncs/customers/versions?{query}").json()
        found += [each["text"] for each in answer["versions"]]
        query = f"limit=10&before={answer['older']}" if answer["older"] else ""
    assert found == [each.text for each in kept]
    whole = call(served_to_many, "readers", "GET", "syncs/customers/versions?limit=100").json()
    assert (len(whole["versions"]), whole["older"]) == (25, None)
    for wrong in ("0", "101", "-1", "x", "9" * 5000, "١"):
        refused = call(served_to_many, "readers", "GET", f"syncs/customers/versions?limit={wrong}")
        assert (refused.status_code, "1 to 100" in refused.text) == (400, True)
    session, url = served_to_many.as_person("readers"), f"{served_to_many.url}/syncs/customers/versions"
    first = session.get(url, timeout=60).text
    assert (first.count("version="), first.count("What it changed")) == (20, 20)
    (older,) = re.findall(r"/syncs/customers/versions(\?before=[^\"]+)", first)
    last = session.get(f"{url}{older}", timeout=60).text
    assert (last.count("version="), last.count("What it changed"), "Older versions" in last) == (5, 4, False)


@pytest.fixture
def customers(world: World) -> Path:
    """The file of a sync with rights."""
    world.define("customers", more=PERMISSIONS)
    return world.folder / "syncs" / "customers.yaml"


def call(
    served: Served, role: str, method: str, path: str, *, body: object = None, text: str = "", match: str = ""
) -> requests.Response:
    """A request of a program with a role."""
    headers = {"if-match": match} if match else {}
    session = served.as_person(role)
    url = f"{served.url}/api/{path}"
    if text:
        return session.request(
            method, url, data=text.encode(), headers=headers | {"content-type": "application/yaml"}, timeout=60
        )
    return session.request(method, url, json=body, headers=headers, timeout=60)


def test_a_definition_is_read_replaced_and_deleted_under_a_condition(served_to_many: Served, customers: Path) -> None:
    """Without the condition, with an old one, with mistakes or without the right nothing changes."""
    path = "syncs/customers/definition"
    read = call(served_to_many, "readers", "GET", path)
    etag, text = read.headers["etag"], read.text
    assert (read.headers["content-type"].split(";")[0], text) == ("application/yaml", customers.read_text())
    new = text + "# more\n"
    assert call(served_to_many, "readers", "PUT", path, text=new, match=etag).status_code == 403
    assert call(served_to_many, "writers", "PUT", path, text=new).status_code == 428
    assert call(served_to_many, "writers", "PUT", path, text=new, match='"other"').status_code == 412
    wrong = call(served_to_many, "writers", "PUT", path, text=text + "nonsense: 1\n", match=etag)
    assert (wrong.status_code, wrong.json()["problems"][0]["path"]) == (422, "nonsense")
    rights = call(served_to_many, "writers", "PUT", path, text=text.replace("Readers", "All"), match=etag)
    assert (rights.status_code, "permissions" in rights.json()["detail"]) == (403, True)
    assert customers.read_text() == text
    done = call(served_to_many, "writers", "PUT", path, text=new, match=etag)
    assert (done.status_code, customers.read_text()) == (204, new)
    versions = call(served_to_many, "readers", "GET", "syncs/customers/versions").json()["versions"]
    assert [(each["action"], each["name"]) for each in versions] == [("saved", "Ann"), ("found", "")]
    assert call(served_to_many, "writers", "DELETE", path, match=done.headers["etag"]).status_code == 403
    assert call(served_to_many, "owners", "DELETE", path, match=etag).status_code == 412
    assert call(served_to_many, "owners", "DELETE", path, match=done.headers["etag"]).status_code == 204
    assert not customers.exists()


def test_each_change_of_a_long_definition_is_kept_and_shown(
    served_to_many: Served, customers: Path, world: World
) -> None:
    """At its end too, where rights may be: in the audit log and with its versions."""
    text = "".join(f"# line {number}\n" for number in range(3_000)) + customers.read_text()
    customers.write_text(text)
    path, new = "syncs/customers/definition", text.replace("line 7\n", "row 7\n").replace("[Readers]", "[Readers, All]")
    etag = call(served_to_many, "owners", "GET", path).headers["etag"]
    assert call(served_to_many, "owners", "PUT", path, text=new, match=etag).status_code == 204
    (entry, *_) = world.app.state.audit("customers")
    changed = [line for line in entry.after.splitlines() if line[0] in "-+"]
    assert changed == [
        "-# line 7",
        "+# row 7",
        f"-{PERMISSIONS.strip()}",
        f"+{PERMISSIONS.strip()}".replace("[Readers]", "[Readers, All]"),
    ]
    page = served_to_many.as_person("owners").get(f"{served_to_many.url}/syncs/customers/versions", timeout=60).text
    assert "read: [Readers, All]" in page


def test_a_sync_is_made_once_and_belongs_to_its_maker(served_to_many: Served, customers: Path) -> None:
    """Mistakes and a name in use are refused."""
    text = customers.read_text().replace(PERMISSIONS, "").replace("name: customers", "name: others")
    assert call(served_to_many, "owners", "POST", "syncs", body={"text": text}).status_code == 403
    made = call(served_to_many, "Sync.Create", "POST", "syncs", body={"text": text})
    assert (made.status_code, made.headers["location"]) == (201, "/api/syncs/others/definition")
    mine = call(served_to_many, "Sync.Create", "GET", "syncs/others/definition")
    assert "admin: [00000000-0000-0000-0000-00000000000a]" in mine.text
    assert call(served_to_many, "Sync.Create", "POST", "syncs", body={"text": text}).status_code == 409
    assert call(served_to_many, "Sync.Create", "POST", "syncs", body={"text": "name: x"}).status_code == 422
    assert call(served_to_many, "Sync.Create", "POST", "syncs", body={"txt": ""}).status_code == 400


def test_mistakes_are_found_with_their_places(served_to_many: Served, customers: Path) -> None:
    """Also those that Dataverse knows, for who may change the sync."""
    text = customers.read_text().replace("target: name", "target: nonsense")
    offline = call(served_to_many, "Sync.Create", "POST", "definitions/validate", body={"text": "name: A\n"}).json()
    assert (offline["valid"], offline["problems"][0]["line"]) == (False, 1)
    online = call(served_to_many, "writers", "POST", "syncs/customers/validate", body={"text": text}).json()
    assert online["problems"][0]["path"] == "destination.mappings[1].target"
    moved = text.replace("http://", "https://elsewhere.")
    assert call(served_to_many, "writers", "POST", "syncs/customers/validate", body={"text": moved}).status_code == 403
    assert call(served_to_many, "readers", "POST", "syncs/customers/validate", body={"text": text}).status_code == 403


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"content-type": "application/x-www-form-urlencoded"}, 415, "Send it with Content-Type: application/yaml"),
        ({"content-type": "multipart/form-data; boundary=x"}, 415, "Send it with Content-Type: application/yaml"),
        ({"if-match": "*"}, 400, "If-Match takes one ETag"),
        ({"if-match": '"a", "b"'}, 400, "If-Match takes one ETag"),
    ],
)
def test_a_definition_that_is_sent_in_another_way_is_told_how(
    served_to_many: Served, customers: Path, change: dict[str, str], status: int, said: str
) -> None:
    """What curl says without a header of its own; and conditions that would not name what was read."""
    before, url = customers.read_text(), f"{served_to_many.url}/api/syncs/customers/definition"
    session = served_to_many.as_person("owners")
    headers = {"content-type": "application/yaml", "if-match": session.get(url, timeout=60).headers["etag"], **change}
    data = b"--x--\r\n" if "multipart" in headers["content-type"] else f"{before}# more\n".encode()
    refused = session.put(url, data=data, headers=headers, timeout=60)
    assert (refused.status_code, said in refused.json()["detail"]) == (status, True)
    assert customers.read_text() == before


def test_a_preview_and_a_test_are_jobs_that_write_nothing(
    served_to_many: Served, customers: Path, world: World
) -> None:
    """Of what is saved, or of another text."""
    world.write("customers", [(f"customers-{number}", f"Account {number}") for number in range(20)])
    text = customers.read_text().replace("target: name}", "target: name, on_null: keep}")
    asked = call(served_to_many, "writers", "POST", "syncs/customers/preview", body={"text": text, "rows": 3})
    assert asked.status_code == 202
    assert _answer(world, asked.json()["job"])["planned"]["created"] == 3
    tested = call(served_to_many, "writers", "POST", "syncs/customers/test", body={})
    assert _answer(world, tested.json()["job"])["complete"] is True
    assert world.accounts() == {}
    wrong = call(served_to_many, "writers", "POST", "syncs/customers/preview", body={"rows": 1000})
    assert wrong.status_code == 400
    broken = call(served_to_many, "writers", "POST", "syncs/customers/preview", body={"text": text + "x: 1\n"})
    assert broken.status_code == 422


def test_the_job_of_a_preview_or_a_test_has_its_answer(served_to_many: Served, customers: Path, world: World) -> None:
    """For whoever asked, as the editor: values only with the right `read`, and nothing for another person."""
    world.write("customers", [("customers-1", "Secret Jane")])
    job = call(served_to_many, "writers", "POST", "syncs/customers/preview", body={"rows": 3}).json()["job"]
    _answer(world, job)
    masked = call(served_to_many, "writers", "GET", f"jobs/{job}")
    assert (masked.json()["state"], masked.json()["answer"]["planned"]["created"]) == ("Succeeded", 1)
    assert [each["after"] for each in masked.json()["answer"]["sample"][0]["columns"]] == ["••••", "••••"]
    assert "Secret Jane" not in masked.text
    full = call(served_to_many, "owners", "GET", f"jobs/{job}")
    assert (full.json()["answer"]["rows"], "Secret Jane" in full.text) == (3, True)
    other = served_to_many.as_person("owners", claims={"oid": "00000000-0000-0000-0000-00000000000b"})
    of_another = other.get(f"{served_to_many.url}/api/jobs/{job}", timeout=60)
    assert (of_another.status_code, of_another.json()["answer"]) == (200, None)
    tested = call(served_to_many, "writers", "POST", "syncs/customers/test", body={}).json()["job"]
    checked = _answer(world, tested)
    assert call(served_to_many, "writers", "GET", f"jobs/{tested}").json()["answer"] == checked


def test_a_preview_reads_the_first_rows_and_their_records_alone(
    served_to_many: Served, customers: Path, world: World
) -> None:
    """Of 300,000 rows whose last ones are malformed, and of the table only the records with these keys."""
    world.write("customers", [(f"customers-{number}", f"Account {number}") for number in range(1500)])
    assert world.app.run("customers").completed
    with (world.folder / "customers.csv").open("w") as file:
        file.write("number,name\ncustomers-0,Another\ncustomers-new,New\ncustomers-2,Account 2\ncustomers-0,Twice\n")
        file.writelines(f"customers-{number},Account {number}\n" for number in range(4, 300_000))
        file.writelines("customers-bad,too,many,fields\n" for _ in range(1000))
        file.write("customers-0,A duplicate that nobody has asked for\n")
    before = world.emulator.stats()["rows"]["read"]
    asked = call(served_to_many, "owners", "POST", "syncs/customers/preview", body={"rows": 4})
    answer = _answer(world, asked.json()["job"])
    planned = answer["planned"]
    assert [planned["source"][name] for name in ("processed", "verified", "rejected")] == [4, 3, 1]
    assert [planned[name] for name in ("created", "updated", "unchanged", "deleted")] == [1, 1, 1, 0]
    assert planned["target"]["verified"] == 2
    assert world.emulator.stats()["rows"]["read"] - before <= 4


def test_a_preview_knows_what_the_sync_has_written(served_to_many: Served, customers: Path, world: World) -> None:
    """By the entries of the ledger for its rows: a value that a person has edited is not overwritten."""
    customers.write_text(customers.read_text().replace("target: name}", "target: name, write: unless_edited}"))
    world.write("customers", [(f"customers-{number}", f"Account {number}") for number in range(50)])
    assert world.app.run("customers").completed
    headers = {"Authorization": f"Bearer {world.emulator.token()}"}
    url = f"{world.emulator.service_url}accounts"
    found = requests.get(f"{url}?$filter=accountnumber eq 'customers-1'", headers=headers, timeout=10).json()["value"]
    change = {"name": "Edited by a person"}
    requests.patch(f"{url}({found[0]['accountid']})", json=change, headers=headers, timeout=10).raise_for_status()
    world.write("customers", [(f"customers-{number}", f"New {number}") for number in range(50)])
    asked = call(served_to_many, "owners", "POST", "syncs/customers/preview", body={"rows": 3})
    answer = _answer(world, asked.json()["job"])
    assert [answer["planned"][name] for name in ("created", "updated")] == [0, 2]
    assert [(each["type"], each["count"]) for each in answer["errors"]] == [("Edited in target", 1)]


def test_a_preview_finds_the_records_that_lookups_name(served_to_many: Served, customers: Path, world: World) -> None:
    """In the table itself too: those that the first rows create, those that are there, and those that are not."""
    text = customers.read_text().replace("file: ", "").replace("filter: ", "# ")
    text = text.replace("    - {name: name, max_length: 160}", "    - {name: name}\n    - {name: parent}")
    lookup = "- {source: parent, target: parentaccountid, lookup: {match: accountnumber}}"
    customers.write_text(text.replace("target: name}", f"target: name}}\n    {lookup}"))
    path = world.folder / "customers.csv"
    path.write_text("number,name,parent\n" + "".join(f"old-{number},Old {number},\n" for number in range(200)))
    assert world.app.run("customers").completed
    path.write_text("number,name,parent\nnew-1,New,old-150\nnew-2,New,new-1\nnew-3,New,nobody\nold-7,Old 7,old-8\n")
    asked = call(served_to_many, "owners", "POST", "syncs/customers/preview", body={"rows": 4})
    answer = _answer(world, asked.json()["job"])
    assert [answer["planned"][name] for name in ("created", "updated", "unchanged")] == [2, 1, 0]
    assert [(each["column"], each["type"], each["count"]) for each in answer["errors"]] == [
        ("parent", "Unresolved Link", 1)
    ]


def test_tables_and_columns_of_the_environment(served_to_many: Served, customers: Path, world: World) -> None:
    """By the sync, or by a connection."""
    tables = call(served_to_many, "writers", "GET", "syncs/customers/tables").json()["tables"]
    assert {"name": "account", "label": "Account", "id_column": "accountid"} in tables
    found = call(served_to_many, "writers", "GET", "syncs/customers/tables/account").json()
    columns = {each["name"]: each for each in found["columns"]}
    assert columns["name"]["max_length"] == 160
    assert columns["parentaccountid"]["refers_to"] == ["account"]
    assert columns["accountcategorycode"]["options"]
    server = world.emulator
    (world.folder / "syncs" / "crm.yaml").write_text(
        f"kind: connection\nname: crm\ntype: dynamics\nservice_url: {server.service_url}\n"
        f"tenant_id: {server.tenant_id}\nclient_id: {server.client_id}\nclient_secret: {{env: DATAVERSE_SECRET}}\n"
    )
    other = call(served_to_many, "Sync.Create", "GET", "environments/crm/tables/account").json()
    assert other["columns"] == found["columns"]
    assert call(served_to_many, "writers", "GET", "environments/crm/tables").status_code == 403
    assert call(served_to_many, "Sync.Create", "GET", "environments/none/tables").status_code == 422


def _answer(world: World, job_id: str) -> dict[str, Any]:
    import json

    end = time.monotonic() + 60
    while time.monotonic() < end:
        job = world.app.state.job(job_id)
        assert job is not None
        if job.ended is not None:
            assert job.message == ""
            return dict(json.loads(world.app.state.job_file(job_id, "answer.json") or b""))
        time.sleep(0.05)
    raise AssertionError("there was no answer")
