"""A test environment for syncs: a local Dataverse, a folder of definitions, an app, and checks for every run."""

from __future__ import annotations

import csv
import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from emulator.testing import RunningEmulator, running
from shared.app import App
from shared.dataverse import MetadataCache
from shared.jobs import PlanOptions, PlanReport, RunOptions, RunSummary
from shared.jobs.progress import Progress
from shared.settings import Settings
from shared.state import StateStore
from tests.store_in_front import Act, StoreInFront

__all__ = ["World", "accounted_for", "world"]


def accounted_for(done: RunSummary) -> RunSummary:
    """Every row has exactly one result, on both sides, and every planned change has one outcome."""
    for side in (done.source, done.target):
        assert side.processed == side.verified + side.rejected + side.filtered, side
    marked = (done.expired, done.deactivated, done.marked, done.reactivated)
    changes = (done.created, done.updated, done.deleted, *marked, done.upserted)
    planned, applied = sum(change.planned for change in changes), sum(change.done for change in changes)
    assert planned == applied + done.adopted + done.edited + done.failed + done.skipped, changes
    if done.strategy == "full":
        assert done.source.verified >= done.created.planned + done.updated.planned
    return done


@dataclass(slots=True, kw_only=True)
class World:
    """One folder with an emulator beside it.

    Attributes:
        parts: Further arguments of the app, such as its clock.
        metadata: The tables that apps of this world have read: as in a process that lives long, a further run only asks
            for the version.
    """

    folder: Path
    emulator: RunningEmulator
    environment: dict[str, str]
    parts: Mapping[str, Any] = field(default_factory=dict)
    metadata: MetadataCache = field(default_factory=MetadataCache)
    app: App = field(init=False)

    def __post_init__(self) -> None:
        self.reopen()

    def csv(self, rows: Sequence[Mapping[str, object]], name: str = "source.csv") -> Path:
        """Write a source file."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def define(self, definition: Mapping[str, Any] | str, name: str = "accounts") -> str:
        """Write a definition file and return the sync's name."""
        text = definition if isinstance(definition, str) else yaml.safe_dump({"name": name, **definition})
        (self.folder / "syncs" / f"{name}.yaml").write_text(text, "utf-8")
        self.reopen()
        return name

    def reopen(self, state: StateStore | None = None) -> None:
        """Open the app again, so that it reads the current definitions; with its state in a file, or in another store."""
        settings = Settings.load(
            {"SYNC_DEFINITIONS": str(self.folder / "syncs"), "STATE_STORE": f"sqlite:///{self.folder / 'state.db'}"}
        )
        self.app = App(settings, read_environment=lambda: self.environment, **{"state": state, **self.parts})
        self.app.wiring._metadata = self.metadata

    def forget(self) -> None:
        """Remove the state. Its store is closed first: a file of SQLite must not be removed while it is open."""
        self.app.state.close()
        for file in self.folder.glob("state.db*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        self.reopen()

    @contextmanager
    def store_in_front(self, **before: Act) -> Iterator[StoreInFront]:
        """Work with a store in front of that of the app, within the block; see `StoreInFront`."""
        behind = self.app.state
        store = StoreInFront(behind, **before)
        self.reopen(store)
        try:
            yield store
        finally:
            self.reopen(behind)

    def run(
        self,
        name: str = "accounts",
        *,
        parameters: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> RunSummary:
        """Run a sync and check that every row is accounted for; the options are those of `RunOptions`."""
        return accounted_for(self.app.run(name, parameters, RunOptions(**options), progress=progress))

    def plan(
        self, name: str = "accounts", *, parameters: Mapping[str, Any] | None = None, **options: Any
    ) -> PlanReport:
        """Plan a sync; the options are those of `PlanOptions`."""
        return self.app.plan(name, parameters, PlanOptions(**options))

    def records(self, query: str) -> list[dict[str, Any]]:
        """All records that a query finds, over every page."""
        found: list[dict[str, Any]] = []
        url: str | None = self.emulator.service_url + query.replace(" ", "%20")
        token = self.emulator.token()
        while url:
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=30) as response:
                page = json.load(response)
            found += page["value"]
            url = page.get("@odata.nextLink")
        return found

    def create(self, table: str, record: Mapping[str, object]) -> str:
        """Create a record; returns its id."""
        answer = self._write("POST", table, record)
        return str(answer.headers["OData-EntityId"]).rpartition("(")[2].rstrip(")")

    def update(self, path: str, record: Mapping[str, object], *, as_user: str = "") -> None:
        """Update a record by its path, such as ``accounts(…)``; as another user, by its id in `systemuser`."""
        self._write("PATCH", path, record, as_user)

    def _write(self, method: str, path: str, record: Mapping[str, object], as_user: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self.emulator.token()}", "Content-Type": "application/json"}
        headers |= {"MSCRMCallerID": as_user} if as_user else {}
        url, body = self.emulator.service_url + path, json.dumps(record).encode()
        return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=30)


def accounts(**changes: Any) -> dict[str, Any]:
    """A definition from source.csv (number, name, city, revenue) into accounts; keys override by name."""
    definition: dict[str, Any] = {
        "parameters": {"service_url": {"formula": "ENV('DYNAMICS_URL')"}, "file_path": {"formula": "ENV('SOURCE')"}},
        "source": {
            "type": "delimited",
            "path": "@file_path",
            "columns": [
                {"name": "number", "mandatory": True, "validate": True},
                {"name": "name", "trim": True},
                {"name": "city"},
                {"name": "revenue", "type": "number", "validate": True},
            ],
        },
        "destination": {
            "type": "dynamics",
            "entity": "account",
            "service_url": "@service_url",
            "client_id": {"env": "DYNAMICS_CLIENT_ID"},
            "client_secret": {"env": "DYNAMICS_CLIENT_SECRET"},
            "id_column": "accountid",
            "mappings": [
                {"source": "number", "target": "accountnumber"},
                {"source": "name", "target": "name"},
                {"source": "city", "target": "address1_city"},
                {"source": "revenue", "target": "revenue"},
            ],
        },
        "sync_behaviour": {"sync_key": ["accountnumber"]},
    }
    for key, value in changes.items():
        definition[key] = {**definition.get(key, {}), **value} if isinstance(value, dict) else value
    return definition


@contextmanager
def world(folder: Path, *, tables: Mapping[str, Any] | None = None, **options: Any) -> Iterator[World]:
    """A fresh emulator and an app that knows it; a process of its own for `in_thread=False`.

    Args:
        folder: Where the definitions and files are.
        tables: A schema of tables beside those that are built in.
        **options: Those of the emulator.
    """
    (folder / "syncs").mkdir(parents=True, exist_ok=True)
    if tables is not None:
        schema = folder / "schema.yaml"
        schema.write_text(yaml.safe_dump(dict(tables), sort_keys=False, allow_unicode=True), "utf-8")
        options["schema"] = [schema]
    with running(**{"in_thread": True, **options}) as emulator:
        environment = {
            "DYNAMICS_URL": emulator.service_url,
            "DYNAMICS_CLIENT_ID": emulator.client_id,
            "DYNAMICS_CLIENT_SECRET": emulator.client_secret,
            "SOURCE": str(folder / "source.csv"),
        }
        yield World(folder=folder, emulator=emulator, environment=environment)
