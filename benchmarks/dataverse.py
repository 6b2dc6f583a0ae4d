"""A local Dataverse for the benchmarks: the emulator in a process of its own, with several application users.

    python -m benchmarks.dataverse USERS [the emulator's options]

Prints the emulator's line of JSON when it is ready.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from ssl import create_default_context
from typing import Any
from uuid import UUID, uuid5

from emulator.auth import Authority, Credentials
from emulator.options import Options
from emulator.server import Server
from emulator.testing import RunningEmulator

ROOT = Path(__file__).resolve().parent.parent
_APPLICATIONS = UUID("3d7c1a52-90be-4f6a-8c11-5e2f9a40b7d3")


def client_ids(first: str, users: int) -> list[str]:
    """The application ids that may sign in, all with the same secret."""
    return [first, *(str(uuid5(_APPLICATIONS, str(number))) for number in range(1, users))]


def serve(users: int, arguments: list[str]) -> None:
    """Run an emulator that knows so many applications, until the process is stopped."""
    options = Options.parse(arguments)
    server = Server(options, lambda facts: print(json.dumps(facts), flush=True))
    application: Any = server.config.app
    credentials = tuple(
        Credentials(client_id=client, client_secret=options.client_secret)
        for client in client_ids(options.client_id, users)
    )
    authority = Authority(tenant_id=options.tenant_id, credentials=credentials)
    application.policies = replace(application.policies, authority=authority)
    server.run_here()


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A running emulator.

    Attributes:
        users: Application ids that may sign in.
    """

    emulator: RunningEmulator
    users: tuple[str, ...]
    pid: int

    def environment(self) -> dict[str, str]:
        """What a measured program is told about it; TLS is trusted, and nothing goes through a proxy."""
        facts = {f"BENCH_{name.upper()}": str(value) for name, value in asdict(self.emulator).items() if value}
        trust = {"REQUESTS_CA_BUNDLE": self.emulator.ca_file} if self.emulator.ca_file else {}
        return {**os.environ, **trust, **facts, "BENCH_USERS": ",".join(self.users), "NO_PROXY": "127.0.0.1"}

    def seed(self, name: str) -> None:
        """Load a set of rows, however long it takes."""
        url = f"{self.emulator.base_url}/_emulator/seed/{name}"
        context = create_default_context(cafile=self.emulator.ca_file) if self.emulator.ca_file else None
        with urllib.request.urlopen(urllib.request.Request(url, data=b"", method="POST"), context=context) as answer:
            answer.read()

    def cpu_seconds(self) -> float:
        """User and system time of the emulator so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(*, users: int = 1, **options: Any) -> Iterator[Local]:
    """Run an emulator with TLS for the length of a `with` block; options are its command line's, with underscores."""
    command = [sys.executable, "-m", "benchmarks.dataverse", str(users), "--port", "0", "--tls", *_arguments(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SystemExit(f"The emulator did not start: {' '.join(command)}")
            emulator = RunningEmulator(**json.loads(line), pid=process.pid)
            yield Local(emulator=emulator, users=tuple(client_ids(emulator.client_id, users)), pid=process.pid)
        finally:
            process.terminate()
            process.wait()


def _arguments(options: Mapping[str, Any]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))]


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2:])
