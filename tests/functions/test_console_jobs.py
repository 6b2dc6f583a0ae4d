"""Jobs of the console in Microsoft's runtime: asked for over HTTP, run through the queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from console.access.person import HEADER
from console.deployed import middleware
from shared.app import current
from tests.console.conftest import principal
from tests.functions.conftest import NIGHTLY, World
from tests.functions.host import FunctionsHost
from tests.functions.payloads import http_request, queue_message
from tests.functions.queue_host import QueueListener

pytestmark = [pytest.mark.azurite, pytest.mark.runtime]


@pytest.fixture
def listener(
    host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch, storage_account: str
) -> Iterator[QueueListener]:
    """What delivers the messages of jobs to the function; the state is in Azure."""
    for name, value in {
        "STATE_STORE": "azure",
        "AzureWebJobsStorage": storage_account,
        "WEBSITE_AUTH_ENABLED": "True",
    }.items():
        monkeypatch.setenv(name, value)
    current.cache_clear()
    middleware.cache_clear()

    def call(job_id: str) -> None:
        done = host.fire("batch_job", queue_message(job_id))
        assert done.succeeded, done.error + done.trace

    opened = QueueListener(storage_account, call)
    yield opened
    opened.close()
    if (queue := current().queue) is not None:
        queue.close()  # type: ignore[attr-defined]  # of Azure
    middleware.cache_clear()


def test_a_plan_is_made_and_applied_through_the_queue(
    host: FunctionsHost, world: World, listener: QueueListener
) -> None:
    """Each post sends a message at once; the tick of the timer is not waited for."""
    world.define("customers", schedule=NIGHTLY, more="permissions: {execute: [Operators], read: [Operators]}\n")

    def asked(path: str, method: str = "GET", **body: Any) -> Any:
        headers = {HEADER: principal("Operators"), "content-type": "application/json"}
        more = {"body": json.dumps(body).encode()} if method == "POST" else {}
        done = host.fire("console", http_request(path, method=method, headers=headers, **more))
        assert done.succeeded, done.error + done.trace
        return json.loads(done.answer.body.bytes or done.answer.body.string)

    job = asked("/api/syncs/customers/jobs", "POST", kind="plan")["id"]
    assert listener.drain() == [job]
    assert asked(f"/api/jobs/{job}")["plan"] == f"/api/plans/{job}"
    assert asked(f"/api/plans/{job}")["plan"]["planned"]["created"] == 3
    assert world.accounts() == {}
    applying = asked(f"/api/plans/{job}/apply", "POST")["id"]
    assert listener.drain() == [applying]
    run = asked(f"/api/jobs/{applying}")["run"]
    assert asked(run)["run"]["state"] == "Succeeded"
    assert len(world.accounts()) == 3
