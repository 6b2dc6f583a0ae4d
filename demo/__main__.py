"""Run the main job on a local Dataverse: plan, run, run again with nothing to do, then a few events."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from demo.customers import write_customers, write_events

FOLDER = Path(".demo")
FILE = FOLDER / "customers.csv"
DEFINITIONS = FOLDER / "syncs"
EXAMPLE = Path("syncs/customers.yaml")
KEPT_PORT = 5080
# What a command in another terminal needs.
SHOWN = ("DYNAMICS_URL", "DYNAMICS_CLIENT_ID", "DYNAMICS_CLIENT_SECRET", "STATE_STORE")
COMPLETED = (0, 2)  # 2: completed, and some rows were rejected, which is what this file is for


def say(text: str = "") -> None:
    """Print at once, so that it stands before what the commands print."""
    print(text, flush=True)  # noqa: T201 - telling is what a demo does


def title(text: str) -> None:
    """Print a heading."""
    say(f"\n\033[1m── {text} {'─' * max(0, 96 - len(text))}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


@contextmanager
def emulator(*, port: int) -> Iterator[dict[str, str]]:
    """Start a local Dataverse; yield what its start line says."""
    command = [sys.executable, "-m", "emulator", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise SystemExit("The local Dataverse did not start; its message is above.")
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
        "SYNC_DEFINITIONS": str(DEFINITIONS),
    }


def write_definition() -> None:
    """Copy the example of this repository, with the file of the demo as its source: people may change the copy."""
    DEFINITIONS.mkdir()
    text = EXAMPLE.read_text("utf-8").replace("syncs/data/customers.csv", FILE.as_posix())
    (DEFINITIONS / EXAMPLE.name).write_text(text, "utf-8")


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


def next_steps(environment: Mapping[str, str], *, keep: bool) -> None:
    """How to go on: with the data of the demo as long as its Dataverse runs, and with one's own."""
    title("Next steps")
    say(f"  The definition of this demo: {DEFINITIONS / EXAMPLE.name}")
    if keep:
        say("  Look at the data of this demo, in another terminal, from this folder:")
        for name in SHOWN:
            say(f"    export {name}={environment[name]}")
        say("    .venv/bin/dynamics-sync runs")
        say("    .venv/bin/dynamics-sync errors last")
        say(f"    .venv/bin/dynamics-sync plan customers -p file_path={FILE}")
    else:
        say("  Look at it in a browser: make console")
        say("  Leave the local Dataverse running, to try other commands: make demo KEEP=1")
    say("  Use your own data: this command makes a folder with a first definition, and prints what to do next:")
    say("    .venv/bin/dynamics-sync init my-syncs")
    if keep:
        say("  It uses the local Dataverse of this demo, as long as that runs: its first command is not needed then.")
    say("  Documentation by task: README.md and docs/")


def wait_for_ctrl_c() -> None:
    """Keep the local Dataverse until a person ends it."""
    say("\nThe local Dataverse runs until you press Ctrl-C.")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(60)


def serve_console(environment: Mapping[str, str]) -> None:
    """Serve the console over what the demo has done, until a person ends it."""
    title("The console")
    program = Path(sys.executable).with_name("dynamics-sync")
    with suppress(KeyboardInterrupt):
        subprocess.run([str(program), "console"], env=dict(environment), check=False)  # noqa: S603 - our own program


def main(arguments: Sequence[str]) -> int:
    """Show the main job; 1 when it does not keep its promises."""
    console = "--console" in arguments
    keep = "--keep" in arguments or console
    begun = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    write_customers(FILE)
    write_definition()
    # A Dataverse that stays has the port that the settings of `dynamics-sync init` name.
    with emulator(port=KEPT_PORT if keep else 0) as local:
        environment = settings(local)
        title(f"A local Dataverse answers at {local['service_url']}")
        say(f"The source is {FILE}: 5,000 customers, some of them with typical mistakes.")
        title("The plan: nothing is written yet")
        command(environment, "plan", "customers", "--limit", "2")
        title("Do it")
        command(environment, "run", "customers")
        title("Run it again: no changes")
        again = json.loads(command(environment, "run", "customers", "--json", quiet=True))
        done = {name: again[name]["done"] for name in ("created", "updated", "deleted")}
        say(", ".join(f"{name} {count}" for name, count in done.items()) + f", unchanged {again['unchanged']:,}")
        say(f"{again['requests']} requests, {again['writes']} of them writes")
        title("Real time: six events, two of them bad")
        events = write_events(FOLDER / "events.ndjson")
        command(environment, "events", "customers", str(events))
        command(environment, "dead-letters")
        say(f"\nThe demo took {time.monotonic() - begun:.0f} s.")
        next_steps(environment, keep=keep)
        if console:
            serve_console(environment)
        elif keep:
            wait_for_ctrl_c()
    return 1 if any(done.values()) or again["writes"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
