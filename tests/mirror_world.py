"""A sync with a mirror against the emulator, without a socket between, and the same sync without one."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from shared.dataverse import Connection, Dataverse, MetadataCache, Request, Response
from shared.dataverse.write.controller import Controller, Sizes
from shared.definitions import Column, ParameterValue, SyncDefinition
from shared.jobs import PlanReport, RunOptions, RunSummary
from shared.jobs.batch.job import ApprovedPlan, BatchJob, PlanOptions, Tools
from shared.jobs.batch.plans.planning import plan_batch
from shared.jobs.batch.run import run_batch
from shared.jobs.progress import NoProgress
from shared.state import StateStore
from shared.transform import SOURCE_ERRORS
from shared.workspace import Workspace
from tests.emulator_transport import SERVICE, EmulatorTransport, FixedToken
from tests.mortal_transport import Death, MortalTransport
from tests.quick_clock import QuickClock

__all__ = [
    "KEY",
    "NOTE",
    "SET",
    "TABLE",
    "TEXT",
    "LateClock",
    "Source",
    "Sync",
    "created",
    "edit",
    "expiring",
    "items",
    "made_again",
    "transport",
]

TABLE, SET = "new_item", "new_items"
KEY, TEXT, NOTE = "new_number", "new_text", "new_note"
SCHEMA: dict[str, Any] = {
    TABLE: {
        "entity_set": SET,
        "columns": {
            **{name: {"type": "String", "length": 50} for name in (KEY, TEXT, NOTE)},
        },
    },
}
Source = Mapping[str, str | None]  # key -> text


@cache
def transport() -> EmulatorTransport:
    """One emulator for all tests of a process; its columns are made anew by tests that remove them."""
    with TemporaryDirectory() as folder:
        schema = Path(folder) / "schema.yaml"
        schema.write_text(yaml.safe_dump(SCHEMA), "utf-8")
        return EmulatorTransport(schema)


class _Recorded:
    """Counts the reads of a table, and lets a test act before a request."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.before: list[Any] = []
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        path = request.url.removeprefix(SERVICE)
        with self._lock:
            if path.startswith(SET) and request.method == "GET" and "$top=1" not in path:
                self.asked.append(path)
                for act in self.before:
                    act(path)
        return transport().send(request)

    def close(self) -> None:
        """Nothing is open."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """A source with rows from a list."""

    definition: SyncDefinition
    rows: Source

    @property
    def readable(self) -> tuple[str, ...]:
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        return self.definition.source.columns

    def load(self, workspace: Workspace) -> None:
        workspace.run(SOURCE_ERRORS)
        workspace.execute("CREATE TABLE source_raw (_row BIGINT, key VARCHAR, text VARCHAR)")
        for number, (key, text) in enumerate(self.rows.items(), 1):
            workspace.execute("INSERT INTO source_raw VALUES (?, ?, ?)", [number, key, text])


class LateClock(QuickClock):
    """A clock that a test moves on."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__()
        self._late = ahead

    def now(self) -> datetime:
        return super().now() + self._late


