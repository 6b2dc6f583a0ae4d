"""A Dataverse, a state store and a listener for tests of real time."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import requests

from emulator.testing import RunningEmulator
from shared.dataverse import (
    ClientCredentials,
    ClientSecret,
    Clock,
    Connection,
    Dataverse,
    HttpTransport,
    RetryPolicy,
    SystemClock,
)
from shared.definitions import SyncDefinition
from shared.events import Message
from shared.jobs.real_time.events import EventSync, EventTools, Listeners, WarmWorkspace, run_events
from shared.jobs.real_time.record import EventsSummary
from shared.state import DeadLetter
from shared.state.sqlite import SqliteStateStore
from tests.store_in_front import StoreInFront

COLUMNS: list[dict[str, Any]] = [
    {"name": "number", "trim": True},
    {"name": "name"},
    {"name": "revenue", "type": "number", "validate": True},
    {"name": "city"},
]
MAPPINGS: list[dict[str, Any]] = [
    {"source": "number", "target": "accountnumber"},
    {"source": "name", "target": "name"},
    {"source": "revenue", "target": "revenue"},
    {"source": "city", "target": "address1_city"},
]
TARGETS = {"name": "name", "revenue": "revenue", "city": "address1_city"}


class SkippingClock(SystemClock):
    """Never waits: it moves its time forward instead."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> datetime:
        """The time of day, with what was skipped."""
        return super().now() + timedelta(seconds=self.skipped)

    def monotonic(self) -> float:
        """Seconds since some moment, with what was skipped."""
        return super().monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        """Move the time forward."""
        self.skipped += seconds


@dataclass
class World:
    """One listener over accounts. Every part of its definition can be overridden by section."""

    emulator: RunningEmulator
    folder: Path
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    topic: Mapping[str, Any] = field(default_factory=lambda: {"action": "$.op"})
    columns: Sequence[Mapping[str, Any]] = tuple(COLUMNS)
    mappings: Sequence[Mapping[str, Any]] = tuple(MAPPINGS)
    destination: Mapping[str, Any] = field(default_factory=dict)
    source: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=SkippingClock)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    open_dataverse: Callable[..., Dataverse] = Dataverse
    next: int = 0

    def __post_init__(self) -> None:
        self.definition = self.define("customers")
        self.state = StoreInFront(SqliteStateStore(self.folder / "state.db"))
        self.syncs = [EventSync(definition=self.definition, resolve=self._values)]
        self.tools = self.fresh_tools()

    def _values(self) -> dict[str, Any]:
        return {name: each["default"] for name, each in self.parameters.items()}

    def fresh_tools(self) -> EventTools:
        """The tools of a process that has just started."""
        opened = partial(WarmWorkspace.open, threads=1, memory_limit="256MB")
        return EventTools.wired(self.state, lambda definition, _: self.connect(definition), opened)

    def connect(self, definition: SyncDefinition) -> Dataverse:
        transport = HttpTransport(connections=8)
        connection = Connection(
            service_url=definition.destination.service_url or "",
            timeout=10,
            key_match=definition.sync_behaviour.key_match,
            parallel=8,
            retry_policy=self.retry_policy,
        )
        tokens = ClientCredentials(
            self.emulator.client_id,
            ClientSecret(lambda: self.emulator.client_secret),
            transport=transport,
            clock=self.clock,
        )
        return self.open_dataverse(connection, tokens=[tokens], clock=self.clock, transport=transport)

    def define(self, name: str, **topic: Any) -> SyncDefinition:
        return SyncDefinition.model_validate(
            copy.deepcopy(
                {
                    "name": name,
                    "parameters": dict(self.parameters),
                    "source": {"type": "events", "columns": list(self.columns), **self.source},
                    "destination": {
                        "type": "dynamics",
                        "entity": "account",
                        "service_url": self.emulator.service_url,
                        "client_id": "x",
                        "client_secret": {"env": "X"},
                        "id_column": "accountid",
                        "mappings": list(self.mappings),
                        **self.destination,
                    },
                    "sync_behaviour": {"sync_key": ["accountnumber"], "dropped": "delete", **self.behaviour},
                    "listener": {"name": f"{name} events", "topic": {**self.topic, **topic}},
                }
            )
        )

    # -- Events --------------------------------------------------------------------------------------------------

    def messages(self, *bodies: Any, first: int | None = None, partition: str = "0", **fields: Any) -> list[Message]:
        first = self.next if first is None else first
        self.next = max(self.next, first + len(bodies))
        return [
            Message(
                body=body if isinstance(body, bytes) else json.dumps(body).encode(),
                partition=partition,
                sequence=first + index,
                **fields,
            )
            for index, body in enumerate(bodies)
        ]

    def run(self, *bodies: Any, first: int | None = None, partition: str = "0", **fields: Any) -> dict[str, int]:
        """Deliver a batch; returns the counts of the sync."""
        summary = self.deliver(self.messages(*bodies, first=first, partition=partition, **fields))
        return dict(summary.syncs.get("customers", {}))

    def deliver(self, messages: Sequence[Message]) -> EventsSummary:
        return run_events(messages, self.listeners, self.tools)

    @property
    def listeners(self) -> Listeners:
        return Listeners(syncs=tuple(self.syncs))

    # -- The results ----------------------------------------------------------------------------------------------

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.emulator.token()}"}

    def put(self, **values: Any) -> str:
        """Create an account; returns its id."""
        made = requests.post(f"{self.emulator.service_url}accounts", json=values, headers=self._headers, timeout=10)
        made.raise_for_status()
        return made.headers["OData-EntityId"].rpartition("(")[2].rstrip(")")

    def rows(self, select: str = "accountnumber,name,revenue,address1_city") -> list[dict[str, Any]]:
        url = f"{self.emulator.service_url}accounts?$select={select}"
        found: list[dict[str, Any]] = []
        while url:
            answer = requests.get(url, headers=self._headers, timeout=10)
            answer.raise_for_status()
            found += answer.json()["value"]
            url = answer.json().get("@odata.nextLink", "")
        return found

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Account number -> the mapped fields, under the source's names; no number may be there twice."""
        rows = self.rows()
        found = {
            row["accountnumber"]: {name: row[target] for name, target in TARGETS.items() if row[target] is not None}
            for row in rows
        }
        assert len(found) == len(rows)
        return found

    @property
    def letters(self) -> list[DeadLetter]:
        return list(self.state.dead_letters())

    @property
    def reasons(self) -> dict[int, str]:
        """Sequence number -> error of the dead letters."""
        return {letter.sequence: letter.error for letter in self.letters}

    @property
    def writes(self) -> int:
        """Requests that changed something since the start of the emulator or its last reset."""
        return sum(1 for entry in self.emulator.log() if entry["method"] != "GET" and "token" not in entry["path"])
