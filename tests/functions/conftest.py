"""The app in Microsoft's runtime, and a Dataverse for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from emulator.testing import RunningEmulator, running
from shared.app import App, current
from tests.functions.host import FunctionsHost

ROOT = Path(__file__).parents[2]
# Columns and destination of every sync here; a definition goes on behind it, in the destination.
ACCOUNTS = """  columns:
    - {{name: number, mandatory: true, validate: true}}
    - {{name: name, max_length: 160}}
destination:
  type: dynamics
  entity: account
  service_url: {service_url}
  tenant_id: {tenant_id}
  client_id: {client_id}
  client_secret: {{env: DATAVERSE_SECRET}}
  id_column: accountid
  mappings:
    - {{source: number, target: accountnumber}}
    - {{source: name, target: name}}
"""
# A sync that never ran is due at once, and then not for years: no minute that passes makes it due a second time.
NIGHTLY = "0 0 3 29 2 *"
DEFINITION = (
    """
name: {name}
schedule: "{schedule}"
source:
  type: delimited
  path: {file}
"""
    + ACCOUNTS
    + """  filter: "startswith(accountnumber,'{name}-')"
sync_behaviour: {{sync_key: [accountnumber], dropped: delete}}
"""
)


@pytest.fixture(scope="session")
def emulator() -> Iterator[RunningEmulator]:
    """A Dataverse for the session."""
    with running(in_thread=True) as server:
        yield server


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a test has: a folder of definitions with files, an empty Dataverse, and the app with the settings for both."""

    folder: Path
    emulator: RunningEmulator

    @property
    def app(self) -> App:
        """The app as the functions see it."""
        return current()

    def define(self, name: str, *, rows: int = 3, schedule: str = NIGHTLY, more: str = "") -> None:
        """Write a sync of accounts and its file."""
        self.write(name, [(f"{name}-{number}", f"Account {number}") for number in range(rows)])
        server = self.emulator
        text = DEFINITION.format(
            name=name,
            schedule=schedule,
            file=self.folder / f"{name}.csv",
            service_url=server.service_url,
            tenant_id=server.tenant_id,
            client_id=server.client_id,
        )
        (self.folder / "syncs" / f"{name}.yaml").write_text(text + more)

    def write(self, name: str, rows: list[tuple[str, str]]) -> None:
        """Write the file of a sync."""
        lines = ["number,name", *(",".join(row) for row in rows)]
        (self.folder / f"{name}.csv").write_text("\n".join(lines) + "\n")

    def put(self, number: str) -> None:
        """Create an account."""
        headers = {"Authorization": f"Bearer {self.emulator.token()}"}
        url = f"{self.emulator.service_url}accounts"
        requests.post(url, json={"accountnumber": number}, headers=headers, timeout=10).raise_for_status()

    def accounts(self, prefix: str = "") -> dict[str, str]:
        """Names of the accounts in Dataverse by their number."""
        condition = quote(f"startswith(accountnumber,'{prefix}')")
        url = f"{self.emulator.service_url}accounts?$select=accountnumber,name&$filter={condition}"
        headers = {"Authorization": f"Bearer {self.emulator.token()}"}
        found: list[dict[str, Any]] = []
        while url:
            answer = requests.get(url, headers=headers, timeout=10)
            answer.raise_for_status()
            found += answer.json()["value"]
            url = answer.json().get("@odata.nextLink", "")
        return {row["accountnumber"]: row["name"] for row in found}


@pytest.fixture
def world(emulator: RunningEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A fresh world; the app's settings point to it."""
    emulator.reset()
    (tmp_path / "syncs").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "SYNC_DEFINITIONS": str(tmp_path / "syncs"),
        "STATE_STORE": f"sqlite:///{tmp_path / 'state.db'}",
        "DATAVERSE_SECRET": emulator.client_secret,
        "WORKSPACE_MEMORY": "256MB",
    }.items():
        monkeypatch.setenv(name, value)
    current.cache_clear()
    yield World(folder=tmp_path, emulator=emulator)
    if "state" in vars(current()):  # opened by this test
        current().state.close()
    current.cache_clear()


@pytest.fixture(scope="session")
def host() -> Iterator[FunctionsHost]:
    """The app in the runtime."""
    with FunctionsHost(ROOT) as running_host:
        yield running_host
