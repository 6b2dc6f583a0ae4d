"""Whatever source, target and network do: nothing is lost or doubled, and at the end both agree.

A state machine edits the source, lets others write to the target, queues faults, runs the sync, and kills it at any
request. What may never happen is checked after every run; that source and target agree, once there are no more faults.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
import unicodedata
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import yaml
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from emulator.testing import RunningEmulator, running
from shared.app import App
from shared.dataverse import Dataverse, MetadataCache
from shared.dataverse.http.connection import Connection
from shared.dataverse.http.tokens import TokenProvider
from shared.dataverse.write.controller import Controller, Sizes
from shared.errors import SyncError
from shared.http.transport import HttpTransport
from shared.jobs import RunOptions, RunState, RunSummary
from shared.settings import Settings
from tests.mortal_transport import Death, Killed, MortalTransport
from tests.quick_clock import QuickClock

SCHEMA = """
new_thing:
  entity_set: new_things
  columns: &columns
    new_name: {type: String, length: 100}
    new_number: {type: String, length: 20}
    new_size: {type: Decimal, min: -1000, max: 1000, precision: 2}
    new_region: {type: String, length: 20}
    new_expiredon: {type: DateTime}
new_keyed:
  entity_set: new_keyeds
  keys: {number_key: [new_number]}
  columns: *columns
