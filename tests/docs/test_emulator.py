"""The examples of docs/emulator.md work against an emulator."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from emulator.testing import RunningEmulator, running

PAGE = Path("docs/emulator.md").read_text("utf-8")
LOCAL = "http://127.0.0.1:5080"
needs_tools = pytest.mark.skipif(
    not (shutil.which("curl") and shutil.which("jq")), reason="curl or jq is not installed, which the page uses"
)


def block(language: str, part: str) -> str:
    """The only block of a language with a text in it."""
    (found,) = [
        text for text in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if part in text
    ]
    return str(found)


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of the page: a table with a column and a key more, and a relationship with all its names."""
    path = tmp_path_factory.mktemp("schema") / "tables.yml"
    path.write_text(
        yaml.safe_dump(yaml.safe_load(block("yaml", "new_Project:")) | yaml.safe_load(block("yaml", "intersect:")))
    )
    return path


@pytest.fixture(scope="module")
def one(schemas: Path) -> Iterator[RunningEmulator]:
    with running(in_thread=True, schema=schemas) as started:
        yield started


@pytest.fixture
def here(one: RunningEmulator) -> RunningEmulator:
    one.reset()
    return one


def typed(here: RunningEmulator, text: str) -> str:
    """What a shell prints for lines of the page, with the address and the client of this emulator."""
    given = {
        "AUTHORITY": here.base_url,
        "SERVICE_URL": here.service_url,
        "TENANT_ID": here.tenant_id,
        "CLIENT_ID": here.client_id,
        "CLIENT_SECRET": here.client_secret,
        "token": here.token(),
    }
    script = "set -e -o pipefail\n" + text.replace(LOCAL, here.base_url).replace("curl ", "curl -sS --fail-with-body ")
    done = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **given}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sent(here: RunningEmulator, path: str, body: Any) -> dict[str, Any]:
    """Create a row; gives it back."""
    command = (
        f'curl -X POST "${{SERVICE_URL}}{path}" -H "Authorization: Bearer $token" -H \'Content-Type: application/json\' '
        f"-H 'Prefer: return=representation' -d @-"
    )
    answer: dict[str, Any] = json.loads(typed(here, f"{command} <<'BODY'\n{json.dumps(body)}\nBODY"))
    return answer


@needs_tools
def test_curl_signs_in_writes_and_reads(here: RunningEmulator) -> None:
    """The row that was written is found."""
    printed = typed(here, block("sh", "-X PATCH"))
    assert printed.count('"Contoso"') == 2
    assert '"accountnumber":"A1"' in printed.replace('": "', '":"')


@needs_tools
def test_a_fault_is_set_by_curl(here: RunningEmulator) -> None:
    """The next request has no answer."""
    typed(here, block("sh", "drop_after"))
    with pytest.raises(AssertionError, match=r"Empty reply|reset|closed"):
        sent(here, "accounts", {"name": "Lost"})


@needs_tools
def test_related_rows_are_created_in_one_request(here: RunningEmulator) -> None:
    """The body of the page, after its lead was created."""
    body = json.loads(block("json", "accountleads_association"))
    (lead,) = re.findall(r"leads\(([^)]+)\)", json.dumps(body))
    sent(here, "leads", {"leadid": lead, "subject": "One", "lastname": "Meyer"})
    sent(here, "accounts", body)
    assert here.stats()["rows"]["create"] >= 5


@needs_tools
def test_an_opportunity_is_closed_and_an_email_has_parties(here: RunningEmulator) -> None:
    """With ids in place of the dots."""
    opportunity = sent(here, "opportunities", {"name": "One"})["opportunityid"]
    typed(here, block("sh", "WinOpportunity").replace("(…)", f"({opportunity})"))
    contact = sent(here, "contacts", {"lastname": "Meyer"})["contactid"]
    (user,) = set(
        re.findall(
            r'"systemuserid": ?"([^"]+)"',
            typed(here, 'curl "${SERVICE_URL}systemusers?\\$top=1" -H "Authorization: Bearer $token"'),
        )
    )
    email = block("json", "email_activity_parties").replace("systemusers(…)", f"systemusers({user})")
    sent(here, "emails", json.loads(email.replace("contacts(…)", f"contacts({contact})")))


def test_the_counters_have_the_keys_of_the_page(here: RunningEmulator) -> None:
    """Those that do not depend on what was done."""
    shown = json.loads(block("json", '"in_flight"'))
    assert set(here.stats()) == set(shown)
    assert set(here.stats()["requests"]) == set(shown["requests"])


def test_the_example_with_the_sdk_of_microsoft_signs_in_and_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a credential of azure-identity, over TLS."""
    with running(in_thread=True, tls=True) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        given: dict[str, Any] = {name: getattr(server, name) for name in ("tenant_id", "client_id", "client_secret")}
        text = block("python", "DataverseClient").replace(LOCAL.replace("http:", "https:"), server.base_url)
        exec(text, given)  # noqa: S102 - the text of our own page
        with given["client"] as client:
            made = client.records.create("account", {"name": "Contoso"})
            assert client.records.retrieve("account", made)["name"] == "Contoso"
        given["credential"].close()


def test_the_example_for_pytest_has_what_it_says() -> None:
    """It starts, and each name in its comments is there."""
    text = block("python", "emulator.testing")
    names = re.findall(r"\.([a-z_]+)\b", text.partition("...")[2])
    assert len(names) > 5
    missing: list[str] = []

    def look(started: RunningEmulator) -> None:
        missing.extend(name for name in names if not hasattr(started, name))

    exec(text.replace("    ...", "    look(emulator)"), {"look": look})  # noqa: S102 - the text of our own page
    assert missing == []


def test_the_tables_of_the_page_are_there(one: RunningEmulator) -> None:
    """Its own table, the column that it adds to another one, and the relationship."""
    described = set(re.findall(r'(?:EntityType|EntitySet) Name="(\w+)"', _metadata(one)))
    assert {"new_project", "new_projects", "new_project_contactset"} <= described
    assert "new_erpid" in _metadata(one)


def _metadata(one: RunningEmulator) -> str:
    return typed(one, 'curl "${SERVICE_URL}\\$metadata" -H "Authorization: Bearer $token"')
