"""The function app as a whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from shared.jobs.batch.lease_keeping import LEASE_SECONDS
from tests.functions.host import FunctionsHost

ROOT = Path(__file__).parents[2]
COLD = """
import sys
import function_app
print(*sys.modules)
"""
# Each takes longer to load than all that the import of the app needs.
HEAVY = {
    "duckdb",
    "pydantic",
    "requests",
    "msal",
    "azure.identity",
    "azure.storage",
    "azure.data",
    "sqlalchemy",
    "yaml",
}


@pytest.mark.runtime
def test_the_app_has_its_functions(host: FunctionsHost) -> None:
    """function_app.py registers all blueprints, and nothing else."""
    assert host.names == {"batch_job", "batch_sync", "console", "event_sync"}


def test_a_cold_import_is_quick() -> None:
    """What is heavy is loaded where it is first used; in Azure it is loaded ahead, see `shared.deployment`."""
    done = subprocess.run([sys.executable, "-c", COLD], cwd=ROOT, capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_the_hosts_file_is_as_the_app_needs_it() -> None:
    """Bundle, time limit, batch sizes, and errors that sampling leaves alone."""
    host = json.loads((ROOT / "host.json").read_text())
    assert host["extensionBundle"]["version"] == "[4.*, 5.0.0)"
    assert host["functionTimeout"] == "00:30:00"
    hubs = host["extensions"]["eventHubs"]
    assert (hubs["maxEventBatchSize"], hubs["prefetchCount"]) == (2000, 2000)
    # Otherwise Azure would start another instance only when so many more events wait as a call may get.
    # https://learn.microsoft.com/azure/azure-functions/functions-target-based-scaling
    assert hubs["targetUnprocessedEventThreshold"] == 500
    jobs = host["extensions"]["queues"]
    assert (jobs["batchSize"], jobs["newBatchThreshold"], jobs["messageEncoding"]) == (1, 0, "base64")
    # A message comes again when the lease of a worker that died has lapsed.
    assert jobs["visibilityTimeout"] == f"00:01:{LEASE_SECONDS - 50:02.0f}"
    sampling = host["logging"]["applicationInsights"]["samplingSettings"]
    assert "Exception" in sampling["excludedTypes"]


def test_the_example_sets_what_the_host_has_no_default_for() -> None:
    """Every %NAME% of a trigger is in local.settings.example.json."""
    values = json.loads((ROOT / "local.settings.example.json").read_text())["Values"]
    assert {"BATCH_SYNC_SCHEDULE", "EVENT_HUB_NAME", "EVENT_HUB_CONSUMER_GROUP"} <= values.keys()
