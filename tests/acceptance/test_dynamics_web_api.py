"""The npm package dynamics-web-api, which others wrote for the real service, works unchanged with the emulator."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.testing import running

pytestmark = pytest.mark.npm
HERE = Path(__file__).parent / "node"
PACKAGE = "dynamics-web-api"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client and the locked package, kept between runs."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dynamics-sync" / "node"
    version = json.loads((HERE / "package.json").read_text())["dependencies"][PACKAGE]
    folder = cache / f"{PACKAGE}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(HERE / name, folder / name)
    if not (folder / "node_modules" / PACKAGE / "package.json").exists():
        done = subprocess.run(
            [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip()[-300:]}")
    return folder


PAGE = Path(__file__).parents[2] / "docs" / "emulator.md"
# What stands around the line of the page.
AROUND = """
import { DynamicsWebApi } from "dynamics-web-api";
const token = async () => %s;
%s
console.log(JSON.stringify((await api.retrieveMultiple({ collection: "accounts", select: ["name"] })).value));
"""


def test_the_line_of_the_page_reads(package: Path) -> None:
    """As docs/emulator.md has it, with the address and a token of this emulator."""
    (line,) = re.findall(r"```js\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    with running() as emulator:
        headers = {"Authorization": f"Bearer {emulator.token()}"}
        requests.post(f"{emulator.service_url}accounts", json={"name": "Contoso"}, headers=headers, timeout=10)
        script = AROUND % (json.dumps(emulator.token()), line.replace("http://127.0.0.1:5080", emulator.base_url))
        (package / "page.mjs").write_text(script, "utf-8")
        done = subprocess.run(
            ["node", "page.mjs"], cwd=package, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert [each["name"] for each in json.loads(done.stdout)] == ["Contoso"]


@pytest.fixture(scope="module")
def result(package: Path) -> Iterator[dict[str, Any]]:
    """What the client's steps gave back."""
    with running() as emulator:
        start = {
            "service_url": emulator.base_url,
            "token_url": f"{emulator.authority}/{emulator.tenant_id}/oauth2/v2.0/token",
            "client_id": emulator.client_id,
            "client_secret": emulator.client_secret,
        }
        done = subprocess.run(
            ["node", "client.mjs", json.dumps(start)],
            cwd=package, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)


def test_a_row_is_created_read_changed_and_deleted(result: dict[str, Any]) -> None:
    """Create with representation and a lookup, expand with annotations, ETag conflict, update, one property, delete."""
    created = result["created"]
    assert (created["name"], created["revenue"]) == ("Adventure Works", 12.5)
    assert created["_primarycontactid_value"] == result["contact"].lower()
    retrieved = result["retrieved"]
    assert retrieved["primarycontactid"]["fullname"] == "Ada Lovelace"
    assert result["stale"] is False
    assert result["updated"]["name"] == "Adventure Works Cycles"
    assert (result["afterProperties"]["telephone1"], result["afterProperties"]["revenue"]) == ("555-0100", None)
    assert (result["missing"]["status"], result["missing"]["code"]) == (404, "0x80040217")


def test_a_lookup_is_cleared_and_set_by_reference(result: dict[str, Any]) -> None:
    """`$ref` with DELETE and PUT."""
    assert result["disassociated"]["_primarycontactid_value"] is None
    assert result["associated"]["_primarycontactid_value"] == result["contact"].lower()


def test_rows_are_related(result: dict[str, Any]) -> None:
    """Deep insert, `associate` and `disassociate` of a many-to-many relationship, read by `$expand`."""
    related = result["related"]
    assert related["primarycontactid"]["lastname"] == "First"
    assert [row["lastname"] for row in related["contact_customer_accounts"]] == ["Second"]
    assert [row["subject"] for row in result["paired"]["accountleads_association"]] == ["Lead"]
    assert result["unpaired"]["accountleads_association"] == []


def test_an_upsert_by_alternate_key_creates_and_then_updates(result: dict[str, Any]) -> None:
    """Both answers carry the same identifier, and the key's value came from the URL."""
    first, second = result["upserts"]
    assert first["id"] == second["id"] == result["byKey"]["accountid"]
    assert [first["name"], second["name"], result["byKey"]["name"]] == ["First", "Second", "Second"]
    assert first["accountnumber"] == "DWA 1"
    assert result["refused"] is None
    assert result["unchanged"]["name"] == "Second"


def test_a_batch_with_a_change_set_is_all_or_nothing(result: dict[str, Any]) -> None:
    """The answer has thirteen identifiers, a reference by content id works, and a failed change set writes nothing."""
    assert len(set(result["batch"])) == 13
    assert result["tasks"]["value"][0]["regardingobjectid_account_task"]["name"] == "Row 01"
    assert (result["failedBatch"]["status"], result["failedBatch"]["code"]) == (400, "0x80044331")
    assert result["undone"]["value"] == []


def test_queries_filter_order_limit_count_and_page(result: dict[str, Any]) -> None:
    """The client gets the requested rows, in the requested order, page by page."""
    assert [row["numberofemployees"] for row in result["query"]["value"]] == [12, 11, 10]
    assert result["counted"]["oDataCount"] == result["count"] == 12
    names = [f"Row {number:02}" for number in range(1, 13)]
    assert result["pages"] == [names[:5], names[5:10], names[10:]]


def test_fetch_xml_is_paged_by_the_cookie(result: dict[str, Any]) -> None:
    """The client reads the annotation of the emulator as that of the real service, and requests each page with it."""
    assert [row["name"] for row in result["fetched"]["value"]] == [f"Row {number:02}" for number in range(1, 13)]
    paging = result["fetchedPage"]["PagingInfo"]
    assert (paging["page"], paging["nextPage"]) == (1, 2)
    assert paging["cookie"].startswith("&lt;cookie page=&quot;1&quot;&gt;&lt;name last=&quot;")


def test_views_and_groups_answer(result: dict[str, Any]) -> None:
    """The client's options `savedQuery` and `apply`."""
    assert [row["name"] for row in result["view"]["value"]] == [f"Row {number:02}" for number in range(1, 6)]
    assert result["groups"]["value"] == [{"employees": sum(range(1, 13)), "rows": 12}]


def test_metadata_and_functions_answer(result: dict[str, Any]) -> None:
    """WhoAmI, an entity definition and the CSDL document."""
    assert set(result["whoAmI"]) >= {"UserId", "BusinessUnitId", "OrganizationId"}
    assert (result["entity"]["LogicalName"], result["entity"]["EntitySetName"]) == ("account", "accounts")
    assert result["csdl"].startswith("<?xml")


def test_the_lock_file_names_no_registry() -> None:
    """The package is installed from the registry in the settings of the user's npm."""
    lock = (HERE / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "://" not in lock