@dataclasses.dataclass(slots=True)
class Sync:
    """One sync with a mirror.

    Attributes:
        state: Has its mirror.
        name: Of the sync.
        destination: Keys of its destination beside the usual ones.
        behaviour: Keys of its behaviour beside the usual ones.
        network: Sends its requests.
    """

    state: StateStore
    name: str = "items"
    destination: dict[str, Any] = dataclasses.field(default_factory=dict)
    behaviour: dict[str, Any] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, ParameterValue] = dataclasses.field(default_factory=dict)
    clock: QuickClock = dataclasses.field(default_factory=QuickClock)
    network: _Recorded = dataclasses.field(default_factory=_Recorded)
    cache: MetadataCache = dataclasses.field(default_factory=MetadataCache)
    page_rows: int = 3

    def definition(self, *, mirror: bool = True) -> SyncDefinition:
        mappings = [{"source": "key", "target": KEY}, {"source": "text", "target": TEXT}]
        destination = {
            "type": "dynamics", "entity": TABLE, "service_url": SERVICE, "client_id": "app",
            "client_secret": {"env": "SECRET"}, "id_column": "new_itemid", "mappings": mappings, "mirror": mirror,
        }  # fmt: skip
        return SyncDefinition.model_validate(
            {
                "name": self.name,
                "source": {"type": "delimited", "path": "x", "columns": [{"name": "key"}, {"name": "text"}]},
                "destination": {**destination, **self.destination, "mirror": mirror},
                "sync_behaviour": {"sync_key": [KEY], "dropped": "delete", **self.behaviour},
            }
        )

    def plan(self, source: Source, *, mirror: bool = True) -> PlanReport:
        """A plan by way of the mirror, or without one."""
        with self._work(source, mirror=mirror) as (job, tools):
            return plan_batch(job, tools, PlanOptions())

    def run(self, source: Source, death: Death | None = None, **options: Any) -> RunSummary:
        """A run, whose process may die."""
        with self._work(source, death, **options) as (job, tools):
            return run_batch(job, tools)

    def equal_run(self, source: Source, death: Death | None = None) -> RunSummary:
        """A run that writes only if it would write the same without a mirror."""
        plain = self.plan(source, mirror=False)
        mirrored = self.plan(source)
        assert (mirrored.plan.checksum, mirrored.plan.counts) == (plain.plan.checksum, plain.plan.counts)
        assert _errors(mirrored) == _errors(plain)
        done = self.run(source, death, approved=ApprovedPlan(checksum=plain.plan.checksum))
        assert done.mirror is not None
        assert not done.mirror.difference
        return done

    @contextmanager
    def _work(
        self, source: Source, death: Death | None = None, *, mirror: bool = True, **options: Any
    ) -> Iterator[tuple[BatchJob, Tools]]:
        definition = self.definition(mirror=mirror)
        dataverse = Dataverse(
            Connection(service_url=SERVICE, page_rows=self.page_rows),
            tokens=[FixedToken()],
            clock=QuickClock(),
            transport=MortalTransport(self.network, death),
            cache=self.cache,
            controllers=lambda _: Controller(parallel=2, most_parallel=3, sizes=Sizes(fewest=1, first=2, most=4)),
        )
        self.network.asked.clear()
        tools = Tools(
            dataverse=dataverse,
            source=Rows(definition, source),
            state=self.state,
            open_workspace=lambda: Workspace.open(threads=1),
            clock=self.clock,
            progress=NoProgress(),
        )
        options = {"force": True, **options}
        try:
            yield BatchJob(definition=definition, parameters=self.parameters, options=RunOptions(**options)), tools
        finally:
            dataverse.close()


def _errors(report: PlanReport) -> set[tuple[str, str, str, int]]:
    return {(each.side, each.error_type, each.column, each.count) for each in report.errors}


def items(query: str = f"$select=new_itemid,{KEY},{TEXT}") -> list[dict[str, Any]]:
    """The records of the table."""
    return transport().records(f"{SET}?{query}")


def edit(number: str, values: Mapping[str, Any] | None) -> None:
    """Change every record with a key as another user would, or delete it."""
    for record in items():
        if record[KEY] == number:
            path = f"{SET}({record['new_itemid']})"
            transport().delete(path) if values is None else transport().update(path, values)


def created(records: Sequence[Mapping[str, Any]]) -> None:
    """Create records as another user would."""
    for record in records:
        transport().create(SET, record)


@contextmanager
def expiring() -> Iterator[None]:
    """Every delta link is too old meanwhile."""
    (organization,) = transport().records("organizations?$select=organizationid,expirechangetrackingindays")
    path, days = f"organizations({organization['organizationid']})", "expirechangetrackingindays"
    transport().update(path, {days: 0})
    try:
        yield
    finally:
        transport().update(path, {days: organization[days]})


def made_again(column: str) -> None:
    """Remove a column, and make it again: it has no values, and no record has another version."""
    columns = f"EntityDefinitions(LogicalName='{TABLE}')/Attributes"
    transport().delete(f"{columns}(LogicalName='{column}')")
    transport().create(columns, {
        "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": column, "MaxLength": 50,
        "DisplayName": {"LocalizedLabels": [{"Label": column, "LanguageCode": 1033}]},
    })  # fmt: skip
