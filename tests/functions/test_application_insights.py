"""What Application Insights gets: a tick and a batch of events in a process of its own, whose exporter is Microsoft's."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.functions.conftest import World
from tests.functions.test_event_sync import listen

pytestmark = pytest.mark.runtime

ROOT = Path(__file__).parents[2]
KEY = "11111111-2222-3333-4444-555555555555"
PROGRAM = """
import sys
from pathlib import Path
from tests.functions.host import FunctionsHost
from tests.functions.payloads import Event, events, timer

with FunctionsHost(Path(sys.argv[1])) as host:
    for name, payload in (
        ("batch_sync", timer()),
        ("event_sync", events([Event(body=b'{"op": "c", "number": "live-1", "name": "Secret Ltd"}'),
                               Event(body=b"poison of Secret Ltd")])),
    ):
        done = host.fire(name, payload)
        assert done.succeeded, done.error + done.trace
"""


class Ingestion:
    """The part of Application Insights that takes telemetry."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.text = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def connection_string(self) -> str:
        url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        return f"InstrumentationKey={KEY};IngestionEndpoint={url};LiveEndpoint={url}"

    def take(self, body: bytes) -> int:
        text = body.decode()
        items = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
        self.items += items
        self.text += text
        return len(items)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(ingestion: Ingestion) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            count = ingestion.take(body) if "track" in self.path else 0
            self._answer(200, {"itemsReceived": count, "itemsAccepted": count, "errors": []})

        def do_GET(self) -> None:
            self._answer(404, {})

        def _answer(self, status: int, value: object) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    server = Ingestion()
    yield server
    server.stop()


@pytest.fixture
def told(world: World, ingestion: Ingestion) -> Ingestion:
    """What it got from a process that ran a sync and took two events."""
    world.define("customers")
    listen(world, "live")
    environment = os.environ | {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "True",  # the exporter's own, to Microsoft
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT)],
        cwd=world.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return ingestion


def spans(told: Ingestion) -> dict[str, dict[str, Any]]:
    """Spans by name."""
    found = [item["data"]["baseData"] for item in told.items if item["name"].endswith("RemoteDependency")]
    return {span["name"]: span for span in found}


def metric(told: Ingestion, name: str, **properties: str) -> float:
    """The value of a metric; there is one point with these properties."""
    (value,) = [
        point["value"]
        for item in told.items
        if item["name"].endswith("Metric") and properties.items() <= item["data"]["baseData"]["properties"].items()
        for point in item["data"]["baseData"]["metrics"]
        if point["name"] == name
    ]
    return float(value)


def test_the_telemetry_of_a_process_arrives_without_values(told: Ingestion) -> None:
    """Every span of a run and of a batch, every metric, no log that the host sends too, and nothing of a record."""
    found = spans(told)
    assert found.keys() == {
        "dynamics_sync.run",
        "dynamics_sync.events",
        *(f"dynamics_sync.{phase}" for phase in ("check", "load", "shape", "read", "reconcile", "write", "finish")),
    }
    assert found["dynamics_sync.run"]["properties"]["sync"] == "customers"
    assert all(span["success"] for span in found.values())
    assert metric(told, "dynamics_sync.runs", sync="customers", trigger="timer", state="Succeeded") == 1
    assert metric(told, "dynamics_sync.rows", sync="customers", action="created") == 3
    assert metric(told, "dynamics_sync.requests", sync="customers") > 0
    assert metric(told, "dynamics_sync.events", sync="live", result="insert") == 1
    assert metric(told, "dynamics_sync.dead_letters", sync="live", error="Undecodable") == 1
    assert metric(told, "dynamics_sync.events.lag", sync="live") > 0
    assert {item["iKey"] for item in told.items} == {KEY}
    assert not [item for item in told.items if item["name"].endswith("Message")]
    assert "Secret Ltd" not in told.text
    assert "Account 1" not in told.text
