"""The package that is deployed, in Microsoft's runtime."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import duckdb
import pytest
from azure.storage.blob import BlobServiceClient
from pathspec import GitIgnoreSpec

from emulator.testing import RunningEmulator
from shared.app import App
from shared.settings import Settings
from tests.functions.conftest import ACCOUNTS, World
from tests.package.conftest import ROOT, Deployed, run
from tests.workbooks.xlsx import write_xlsx

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]

BATCH = (
    """
name: {name}
schedule: "0 * * * * *"
source:
  type: {kind}
  path: abfs://files/{path}
"""
    + ACCOUNTS
    + "sync_behaviour: {{sync_key: [accountnumber]}}\n"
)
BATCHES = {  # sync -> its kind of source and its file
    "customers": ("delimited", "customers.csv"),
    "workbook": ("excel", "customers.xlsx"),
    "lake": ("parquet", "customers.parquet"),
    "documents": ("json", "customers.json"),
}
EVENTS = (
    """
name: live
source:
  type: events
"""
    + ACCOUNTS
    + """sync_behaviour: {{sync_key: [accountnumber]}}
listener:
  name: live events
  auto_offset_reset: earliest
  topic: {{action: $.op}}
"""
)


def put(connection: str, container: str, name: str, content: bytes) -> None:
    """Write a blob; the container is made where it is missing."""
    with BlobServiceClient.from_connection_string(connection) as service:
        client = service.get_container_client(container)
        if not client.exists():
            client.create_container()
        client.upload_blob(name, content)


def files(folder: Path) -> dict[str, bytes]:
    """A file of each kind, by its name."""
    write_xlsx(folder / "customers.xlsx", {"Sales": [["number", "name"], ["x-1", "From a workbook"]]})
    with duckdb.connect() as database:
        database.execute(
            "COPY (SELECT 'p-1' AS number, 'From a lake' AS name) TO ? (FORMAT parquet)",
            [str(folder / "customers.parquet")],
        )
    (folder / "customers.json").write_text('[{"number": "j-1", "name": "From a document"}]', "utf-8")
    (folder / "customers.csv").write_text("number,name\nc-1,First\nc-2,Second\n", "utf-8")
    return {path.name: path.read_bytes() for path in folder.glob("customers.*")}


@pytest.fixture
def environment(emulator: RunningEmulator, storage_account: str, tmp_path: Path) -> dict[str, str]:
    """The settings of the deployed app: definitions, file and state in the storage account."""
    emulator.reset()
    known = {
        "service_url": emulator.service_url,
        "tenant_id": emulator.tenant_id,
        "client_id": emulator.client_id,
    }
    for name, (kind, path) in BATCHES.items():
        text = BATCH.format(name=name, kind=kind, path=path, **known)
        put(storage_account, "definitions", f"syncs/{name}.yaml", text.encode())
    put(storage_account, "definitions", "syncs/live.yaml", EVENTS.format(**known).encode())
    for name, content in files(tmp_path).items():
        put(storage_account, "files", name, content)
    return {
        "WEBSITE_SITE_NAME": "func-test",
        "AZURE_FUNCTIONS_ENVIRONMENT": "Production",
        "AzureWebJobsStorage": storage_account,
        "SYNC_DEFINITIONS": "abfs://definitions/syncs",
        "DATAVERSE_SECRET": emulator.client_secret,
        "BATCH_SYNC_SCHEDULE": "0 * * * * *",
        "EVENT_HUB_NAME": "dynamics-sync",
        "EVENT_HUB_CONSUMER_GROUP": "event-sync",
        "PYTHONDONTWRITEBYTECODE": "1",
        "WEBSITE_AUTH_ENABLED": "True",
    }


@pytest.mark.azurite
def test_all_functions_run_from_the_package(
    deployed: Deployed, environment: dict[str, str], emulator: RunningEmulator, tmp_path: Path
) -> None:
    """A tick reads definitions by abfs URLs, its jobs read a file of each kind by one, an event is applied, the console shows its pages, and the account has the state."""
    program = [str(deployed.python), str(ROOT / "tests" / "package" / "program.py"), str(deployed.folder), str(ROOT)]
    said = run(program, environment=environment, cwd=tmp_path)
    sys.stdout.write(said)  # how long it took to load: `pytest -rP tests/package` shows it
    assert "['batch_job', 'batch_sync', 'console', 'event_sync']" in said
    app = App(Settings.load(environment))
    runs = {(run.sync, run.trigger, run.state) for run in app.state.runs()}
    assert runs >= {(name, "timer", "Succeeded") for name in BATCHES}
    app.state.close()
    assert World(folder=tmp_path, emulator=emulator).accounts() == {
        "c-1": "First",
        "c-2": "Second",
        "x-1": "From a workbook",
        "p-1": "From a lake",
        "j-1": "From a document",
        "live-1": "From an event",
    }


def test_packages_for_another_python_are_reported_when_the_app_is_loaded(deployed: Deployed) -> None:
    """The host shows the message at deployment, and no function is called with packages that cannot be imported."""
    if sys.version_info[:2] == (3, 13):
        pytest.skip("this is the version that the packages are built for")
    program = f"import sys; sys.path[:0] = [{str(deployed.folder)!r}, {str(deployed.packages)!r}]; import function_app"
    interpreter = getattr(sys, "_base_executable", sys.executable)  # without this environment's packages
    done = subprocess.run(
        [interpreter, "-I", "-c", program],
        env={"WEBSITE_SITE_NAME": "func-test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    here = ".".join(map(str, sys.version_info[:2]))
    assert f"runs on Python {here}, but its packages were built for Python 3.13" in done.stderr


def test_the_package_holds_what_the_functions_need_and_nothing_else(deployed: Deployed) -> None:
    """No tests, docs, command line or development files; every package is in the lock of the deployment."""
    with zipfile.ZipFile(deployed.folder.parent / "dynamics-sync.zip") as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {
        "LICENSE",
        "batch_sync",
        "console",
        "event_sync",
        "function_app.py",
        "host.json",
        "requirements.txt",
        "shared",
        "syncs",
    }
    assert not [name for name in names if name.startswith("shared/cli/")]
    installed = {path.name for path in deployed.packages.iterdir()}
    assert not installed & {"rich", "typer", "pygments", "click", "uvicorn", "pytest"}
    assert not [name for name in installed if name.startswith("opentelemetry_instrumentation")]


def test_installed_packages_pass_the_ignore_file() -> None:
    """A package that was built with its packages is uploaded whole; other hidden folders are not."""
    spec = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text("utf-8").splitlines())
    assert not spec.match_file(".python_packages/lib/site-packages/duckdb/__init__.py")
    assert spec.match_file(".git/config")
    assert spec.match_file(".venv/bin/python")
    assert spec.match_file(".env")
