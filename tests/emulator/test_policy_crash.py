"""A killed server has executed each request completely or not at all."""

import os
import signal
import threading
from pathlib import Path

import pytest
import requests

from emulator.testing import running
from tests.emulator.http_client import Client

BATCH = 700


def load_until_refused(client: Client) -> int:
    """Upsert one bulk message after the other, and return how many were acknowledged."""
    acknowledged = 0
    while True:
        first = acknowledged * BATCH
        rows = [{"accountnumber": f"K{number}", "name": f"n{number}"} for number in range(first, first + BATCH)]
        try:
            assert client.upsert(rows).status_code == 204
        except requests.RequestException:
            return acknowledged
        acknowledged += 1


def count_rows(client: Client) -> int:
    """Count by reading all pages: the service's own count stops at 5,000."""
    page = client.send("GET", "accounts?$select=name", Prefer="odata.maxpagesize=5000").json()
    found = len(page["value"])
    while "@odata.nextLink" in page:
        path = page["@odata.nextLink"].partition("/api/data/v9.2/")[2]
        page = client.send("GET", path, Prefer="odata.maxpagesize=5000").json()
        found += len(page["value"])
    return found


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill without asking")
@pytest.mark.parametrize("seconds", [0.05, 0.17, 0.31])
def test_after_a_kill_a_bulk_message_is_complete_or_absent(tmp_path: Path, seconds: float) -> None:
    """`kill -9` during a load: all acknowledged messages are stored, and no message is stored in part."""
    file = tmp_path / "rows.db"
    with running(db=file, limits="none") as emulator, Client(emulator) as client:
        pid = emulator.pid
        assert pid is not None
        killer = threading.Timer(seconds, os.kill, (pid, signal.SIGKILL))
        client.upsert([{"accountnumber": "warm", "name": "warm"}])
        killer.start()
        acknowledged = load_until_refused(client)
        killer.join()
    with running(db=file, limits="none") as emulator, Client(emulator) as client:
        found = count_rows(client)
    assert (found - 1) % BATCH == 0
    assert (found - 1) // BATCH in {acknowledged, acknowledged + 1}
