"""Many syncs that are due at once, run as jobs by several worker processes: is anyone left behind, and what does it cost?

    python -m benchmarks.jobs [--syncs 200] [--workers 4] [--users 2] [--rows 20] [--requests 60] [--window 10]

Each sync has a file of its own and one of the application users, which may send so many requests in a window of seconds.
The state is in Azurite (the first call installs it with npm). One tick makes the jobs; each worker process takes one
message at a time, as an instance does. Prints for the whole how long it took and what the limits of the users alone
would allow, and for each user the most jobs at once. Exits with 1 where a sync did not succeed, or a slot did not hold.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from batch_sync.tick import Tick
from emulator.testing import RunningEmulator, running
from shared.app import App
from shared.settings import Settings
from shared.state import RunRecord
from tests.azurite.server import ACCOUNTS, Azurite

ROOT = Path(__file__).parents[1]
TICK_SECONDS = 20.0
# What a worker loads for its first job.
LOADED = "import batch_sync.tick, shared.sources.delimited, shared.state.azure, tests.functions.queue_host"
DEFINITION = """
name: {name}
schedule: "0 0 0 1 1 *"
source:
  type: delimited
  path: {file}
  columns:
    - {{name: number, mandatory: true, validate: true}}
    - {{name: name, max_length: 160}}
destination:
  type: dynamics
  entity: account
  service_url: {url}
  tenant_id: {tenant}
  client_id: {user}
  client_secret: {{env: DATAVERSE_SECRET}}
  id_column: accountid
  filter: "startswith(accountnumber,'{name}-')"
  mappings:
    - {{source: number, target: accountnumber}}
    - {{source: name, target: name}}
sync_behaviour: {{sync_key: [accountnumber]}}
"""


def define(folder: Path, server: RunningEmulator, number: int, user: str, rows: int) -> str:
    """Write one sync and its file; its name."""
    name = f"sync-{number:03}"
    file = folder / f"{name}.csv"
    lines = "".join(f"{name}-{row},Account {row}\n" for row in range(rows))
    file.write_text(f"number,name\n{lines}")
    text = DEFINITION.format(name=name, file=file, url=server.service_url, tenant=server.tenant_id, user=user)
    (folder / "syncs" / f"{name}.yaml").write_text(text)
    return name


def most_at_once(runs: Sequence[RunRecord]) -> int:
    """The most runs that were at work at one moment."""
    moments = [(run.started, 1) for run in runs] + [(run.ended or run.started, -1) for run in runs]
    at_work = most = 0
    for _, change in sorted(moments):
        at_work += change
        most = max(most, at_work)
    return most


def worked_off(app: App, workers: Sequence[subprocess.Popen[bytes]]) -> float:
    """Wait until no job is open, with a tick now and then as the timer has it; the seconds that it took."""
    begin = time.monotonic()
    next_tick = begin
    while not app.state.runs(limit=1) or app.state.open_jobs():
        if time.monotonic() >= next_tick:
            Tick(app=app, now=datetime.now(UTC), seconds=600).run()
            next_tick = time.monotonic() + TICK_SECONDS
        if any(worker.poll() is not None for worker in workers):
            raise SystemExit("a worker has ended")
        time.sleep(0.5)
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name, default in (("syncs", 200), ("workers", 4), ("users", 2), ("rows", 20), ("requests", 60), ("window", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    users = [f"00000000-0000-4000-8000-{number:012}" for number in range(given.users)]
    azurite = Azurite()
    with ExitStack() as stack:
        stack.callback(azurite.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobs-")))
        limits = f"requests={given.requests},window={given.window}"
        server = stack.enter_context(running(limits=limits, client_id=users))
        (folder / "syncs").mkdir()
        user_of = {
            define(folder, server, number, users[number % given.users], given.rows): users[number % given.users]
            for number in range(given.syncs)
        }
        values = {
            "SYNC_DEFINITIONS": str(folder / "syncs"),
            "STATE_STORE": "azure",
            "AzureWebJobsStorage": azurite.connection_string(ACCOUNTS[0]),
            "DATAVERSE_SECRET": server.client_secret,
            "WORKSPACE_MEMORY": "128MB",
        }
        app = App(Settings.load(values), read_environment=lambda: {**os.environ, **values})
        # An installed program has its bytecode; without it each worker would compile all modules for itself.
        environment = {**os.environ, **values, "WORKER_IDLE": "3600", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, env=environment, check=True)
        workers = [
            subprocess.Popen([sys.executable, "-m", "tests.functions.queue_host"], cwd=ROOT, env=environment)
            for _ in range(given.workers)
        ]
        for worker in workers:
            stack.callback(worker.kill)
        seconds = worked_off(app, workers)
        report(app, user_of, given, seconds)


def report(app: App, user_of: dict[str, str], given: argparse.Namespace, seconds: float) -> None:
    """Print the figures.

    Raises:
        SystemExit: A sync did not succeed once, or more jobs of a user than slots were at work.
    """
    runs = app.state.runs(limit=10 * given.syncs)
    ended = sorted((run.ended or run.started) for run in runs)
    first = min(run.started for run in runs)
    requests = {
        user: sum(run.counts["requests"] for run in runs if user_of[run.sync] == user) for user in set(user_of.values())
    }
    bound = (max(requests.values()) - given.requests) / given.requests * given.window
    most = {user: most_at_once([run for run in runs if user_of[run.sync] == user]) for user in requests}
    waits = sorted((run.started - first).total_seconds() for run in runs)
    print(f"{len(runs)} runs of {given.syncs} syncs in {seconds:.1f} s; the limits of the users alone: {bound:.1f} s")
    print(f"requests by user: {sorted(requests.values())}; refused: {sum(run.counts['throttled'] for run in runs)}")
    print(f"jobs of one user at once: {sorted(most.values())}; slots: {app.settings.jobs_per_user}")
    print(
        f"begun after (s): median {waits[len(waits) // 2]:.1f}, last {waits[-1]:.1f}; last end {(ended[-1] - first).total_seconds():.1f}"
    )
    states = {run.state for run in runs}
    if states != {"Succeeded"} or len(runs) != given.syncs or max(most.values()) > app.settings.jobs_per_user:
        raise SystemExit(f"states {states}")


if __name__ == "__main__":
    main()
