"""Microsoft's asynchronous Python client, unmodified, against the emulator over TLS.

It runs in a process of its own: its HTTP library reads the trusted certificates when it is imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from emulator.testing import RunningEmulator, running

PROGRAM = """
import asyncio, json, sys, time
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.aio import AsyncDataverseClient
from PowerPlatform.Dataverse.models.upsert import UpsertItem

class Credential:
    async def get_token(self, *scopes, **options):
        return AccessToken(sys.argv[2], int(time.time()) + 3599)
    async def close(self):
        pass
    async def __aenter__(self):
        return self
    async def __aexit__(self, *failure):
        pass

async def main():
    async with AsyncDataverseClient(sys.argv[1], Credential()) as client:
        made = await client.records.create("account", {"name": "One", "accountnumber": "A1"})
        two = await client.records.create("account", [{"name": "Two"}, {"name": "Three"}])
        await client.records.update("account", made, {"name": "First"})
        await client.records.upsert("account", [UpsertItem(alternate_key={"accountnumber": "A2"}, record={"name": "Four"})])
        key = await client.tables.create_alternate_key("account", "new_phone", ["telephone3"], display_name="Phone")
        read = await client.records.retrieve("account", made, select=["name"])
        await client.records.delete("account", two[0])
        names = [row["name"] for row in await client.records.list("account", select=["name"])]
        print(json.dumps({"name": read["name"], "key": key.metadata_id, "names": names}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running(tls=True) as emulator:
        yield emulator


def test_the_asynchronous_client_works_unchanged(emulator: RunningEmulator) -> None:
    """It looks for headers in the letters in which the service writes them, such as `OData-EntityId`."""
    emulator.reset()
    trusted = {**os.environ, "SSL_CERT_FILE": str(emulator.ca_file)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, emulator.base_url, emulator.token()],
        env=trusted,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["name"] == "First"
    assert found["key"]
    assert set(found["names"]) == {"First", "Three", "Four"}
