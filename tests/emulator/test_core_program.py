"""The program: its start line, its options, the files that it reads and writes, and how it ends."""

import json
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client, key_status
from tests.waiting import until_true

ROOT = Path(__file__).resolve().parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "emulator", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_the_start_line_has_everything_that_a_client_needs() -> None:
    """One line of JSON, and the service answers as soon as it is printed."""
    command = [sys.executable, "-m", "emulator", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert set(facts) == {"service_url", "tenant_id", "authority", "client_id", "client_secret"}
        assert facts["service_url"].startswith("http://127.0.0.1:")
        assert facts["service_url"].endswith("/api/data/v9.2/")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(facts["service_url"])
        with refused.value as answer:
            assert answer.code == 401
            assert answer.headers["WWW-Authenticate"].startswith(
                f"Bearer authorization_uri={facts['authority']}/{facts['tenant_id']}/oauth2/authorize"
            )
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in {0, -signal.SIGTERM}


def test_tls_is_trusted_through_the_authority_that_is_named() -> None:
    """A client with `ca_file` can connect; a client without it cannot."""
    with running(tls=True) as emulator:
        assert emulator.service_url.startswith("https://")
        assert emulator.ca_file is not None
        assert emulator.stats()["requests"]["total"] == 0
        with pytest.raises(urllib.error.URLError) as refused:
            urllib.request.urlopen(emulator.base_url + "/_emulator/stats")
        assert isinstance(refused.value.reason, ssl.SSLCertVerificationError)


def test_rows_in_a_file_are_available_after_a_restart(tmp_path: Path) -> None:
    """So are versions and deletions, and old rows have the new columns."""
    file = tmp_path / "rows.db"
    with running(db=file) as emulator, Client(emulator) as client:
        client.upsert([{"accountnumber": "1", "name": "A"}, {"accountnumber": "2", "name": "B"}])
        first = client.send("GET", "accounts?$select=name", Prefer="odata.track-changes").json()
        client.send("DELETE", "accounts(accountnumber='2')")
        version = client.send("GET", "accounts(accountnumber='1')").headers["ETag"]
    schema = tmp_path / "more.yaml"
    schema.write_text(
        yaml.safe_dump({"Account": {"columns": {"new_Code": {"type": "String"}}, "keys": {"code": ["new_code"]}}})
    )
    with running(db=file, schema=[schema]) as emulator, Client(emulator) as client:
        assert client.send("GET", "accounts(accountnumber='1')").headers["ETag"] == version
        link = first["@odata.deltaLink"].partition("/api/data/v9.2/")[2]
        assert [one["reason"] for one in client.send("GET", link).json()["value"]] == ["deleted"]
        assert client.send("PATCH", "accounts(accountnumber='1')", {"new_code": "x"}).status_code == 204
        assert client.send("GET", "accounts(new_code='X')?$select=name").json()["name"] == "A"


def test_a_file_with_a_changed_schema_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file, schema = tmp_path / "rows.db", tmp_path / "more.yaml"
    schema.write_text(yaml.safe_dump({"Account": {"columns": {"new_Code": {"type": "String"}}}}))
    with running(db=file, schema=[schema]) as emulator, Client(emulator) as client:
        client.send("POST", "accounts", {"new_code": "x"})
    schema.write_text(yaml.safe_dump({"Account": {"columns": {"new_Code": {"type": "Integer"}}}}))
    ended = _run("--port", "0", "--db", str(file), "--schema", str(schema))
    assert ended.returncode == 2
    assert "the column new_code of the table account that were stored as String" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_seeds_are_loaded_from_yaml_and_csv(tmp_path: Path) -> None:
    """Rows are written as request bodies are; a CSV file has the name of its table."""
    (tmp_path / "some.yaml").write_text(
        "accounts: [{name: A, accountnumber: '1'}, {name: B}]\n"
        "contacts: [{lastname: L, parentcustomerid_account@odata.bind: accounts(accountnumber='1')}]\n"
    )
    (tmp_path / "accounts.csv").write_text("name,numberofemployees,creditonhold,fax\nC,12,true,\n")
    seeds = [f"some={tmp_path / 'some.yaml'}", f"more={tmp_path / 'accounts.csv'}"]
    with running(seed=seeds) as emulator, Client(emulator) as client:
        assert emulator.seed("some") == {"accounts": 2, "contacts": 1}
        assert emulator.seed("more") == {"accounts": 1}
        row = client.send("GET", "accounts?$filter=name eq 'C'&$select=numberofemployees,creditonhold,fax").json()[
            "value"
        ][0]
        assert (row["numberofemployees"], row["creditonhold"], row["fax"]) == (12, True, None)
        with pytest.raises(urllib.error.HTTPError) as refused:
            emulator.seed("other")
        refused.value.close()


def test_a_seed_with_a_bad_row_loads_nothing(tmp_path: Path) -> None:
    """All rows or none."""
    (tmp_path / "bad.yaml").write_text("accounts: [{name: A}, {nme: B}]\n")
    with running(in_thread=True, seed=[f"bad={tmp_path / 'bad.yaml'}"]) as emulator, Client(emulator) as client:
        with pytest.raises(urllib.error.HTTPError) as refused:
            emulator.seed("bad")
        refused.value.close()
        assert client.names() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--schema", "none.yaml"], "none.yaml can't be read"),
        (["--limits", "speed=1"], "'speed' is not a limit"),
        (["--row-ms", "fly=1"], "fly: not an operation"),
        (["--seed", "x"], "write SET=FILE"),
        (["--collation", "Latin1"], "not a collation"),
        (["--db", "/no/such/folder/rows.db"], "unable to open database file"),
    ],
)
def test_invalid_options_are_refused_with_a_sentence(arguments: list[str], said: str) -> None:
    """Exit code 2, and no traceback."""
    ended = _run("--port", "0", *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_collation_can_be_chosen() -> None:
    """In an accent-sensitive collation, accents make keys different."""
    with running(in_thread=True, collation="Finnish_Swedish_CI_AS") as emulator, Client(emulator) as client:
        assert (
            client.upsert([{"accountnumber": "e", "name": "A"}, {"accountnumber": "é", "name": "B"}]).status_code == 204
        )
        assert client.send("GET", "accounts(accountnumber='E')?$select=name").json()["name"] == "A"


def test_a_reset_restores_the_schema_and_empties_the_tables() -> None:
    """Tables, columns and keys that were created through metadata are removed as well."""
    with running(in_thread=True) as emulator, Client(emulator) as client:
        made = {
            "SchemaName": "new_Thing",
            "Attributes": [
                {
                    "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
                    "SchemaName": "new_Name",
                    "IsPrimaryName": True,
                }
            ],
        }
        assert client.send("POST", "EntityDefinitions", made).status_code == 204
        key = {"SchemaName": "new_fax_key", "KeyAttributes": ["fax"]}
        assert client.send("POST", "EntityDefinitions(LogicalName='account')/Keys", key).status_code == 204
        assert key_status(client, "account", "new_fax_key") == "Active"
        assert client.send("POST", "accounts", {"name": "A", "fax": "1"}).status_code == 204
        assert client.send("POST", "accounts", {"name": "A", "fax": "1"}).status_code == 412
        emulator.reset()
        assert client.send("GET", "new_things").status_code == 404
        assert client.names() == []
        for _ in range(2):
            assert client.send("POST", "accounts", {"name": "A", "fax": "1"}).status_code == 204


def test_several_applications_sign_in_and_have_limits_of_their_own() -> None:
    """Each is a user: if one is at its limit, the other is not affected."""
    with running(in_thread=True, client_id=["one", "two"], limits="requests=3,window=300") as emulator:
        assert (emulator.client_id, list(emulator.client_ids)) == ("one", ["one", "two"])
        users = [_statuses(emulator, client, 4) for client in emulator.client_ids]
        assert users == [[200, 200, 200, 429]] * 2
    with running(in_thread=True) as emulator:
        assert not emulator.client_ids


def _statuses(emulator: RunningEmulator, client: str, count: int) -> list[int]:
    with Client(emulator) as session:
        session.headers = {"Authorization": f"Bearer {emulator.token(client)}"}
        return [session.send("GET", "WhoAmI").status_code for _ in range(count)]


def test_a_reset_waits_for_abandoned_requests() -> None:
    """A request whose client has disconnected does not write into the tables of the next test."""
    with running() as emulator, Client(emulator) as client:
        emulator.faults({"action": "delay", "seconds": 600, "match": {"method": "POST"}})
        with ThreadPoolExecutor() as pool:
            late = pool.submit(client.send, "POST", "accounts", {"name": "Late"})
            until_true(lambda: bool(emulator.stats()["in_flight"]["now"]))
            emulator.reset()
            assert late.result().status_code == 204
        assert client.names() == []