"""
TABLES = {"new_thing": "new_things", "new_keyed": "new_keyeds"}
COLUMNS = ("new_number", "new_name", "new_size", "new_region", "new_expiredon")
OURS, THEIRS = "ours", "theirs"
POISON = "poison"
TAKEN = 412  # another record has the alternate key


class Network:
    """Opens clients with small chunks, whose process may die."""

    metadata: ClassVar[MetadataCache] = MetadataCache()

    def __init__(self) -> None:
        self.death: Death | None = None

    def open(self, *, connection: Connection, tokens: Sequence[TokenProvider], cache: MetadataCache) -> Dataverse:
        del cache  # one for all examples: the table is the same
        return Dataverse(
            connection,
            tokens=tokens,
            clock=QuickClock(),
            transport=MortalTransport(HttpTransport(), self.death),
            cache=self.metadata,
            controllers=lambda _: Controller(parallel=2, most_parallel=3, sizes=Sizes(fewest=1, first=2, most=4)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the source."""

    number: str
    name: str
    size: Decimal | None

    def values(self) -> dict[str, Any]:
        size = None if self.size is None else float(self.size)
        return {"new_number": self.number, "new_name": self.name or None, "new_size": size, "new_region": OURS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record of the target; `version` changes with every write."""

    id: str
    created: str
    version: int
    values: Mapping[str, Any]

    @property
    def key(self) -> str:
        return folded(self.values["new_number"] or "")

    @property
    def ours(self) -> bool:
        return bool(self.values["new_region"] == OURS)


def folded(text: str) -> str:
    """How the service compares keys."""
    bare = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    return bare.lower().rstrip(" ")


class Target:
    """The table as another client reads it: without code of the client under test."""

    def __init__(self, emulator: RunningEmulator, table: str) -> None:
        self._emulator = emulator
        self._id = f"{table}id"
        self._url = emulator.service_url + TABLES[table]
        self._token = emulator.token()

    def records(self) -> dict[str, Record]:
        """All records by id, in the service's order."""
        columns = ",".join((*COLUMNS, "createdon", "versionnumber"))
        rows = self.send("GET", f"?$select={columns}")["value"]
        return {
            row[self._id]: Record(
                id=row[self._id],
                created=row["createdon"],
                version=row["versionnumber"],
                values={name: row[name] for name in COLUMNS},
            )
            for row in rows
        }

    def send(self, method: str, tail: str = "", body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            self._url + tail,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
        content: dict[str, Any] = json.loads(text) if text else {}
        return content


def oldest(records: Mapping[str, Record]) -> dict[str, Record]:
    """For each key the record inside the filter that is matched; the others are duplicates."""
    firsts: dict[str, Record] = {}
    for record in sorted(records.values(), key=lambda record: (record.created, record.id)):
        if record.ours:
            firsts.setdefault(record.key, record)
    return firsts


def several_of(records: Mapping[str, Record]) -> set[str]:
    """Keys of more than one record inside the filter: it is not known which of them was dropped, so none is."""
    counts = Counter(record.key for record in records.values() if record.ours)
    return {key for key, count in counts.items() if count > 1}


class _Server:
    """One emulator and one folder for all examples."""

    emulator: RunningEmulator
    folder: Path


@contextmanager
def serving() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        schema = Path(folder) / "schema.yaml"
        schema.write_text(SCHEMA, "utf-8")
        _Server.folder = Path(folder)
        _Server.emulator = stack.enter_context(running(in_thread=True, schema=[schema], limits="none"))
        yield


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with serving():
        yield


numbers = st.sampled_from([f"k{number}" for number in range(10)] + ["K1", "é", "E", "K2 "])
names = st.sampled_from(["", "a", "A", "ä", "b", '"', "{}", POISON])
sizes = st.none() | st.decimals(min_value=-5, max_value=5, places=2)
places = st.integers(min_value=0, max_value=50)

# The requests with faults: mostly writes, because faults of writes can cause errors.
WHERE = [
    ("POST", "Multiple"),
    ("POST", "Multiple"),
    ("POST", "Multiple"),
    ("POST", "$batch"),
    ("GET", "new_"),
    ("", ""),
]
LOST = [{"action": "drop_before"}, {"action": "drop_after"}]
FAULTS: list[dict[str, Any]] = [
    *LOST,
    *LOST,
    {"action": "status", "status": 429, "retry_after": 1},
    {"action": "status", "status": 429, "code": "0x80072326", "retry_after": 1},
    {"action": "status", "status": 503},
    {"action": "status", "status": 502},
    {"action": "status", "status": 500},  # deadlock
    {"action": "status", "status": 500, "code": "0x80044151", "message": "SQL timeout expired."},
    {"action": "status", "status": 500, "code": "0x80040216", "message": "An unexpected error occurred."},
    {"action": "status", "status": 401},
    {"action": "status", "status": 403},
    {"action": "status", "status": 413},
    {"action": "status", "status": 400},
    *LOST,
    {"action": "delay", "seconds": 0.02},
    {"action": "refuse_rows", "match": {"filter": f"new_name eq '{POISON}'"}},
]


class SyncMachine(RuleBasedStateMachine):
    """Source, target, faults and runs, in any order."""

    @initialize(
        table=st.sampled_from(list(TABLES)),
        dropped=st.sampled_from(["delete", "ignore", "expire"]),
        users=st.integers(min_value=1, max_value=3),
        rows=st.lists(st.tuples(numbers, names, sizes), min_size=5, max_size=20),
        filled=st.booleans(),
    )
    def start(
        self,
        table: str,
        dropped: Literal["delete", "ignore", "expire"],
        users: int,
        rows: list[tuple[str, str, Decimal | None]],
        *,
        filled: bool,
    ) -> None:
        _Server.emulator.reset()
        self.dropped = dropped
        self.keyed = table == "new_keyed"
        self.target = Target(_Server.emulator, table)
        self.rows: dict[str, Row] = {}
        self.blank_rows = 0
        for number, name, size in rows:
            self.put_row(number, name, size)
        self.app = self._app(table, users)
        if filled:
            self._run(self._before())

    def _app(self, table: str, users: int) -> App:
        folder, emulator = Path(tempfile.mkdtemp(dir=_Server.folder)), _Server.emulator
        self.source = folder / "things.csv"
        secret = {"env": "SECRET"}
        definition = {
            "name": "things",
            "source": {
                "type": "delimited",
                "path": str(self.source),
                "columns": [
                    {"name": "number", "mandatory": True, "validate": True},
                    {"name": "name"},
                    {"name": "size", "type": "number"},
                ],
            },
            "destination": {
                "type": "dynamics",
                "entity": table,
                "service_url": emulator.service_url,
                "client_id": [emulator.client_id] * users if users > 1 else emulator.client_id,
                "client_secret": [secret] * users if users > 1 else secret,
                "id_column": f"{table}id",
                "filter": f"new_region eq '{OURS}'",
                "mappings": [
                    {"source": "number", "target": "new_number"},
                    {"source": "name", "target": "new_name"},
                    {"source": "size", "target": "new_size"},
                    {"value": f"'{OURS}'", "target": "new_region"},
                ],
            },
            "sync_behaviour": {
                "sync_key": ["new_number"],
                "dropped": {"expire": "new_expiredon"} if self.dropped == "expire" else self.dropped,
            },
        }
        (folder / "syncs").mkdir()
        (folder / "syncs" / "things.yaml").write_text(yaml.safe_dump(definition), "utf-8")
        settings_ = Settings.load(
            {"SYNC_DEFINITIONS": str(folder / "syncs"), "STATE_STORE": f"sqlite:///{folder / 'state.db'}"}
        )
        self.network = Network()
        return App(
            settings_,
            read_environment=lambda: {"SECRET": emulator.client_secret},
            open_dataverse=self.network.open,
        )

    # -- The source

    def put_row(self, number: str, name: str, size: Decimal | None) -> None:
        self.rows[folded(number)] = Row(number=number, name=name, size=size)

    @rule(
        put=st.lists(st.tuples(numbers, names, sizes), max_size=6),
        dropped=st.sets(numbers, max_size=3),
        blank_rows=st.integers(min_value=0, max_value=2),
    )
    def edit_source(self, put: list[tuple[str, str, Decimal | None]], dropped: set[str], blank_rows: int) -> None:
        for row in put:
            self.put_row(*row)
        for number in dropped:
            self.rows.pop(folded(number), None)
        self.blank_rows = blank_rows

    # -- Another client

    @rule(
        edits=st.lists(
            st.tuples(st.sampled_from(["create", "create theirs", "copy", "update", "delete"]), places, numbers, names),
            min_size=1,
            max_size=5,
        )
    )
    def others_write(self, edits: list[tuple[str, int, str, str]]) -> None:
        for action, place, number, name in edits:
            record = self._some(place)
            match action, record:
                case "copy", Record(values=values):
                    self._as_other("POST", "", {"new_number": values["new_number"], "new_region": OURS})
                case "update", Record(id=known):
                    self._as_other("PATCH", f"({known})", {"new_name": name})
                case "delete", Record(id=known):
                    self._as_other("DELETE", f"({known})")
                case _:
                    region = THEIRS if action == "create theirs" else OURS
                    self._as_other("POST", "", {"new_number": number, "new_name": name, "new_region": region})

    def _some(self, place: int) -> Record | None:
        _Server.emulator.clear_faults()
        records = list(self.target.records().values())
        return records[place % len(records)] if records else None

    def _as_other(self, method: str, tail: str, body: Mapping[str, Any] | None = None) -> None:
        _Server.emulator.clear_faults()
        try:
            self.target.send(method, tail, body)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != TAKEN:
                raise

    # -- Runs with faults

    @rule(
        faults=st.lists(
            st.tuples(
                st.sampled_from(FAULTS),
                st.sampled_from(WHERE),
                st.integers(min_value=1, max_value=3),
            ),
            min_size=1,
            max_size=4,
        ),
        death=st.none() | st.tuples(st.integers(min_value=1, max_value=14), st.booleans()),
    )
    def run_with_faults(
        self, faults: list[tuple[dict[str, Any], tuple[str, str], int]], death: tuple[int, bool] | None
    ) -> None:
        before = self._before()
        _Server.emulator.faults(
            [
                fault if "match" in fault else {**fault, "match": {"method": method, "path": path}, "times": times}
                for fault, (method, path), times in faults
            ]
        )
        self._run(before, death=death)

    @rule(death=st.none() | st.tuples(st.integers(min_value=3, max_value=14), st.booleans()))
    def run_and_be_stopped(self, death: tuple[int, bool] | None) -> None:
        """Killed at a request, or out of time before the first write."""
        if death:
            self._run(self._before(), death=death)
            return
        done = self._run(self._before(), deadline=time.monotonic())
        assert done is not None
        assert done.state is RunState.INTERRUPTED
        assert "the time limit of the run ended before this step was finished" in done.message
        assert not done.writes

    def _before(self) -> dict[str, Record]:
        _Server.emulator.clear_faults()
        return self.target.records()

    def _run(
        self, before: Mapping[str, Record], death: tuple[int, bool] | None = None, **options: Any
    ) -> RunSummary | None:
        """Run once; None when the run did not reach its end."""
        with self.source.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerow(["number", "name", "size"])
            writer.writerows([["", "nameless", "1"]] * self.blank_rows)
            writer.writerows([row.number, row.name, "" if row.size is None else row.size] for row in self.rows.values())
        self.network.death = Death(*death) if death else None
        done = None
        try:
            done = self.app.run("things", options=RunOptions(force=True, **options))
        except (Killed, SyncError):
            assert death or _Server.emulator.stats()["faults"]
        finally:
            self.network.death = None
            _Server.emulator.clear_faults()
        after = self.target.records()
        self._check_harm(before, after)
        if done is not None and done.source.processed:  # out of time, a run may not have come to count its rows
            self._check_accounts(done, before)
        return done

    # -- What must hold

    def _check_harm(self, before: Mapping[str, Record], after: Mapping[str, Record]) -> None:
        """Conditions that must be true however a run ends."""
        current, several = oldest(before), several_of(before)
        for record in before.values():
            if not record.ours or current[record.key] is not record:
                assert after[record.id].version == record.version, (
                    "outside the filter, or a duplicate: not to be touched"
                )
            elif record.id in after:
                assert after[record.id].version == record.version or self._is_wanted(record, after[record.id])
            else:
                assert self.dropped == "delete"
                assert record.key not in self.rows.keys() | several
        had = Counter(record.key for record in before.values() if record.ours)
        have = Counter(record.key for record in after.values() if record.ours)
        for key, count in have.items():
            assert count <= max(had[key], 1), f"{key} was doubled"
        for record in after.values():
            if record.id not in before:
                assert record.values == {**self.rows[record.key].values(), "new_expiredon": None}

    def _is_wanted(self, was: Record, now: Record) -> bool:
        """A record that was written has all values of its row, or has expired."""
        row = self.rows.get(was.key)
        if row is not None:
            return dict(now.values) == {**was.values, **row.values()}
        expired = {**was.values, "new_expiredon": now.values["new_expiredon"]}
        return self.dropped == "expire" and was.values["new_expiredon"] is None and dict(now.values) == expired

    def _check_accounts(self, done: RunSummary, before: Mapping[str, Record]) -> None:
        """Every row and every change is counted once."""
        assert done.source.processed == len(self.rows) + self.blank_rows
        assert (done.source.verified, done.source.rejected) == (len(self.rows), self.blank_rows)
        ours = sum(record.ours for record in before.values())
        assert (done.target.processed, done.target.verified) == (ours, len(oldest(before)))
        # Whatever is inside the filter was read, and its keys are known: a key that is taken is a lost answer's or others'.
        assert done.adopted == 0
        changes = (done.created, done.updated, done.deleted, done.expired)
        assert sum(c.planned for c in changes) == sum(c.done for c in changes) + done.failed + done.skipped
        assert len(self.rows.keys() | oldest(before).keys()) == (
            sum(c.planned for c in changes) + done.unchanged + done.ignored
        )

    @rule()
    def settle(self) -> None:
        """Without faults one run makes source and target equal, and the next plan is empty."""
        done = self._run(self._before())
        assert done is not None
        records = self.target.records()
        current = oldest(records)
        taken, several = self._taken_by_others(records), several_of(records)
        assert done.failed == len(taken)
        for key, row in self.rows.items():
            if key not in taken:
                assert {name: current[key].values[name] for name in row.values()} == row.values()
        for key, record in current.items():
            if key not in self.rows and key not in several:
                assert self.dropped != "delete"
                assert self.dropped != "expire" or record.values["new_expiredon"] is not None
        counts = self.app.plan("things").plan.counts
        assert counts.insert == len(taken)
        assert (counts.update, counts.delete, counts.expire) == (0, 0, 0)

    def _taken_by_others(self, records: Mapping[str, Record]) -> set[str]:
        """Keys that the table's alternate key keeps from us: a record outside the filter has them."""
        if not self.keyed:
            return set()
        holders: dict[str, set[bool]] = defaultdict(set)
        for record in records.values():
            holders[record.key].add(record.ours)
        return {key for key, ours in holders.items() if ours == {False} and key in self.rows}

    @invariant()
    @precondition(lambda self: hasattr(self, "app"))
    def no_lease_is_left_behind(self) -> None:
        assert self.app.state.lease("sync/things") is None

    def teardown(self) -> None:
        if hasattr(self, "app"):
            self.settle()


pytestmark = pytest.mark.timeout(900)  # finding the smallest failing example takes minutes; passing takes seconds
TestSync = SyncMachine.TestCase
TestSync.settings = settings(max_examples=settings().max_examples * 2 // 10, stateful_step_count=10)
