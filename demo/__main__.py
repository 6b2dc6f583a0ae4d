"""Run the main job on a local Dataverse: plan, run, run again with nothing to do, then a few events."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo.customers import write_customers, write_events

FOLDER = Path(".demo")
FILE = FOLDER / "customers.csv"
COMPLETED = (0, 2)  # 2: completed, and some rows were rejected, which is what this file is for


def say(text: str = "") -> None:
    """Print at once, so that it stands before what the commands print."""
    print(text, flush=True)  # noqa: T201 - telling is what a demo does


def title(text: str) -> None:
    """Print a heading."""
    say(f"\n\033[1m── {text} {'─' * max(0, 96 - len(text))}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


@contextmanager
def emulator() -> Iterator[dict[str, str]]:
    """Start a local Dataverse; yield what its start line says."""
    process = subprocess.Popen([sys.executable, "-m", "emulator", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise SystemExit("The local Dataverse did not start; try: .venv/bin/python -m emulator")
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(timeout=10)


def settings(local: Mapping[str, str]) -> dict[str, str]:
    """The environment that the commands run in."""
    return {
        **os.environ,
        "DYNAMICS_URL": local["service_url"],
        "DYNAMICS_CLIENT_ID": local["client_id"],
        "DYNAMICS_CLIENT_SECRET": local["client_secret"],
        "STATE_STORE": f"sqlite:///{FOLDER / 'state.db'}",
        "SYNC_DEFINITIONS": "syncs",
    }


def command(environment: Mapping[str, str], *words: str, quiet: bool = False) -> str:
    """Run one command as a person would type it; return its standard output when `quiet`."""
    if not quiet:
        say(f"$ dynamics-sync {' '.join(words)}")
    program = Path(sys.executable).with_name("dynamics-sync")
    done = subprocess.run(  # noqa: S603 - our own program
        [str(program), *words], env=dict(environment), stdout=subprocess.PIPE if quiet else None, text=True, check=False
    )
    if done.returncode not in COMPLETED:
        raise SystemExit(f"dynamics-sync {' '.join(words)} ended with {done.returncode}")
    return done.stdout or ""


def main() -> int:
    """Show the main job; 1 when it does not keep its promises."""
    begun = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    write_customers(FILE)
    with emulator() as local:
        environment = settings(local)
        title(f"A local Dataverse answers at {local['service_url']}")
        say(f"The source is {FILE}: 5,000 customers, some of them with typical mistakes.")
        title("The plan: nothing is written yet")
        command(environment, "plan", "customers", "-p", f"file_path={FILE}", "--limit", "2")
        title("Do it")
        command(environment, "run", "customers", "-p", f"file_path={FILE}")
        title("Run it again: no changes")
        again = json.loads(command(environment, "run", "customers", "-p", f"file_path={FILE}", "--json", quiet=True))
        done = {name: again[name]["done"] for name in ("created", "updated", "deleted")}
        say(", ".join(f"{name} {count}" for name, count in done.items()) + f", unchanged {again['unchanged']:,}")
        say(f"{again['requests']} requests, {again['writes']} of them writes")
        title("Real time: six events, two of them bad")
        events = write_events(FOLDER / "events.ndjson")
        command(environment, "events", "customers", str(events))
        command(environment, "dead-letters")
        title("Next steps")
        say("  dynamics-sync runs                 the execution log    (STATE_STORE=sqlite:///.demo/state.db)")
        say("  syncs/customers.yaml               the definition of this demo")
        say("  .venv/bin/python -m emulator       a local Dataverse to try your own definitions on")
        say("  docs/                              documentation by task; start with README.md")
    say(f"\nThe demo took {time.monotonic() - begun:.0f} s.")
    return 1 if any(done.values()) or again["writes"] else 0


if __name__ == "__main__":
    sys.exit(main())
