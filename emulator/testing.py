"""An emulator for tests: start it, call it and stop it from Python.

It runs as a separate process and tests call it over HTTP, as users do. With `in_thread=True` it runs in the process of
the test, which starts faster and is useful for property tests.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any, Final
from urllib.parse import urlencode

from emulator.http.options import Options
from emulator.http.server import Server

__all__ = ["RunningEmulator", "running"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEmulator:
    """The address and credentials of an emulator, and its `/_emulator` paths as methods."""

    service_url: str
    tenant_id: str
    authority: str
    client_id: str
    client_secret: str
    client_ids: Sequence[str] = ()  # only if there are several applications
    ca_file: str | None = None
    pid: int | None = None

    @property
    def base_url(self) -> str:
        """The address without a path, `http://127.0.0.1:5080`."""
        return self.service_url.partition("/api/")[0]

    def token(self, client_id: str | None = None) -> str:
        """Returns a new access token, by default for the first application."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id or self.client_id,
            "client_secret": self.client_secret,
            "scope": f"{self.base_url}/.default",
        }
        content = self._call("POST", f"/{self.tenant_id}/oauth2/v2.0/token", urlencode(form).encode())
        return str(content["access_token"])

    def stats(self) -> dict[str, Any]:
        """Returns the counters."""
        return self._call("GET", "/_emulator/stats")

    def log(self) -> list[dict[str, Any]]:
        """Returns the last requests, oldest first."""
        entries: list[dict[str, Any]] = self._call("GET", "/_emulator/log")["log"]
        return entries

    def faults(self, faults: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
        """Queues faults, one or several, as `POST /_emulator/faults` takes them."""
        self._call("POST", "/_emulator/faults", json.dumps(faults).encode())

    def clear_faults(self) -> None:
        """Removes all faults; requests that wait because of a delay go on."""
        self._call("DELETE", "/_emulator/faults")

    def credentials(self, *, certificates: Sequence[str] = (), federated: Sequence[Mapping[str, Any]] = ()) -> None:
        """Replaces the certificates (PEM, without keys) and federated credentials of all applications."""
        given = {"certificates": list(certificates), "federated": list(federated)}
        self._call("PUT", "/_emulator/credentials", json.dumps(given).encode())

    def calls(self) -> list[dict[str, Any]]:
        """Returns the calls of declared actions, oldest first."""
        recorded: list[dict[str, Any]] = self._call("GET", "/_emulator/calls")["calls"]
        return recorded

    def seed(self, name: str) -> dict[str, int]:
        """Loads a set of rows and returns the number of rows by table."""
        counts: dict[str, int] = self._call("POST", f"/_emulator/seed/{name}", b"")["seeded"]
        return counts

    def reset(self) -> None:
        """Removes all rows, counters, used limits and faults.

        Waits first until no request is running: a request that its client has abandoned could otherwise write rows
        after the reset.
        """
        self.clear_faults()
        give_up = time.monotonic() + _START_SECONDS
        while self.stats()["in_flight"]["now"] and time.monotonic() < give_up:
            time.sleep(0.02)
        self._call("POST", "/_emulator/reset", b"")

    def _call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(self.base_url + path, data=body, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, context=self._context(), timeout=_START_SECONDS) as response:  # noqa: S310 - loopback
            content: dict[str, Any] = json.load(response)
        return content

    def _context(self) -> SSLContext | None:
        return create_default_context(cafile=self.ca_file) if self.ca_file else None


def _arguments(options: Mapping[str, Any]) -> list[str]:
    """Turns `latency_ms=5, tls=True, schema=[a, b]` into command-line arguments."""
    arguments = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(option)
        elif isinstance(value, (list, tuple)):
            for part in value:
                arguments += [option, str(part)]
        elif value is not None and value is not False:
            arguments += [option, str(value)]
    return arguments


@contextmanager
def running(*, in_thread: bool = False, **options: Any) -> Iterator[RunningEmulator]:
    """Runs an emulator on a free port for the length of a `with` block.

    Args:
        in_thread: Run it in this process instead of a separate one.
        **options: The options of the command line, with underscores: `latency_ms=5`,
            `limits="requests=10"`, `tls=True`, `schema=[path]`, `db=path`, `servers=2`, `client_id=["one", "two"]`.

    Raises:
        RuntimeError: The emulator does not start.
    """
    arguments = _arguments({"port": 0, **options})
    with _thread(arguments) if in_thread else _process(arguments) as emulator:
        yield emulator


@contextmanager
def _process(arguments: Sequence[str]) -> Iterator[RunningEmulator]:
    command = [sys.executable, "-m", "emulator", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, text=True) as process:  # noqa: S603 - the emulator itself
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"The emulator did not start: exit code {process.wait(_STOP_SECONDS)}")
            yield RunningEmulator(**json.loads(line), pid=process.pid)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _thread(arguments: Sequence[str]) -> Iterator[RunningEmulator]:
    ready = threading.Event()
    facts: dict[str, Any] = {}

    def announce(given: Mapping[str, Any]) -> None:
        facts.update(given)
        ready.set()

    server = Server(Options.parse(list(arguments)), announce)
    thread = threading.Thread(target=server.run_here, daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_SECONDS):
            raise RuntimeError("The emulator did not start")
        yield RunningEmulator(**facts)
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)
