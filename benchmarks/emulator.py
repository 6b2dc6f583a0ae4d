"""How many rows a second the emulator takes in and gives out, so that it is not what another benchmark measures.

    python benchmarks/emulator.py [--rows 50000] [--batch 1000] [--file]

Starts one emulator process without limits or time model and talks to it over one connection. Requests are made ready
before the clock starts. Rows have eight columns; they are upserted by alternate key twice, which creates and then updates
them, and read back in pages of 5,000. Rates are given per second of wall clock and per second of the server's own CPU
time; on a machine with something else to do the latter is the one to compare. Prints a Markdown table on standard error
and one JSON object on standard output.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

SELECT = "name,accountnumber,telephone1,address1_city,numberofemployees,revenue,creditonhold,industrycode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Rows per second of wall clock and of the server's CPU time."""

    rows: int
    wall_seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> int:
        """Rows per second of wall clock."""
        return round(self.rows / self.wall_seconds)

    @property
    def per_cpu_second(self) -> int:
        """Rows per second of CPU time."""
        return round(self.rows / self.cpu_seconds) if self.cpu_seconds else 0


class Server:
    """A running emulator and one connection to it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise SystemExit("The emulator did not start")
        self.start: dict[str, str] = json.loads(line)
        self.pid = process.pid
        parts = urlsplit(self.start["service_url"])
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)
        form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": self.start["client_id"],
                "client_secret": self.start["client_secret"],
                "scope": f"{parts.scheme}://{parts.netloc}/.default",
            }
        )
        self.headers = {"Content-Type": "application/x-www-form-urlencoded"}
        token = json.loads(self.send("POST", f"/{self.start['tenant_id']}/oauth2/v2.0/token", form.encode()))[
            "access_token"
        ]
        self.headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Prefer": "odata.maxpagesize=5000",
        }

    def send(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send one request and return the answer's body."""
        self.connection.request(method, path, body, self.headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content

    def cpu_seconds(self) -> float:
        """CPU time the server has used so far, or 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def measure(self, rows: int, work: Callable[[], object]) -> Rate:
        """Time a piece of work that touches so many rows."""
        cpu, wall = self.cpu_seconds(), time.perf_counter()
        work()
        return Rate(rows=rows, wall_seconds=time.perf_counter() - wall, cpu_seconds=self.cpu_seconds() - cpu)


@contextmanager
def serving(*options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "emulator", "--port", "0", "--limits", "none", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.terminate()


def payloads(rows: int, batch: int, turn: str) -> list[bytes]:
    """Bodies of UpsertMultiple, all rows in order."""
    bodies = []
    for first in range(0, rows, batch):
        targets = [target(number, turn) for number in range(first, min(first + batch, rows))]
        bodies.append(json.dumps({"Targets": targets}).encode())
    return bodies


def target(number: int, turn: str) -> dict[str, Any]:
    return {
        "@odata.type": "Microsoft.Dynamics.CRM.account",
        "@odata.id": f"accounts(accountnumber='K{number:08}')",
        "name": f"Company {number} {turn}",
        "telephone1": f"+49 30 {number:07}",
        "address1_city": f"City {number % 997}",
        "numberofemployees": number % 5003,
        "revenue": number * 7919 % 100_000_000 / 100,
        "creditonhold": number % 2 == 0,
        "industrycode": number % 33 + 1,
    }


def read_pages(server: Server) -> int:
    link, count = f"/api/data/v9.2/accounts?$select={SELECT}", 0
    while link:
        page = json.loads(server.send("GET", link))
        count += len(page["value"])
        following = urlsplit(page.get("@odata.nextLink", ""))
        link = f"{following.path}?{following.query}" if following.path else ""
    return count


def raw_pages(server: Server, links: list[str]) -> None:
    for link in links:
        server.send("GET", link)


def page_links(server: Server) -> list[str]:
    """The links of all pages, so that reading them again takes no time of the client's to parse."""
    links = [f"/api/data/v9.2/accounts?$select={quote(SELECT, safe=',')}"]
    while True:
        following = urlsplit(json.loads(server.send("GET", links[-1])).get("@odata.nextLink", ""))
        if not following.path:
            return links
        links.append(f"{following.path}?{following.query}")


def upsert(server: Server, bodies: list[bytes]) -> None:
    for body in bodies:
        server.send("POST", "/api/data/v9.2/accounts/Microsoft.Dynamics.CRM.UpsertMultiple", body)


def measure(rows: int, batch: int, *options: str) -> dict[str, Any]:
    created, updated = payloads(rows, batch, "a"), payloads(rows, batch, "b")
    with serving(*options) as server:
        rates = {
            "upsert_creating": server.measure(rows, lambda: upsert(server, created)),
            "upsert_updating": server.measure(rows, lambda: upsert(server, updated)),
        }
        found = read_pages(server)
        if found != rows:
            raise SystemExit(f"{found} rows came back instead of {rows}")
        links = page_links(server)
        rates["read_pages"] = server.measure(rows, lambda: raw_pages(server, links))
    results = {
        name: {**asdict(rate), "per_second": rate.per_second, "per_cpu_second": rate.per_cpu_second}
        for name, rate in rates.items()
    }
    return {"rows": rows, "batch": batch, "in_memory": not options, **results}


def markdown(result: dict[str, Any]) -> str:
    names = ("upsert_creating", "upsert_updating", "read_pages")
    head = ["rows", "batch", *(f"{name} rows/s" for name in names), *(f"{name} rows/CPU s" for name in names)]
    cells = [f"{result['rows']:,}", f"{result['batch']:,}"]
    cells += [f"{result[name]['per_second']:,}" for name in names]
    cells += [f"{result[name]['per_cpu_second']:,}" for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---:"] * len(head), cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--batch", type=int, default=1000, help="Targets per bulk message")
    parser.add_argument("--file", action="store_true", help="keep the rows in a file instead of in memory")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = ("--db", str(Path(folder) / "rows.db")) if arguments.file else ()
        result = measure(arguments.rows, arguments.batch, *options)
    print(markdown(result), file=sys.stderr)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
