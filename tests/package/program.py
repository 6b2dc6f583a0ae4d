"""Run in the environment of the deployed app: load the package in Microsoft's runtime and fire all triggers.

    python program.py FOLDER TESTS

FOLDER holds the unpacked package with its packages in `.python_packages`, TESTS is the folder above `tests`.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path

folder, tests = Path(sys.argv[1]), sys.argv[2]
# As the worker does: the app's packages come before its own, and the app before both.
sys.path[:0] = [str(folder), str(folder / ".python_packages" / "lib" / "site-packages")]
sys.path.append(tests)

from tests.functions.host import FunctionsHost  # noqa: E402 - needs the path above
from tests.functions.payloads import Event, Payload, events, http_request, queue_message, timer  # noqa: E402 - needs the path above

CLAIMS = [{"typ": "oid", "val": "ann"}, {"typ": "roles", "val": "Sync.Admin"}]
SIGNED_IN = {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps({"claims": CLAIMS}).encode()).decode()}
begun = time.perf_counter()
with FunctionsHost(folder) as host:
    print(f"loaded in {time.perf_counter() - begun:.1f} s", sorted(host.names))  # noqa: T201 - read by the test
    body = b'{"op": "c", "number": "live-1", "name": "From an event"}'

    def fire(name: str, payload: Payload) -> None:
        """Fire a trigger; its function must succeed."""
        done = host.fire(name, payload)
        assert done.succeeded, done.error + done.trace

    fire("batch_sync", timer())
    from shared.app import current  # after the host has put the app on the path

    for job in current().state.open_jobs():
        fire("batch_job", queue_message(job.id))
    fire("event_sync", events([Event(body=body)]))
    page = host.fire("console", http_request("/api/status", headers=SIGNED_IN)).answer
    assert page.status_code == "200", page
    for path in ("/", "/syncs/live", "/syncs/live/edit", "/jobs", "/audit", "/new"):
        page = host.fire("console", http_request(path, headers=SIGNED_IN)).answer
        assert page.status_code == "200", (path, page)
import shared  # noqa: E402 - likewise

assert Path(shared.__file__ or "").is_relative_to(folder), shared.__file__
