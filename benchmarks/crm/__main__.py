"""A relational data set loaded end to end: products, companies with parents, deals with customer, owner and product.

    python -m benchmarks.crm FOLDER

FOLDER has the files of the public data set "CRM Sales Opportunities" of a fictitious hardware seller: accounts.csv,
products.csv, sales_pipeline.csv and sales_teams.csv. The sales agents are made users of a local Dataverse first. Then each
sync runs twice; the second run must have nothing to do. Errors of the data are listed by kind.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tempfile
import urllib.request
from pathlib import Path

from emulator.testing import RunningEmulator, running
from shared.app import App
from shared.jobs import RunSummary
from shared.settings import Settings

HERE = Path(__file__).parent
SYNCS = ("products", "companies", "deals")
HEAD = (
    "| sync | rows | created | adopted | rejected | failed | second run: writes | requests | time, s |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    with tempfile.TemporaryDirectory(prefix="crm-") as place, running(schema=[HERE / "schema.yaml"]) as emulator:
        make_users(emulator, folder / "sales_teams.csv")
        app = opened(emulator, Path(place))
        print(HEAD)
        first = [once_and_again(app, name, folder) for name in SYNCS]
    print()
    for run in first:
        for error in run.errors:
            column = f" in {error.column}" if error.column else ""
            print(f"- {run.sync}: {error.count:,} × {error.error_type}{column}: {error.message}")


def make_users(emulator: RunningEmulator, file: Path) -> None:
    """The sales agents as users of the environment."""
    with file.open(encoding="utf-8") as text:
        for row in csv.DictReader(text):
            first, _, last = row["sales_agent"].partition(" ")
            request = urllib.request.Request(
                f"{emulator.service_url}systemusers",
                json.dumps({"firstname": first, "lastname": last}).encode(),
                {"Authorization": f"Bearer {emulator.token()}", "Content-Type": "application/json"},
                method="POST",
            )
            urllib.request.urlopen(request, timeout=30).close()


def opened(emulator: RunningEmulator, place: Path) -> App:
    """The app with the definitions of this folder."""
    syncs = place / "syncs"
    syncs.mkdir()
    for name in SYNCS:
        shutil.copy(HERE / f"{name}.yaml", syncs)
    environment = {
        "DYNAMICS_URL": emulator.service_url,
        "DYNAMICS_CLIENT_ID": emulator.client_id,
        "DYNAMICS_CLIENT_SECRET": emulator.client_secret,
    }
    settings = Settings.load({"SYNC_DEFINITIONS": str(syncs), "STATE_STORE": f"sqlite:///{place / 'state.db'}"})
    return App(settings, read_environment=lambda: environment)


def once_and_again(app: App, name: str, folder: Path) -> RunSummary:
    """Run a sync twice, print its row of the table, and return the first run."""
    run, again = (app.run(name, {"folder": str(folder)}) for _ in range(2))
    changed = sum(part.done for part in (again.created, again.updated, again.deleted))
    print(
        f"| {name} | {run.source.processed:,} | {run.created.done:,} | {run.adopted:,} | {run.source.rejected:,} "
        f"| {run.failed:,} | {changed:,} | {run.requests:,} | {run.elapsed_seconds:.1f} |",
        flush=True,
    )
    return run


if __name__ == "__main__":
    main()
