"""A local Dataverse for the benchmarks: the emulator in a separate process, with several application users."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from ssl import create_default_context
from typing import Any
from uuid import UUID, uuid5

from emulator.testing import RunningEmulator, running

ROOT = Path(__file__).resolve().parent.parent
_APPLICATIONS = UUID("3d7c1a52-90be-4f6a-8c11-5e2f9a40b7d3")


def client_ids(users: int) -> list[str]:
    """The application ids that may sign in, all with the same secret."""
    return [str(uuid5(_APPLICATIONS, str(number))) for number in range(users)]


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
    applications = client_ids(users)
    with running(tls=True, client_id=applications, **options) as emulator:
        if emulator.pid is None:
            raise SystemExit(
                "The emulator must run in a separate process, so that its CPU time is measured separately."
            )
        yield Local(emulator=emulator, users=tuple(applications), pid=emulator.pid)
