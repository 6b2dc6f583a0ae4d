"""A sync with a ledger against the emulator, and what its documentation says, in plain Python."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
import yaml

from shared.dataverse import Dataverse, MetadataCache
from shared.definitions import Column, SyncDefinition
from shared.jobs import RunOptions, RunSummary
from shared.jobs.batch.job import BatchJob, PlanOptions, Tools
from shared.jobs.batch.plans.planning import plan_batch
from shared.jobs.batch.run import run_batch
from shared.jobs.progress import NoProgress
from shared.jobs.progress import Phase as Part
from shared.state import StateStore
from shared.state.sqlite import SqliteStateStore
from shared.transform import SOURCE_ERRORS
from shared.workspace import Workspace
from tests.emulator_transport import SERVICE, EmulatorTransport, client
from tests.mortal_transport import Killed
from tests.quick_clock import QuickClock
from tests.store_in_front import StoreInFront

KEY, TEXT, NOTE, MARK = "new_number", "new_text", "new_note", "new_goneon"
SCHEMA = {
    "new_item": {
        "entity_set": "new_items",
        "keys": {"number_key": [KEY]},
        "columns": {
            **{name: {"type": "String", "length": 50} for name in (KEY, TEXT, NOTE)},
            MARK: {"type": "DateTime"},
        },
    }
}
KEYS = ("1", "2", "3")
TEXTS = ("A", "B", "C", None)

# -- The rules --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The keys of the definition that need a ledger; at least one of them does."""

    unless_edited: bool
    dropped: str
    returned: str
    own: bool

    def definition(self, *, listens: bool = False) -> SyncDefinition:
        """A sync of items: the text by its policy, the note always."""
        mappings: list[dict[str, Any]] = [{"source": "key", "target": KEY}, {"source": "text", "target": TEXT}]
        mappings[1] |= {"write": "unless_edited"} if self.unless_edited else {}
        return SyncDefinition.model_validate(
            {
                "name": "items",
                "source": {"type": "delimited", "path": "x", "columns": [{"name": n} for n in ("key", "text", "note")]},
                "destination": {
                    "type": "dynamics", "entity": "new_item", "service_url": SERVICE, "client_id": "app",
                    "client_secret": {"env": "SECRET"}, "id_column": "new_itemid",
                    "mappings": [*mappings, {"source": "note", "target": NOTE}],
                },
                "sync_behaviour": {
                    "sync_key": [KEY],
                    "dropped": {"expire": MARK} if self.dropped == "expire" else self.dropped,
                    "returned": self.returned,
                    "dropped_scope": "own" if self.own else "all",
                },
                "listener": {"name": "items", "topic": {"action": "$.op"}} if listens else None,
            }
        )  # fmt: skip


@dataclasses.dataclass(slots=True)
class Item:
    """A record as people see it, and what the sync knows of it.

    Attributes:
        marked: It has the mark, whoever set it.
        own: This sync created it, or matched it with a row.
        ours: This sync has set the mark.
        written: The values that count as written by this sync: two, if a run died and it is not known which.
    """

    text: str | None
    note: str | None
    marked: bool = False
    own: bool = False
    ours: bool = False
    written: tuple[str | None, ...] = ()

    def shown(self) -> tuple[str | None, str | None, bool]:
        return self.text, self.note, self.marked


Source = dict[str, tuple[str | None, str]]  # key -> text and note
Death = Literal["", "before", "after"]


class World:
    """What the documentation says, in plain Python."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.items: dict[str, Item] = {}
        self.source: Source = {}

    def lose(self) -> None:
        """The ledger is lost."""
        for item in self.items.values():
            item.own, item.ours, item.written = False, False, ()

    def run(self, death: Death) -> int:
        """A run; returns the number of records with an edit that was not overwritten."""
        edited = 0
        for key, (text, note) in self.source.items():
            if (item := self.items.get(key)) is not None:
                edited += self._match(item, text, note, death)
            elif death != "before":
                self.items[key] = Item(text=text, note=note, own=True, written=(text,))
        for key in self.items.keys() - self.source.keys():
            self._drop(key, self.items[key], death)
        return edited

    def _match(self, item: Item, text: str | None, note: str | None, death: Death, *, carried: bool = True) -> bool:
        writes, edited = item.text != text, False
        settled = tuple(each for each in item.written if each == item.text)[:1] or item.written[:1]
        if self.rules.unless_edited and writes:
            edited = item.text not in item.written
            writes = not edited
        back = self.rules.returned == "reactivate" and item.ours and item.marked
        changes = writes or item.note != note or back
        if death != "before":
            item.text, item.note = text if writes else item.text, note
            item.marked = item.marked and not back
        if not death:
            item.own, item.ours = True, item.ours and item.marked
            same = carried and item.text == text
            item.written = (item.text,) if same or item.text in settled else settled
        elif writes and self.rules.unless_edited and changes:
            item.own, item.written = True, (*settled, text)
        return edited

    def write(self, key: str, fields: Mapping[str, str | None]) -> int:
        """An event with some fields of a row; returns whether an edit was not overwritten."""
        if (item := self.items.get(key)) is None:
            text = fields.get("text")
            self.items[key] = Item(text=text, note=fields.get("note"), own=True, written=(text,))
            return 0
        carried = "text" in fields
        return self._match(item, fields.get("text", item.text), fields.get("note", item.note), "", carried=carried)

    def remove(self, key: str) -> int:
        """An event that deletes a row; no edit is in its way."""
        if key in self.items:
            self._drop(key, self.items[key], "")
        return 0

    def _drop(self, key: str, item: Item, death: Death) -> None:
        if self.rules.own and not item.own:
            item.ours = item.ours and item.marked if not death else item.ours
            return
        match self.rules.dropped:
            case "delete" if death != "before":
                del self.items[key]
            case "deactivate" | "expire" if not item.marked:
                item.ours, item.marked = True, death != "before"


# -- The sync ---------------------------------------------------------------------------------------------------------


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
        workspace.execute("CREATE TABLE source_raw (_row BIGINT, key VARCHAR, text VARCHAR, note VARCHAR)")
        for number, (key, (text, note)) in enumerate(self.rows.items(), 1):
            workspace.execute("INSERT INTO source_raw VALUES (?, ?, ?, ?)", [number, key, text, note])


@cache
def transport() -> EmulatorTransport:
    with TemporaryDirectory() as folder:
        schema = Path(folder) / "schema.yaml"
        schema.write_text(yaml.safe_dump(SCHEMA), "utf-8")
        return EmulatorTransport(schema)


class _Dying(NoProgress):
    """Ends the run as a killed process does, before its first write."""

    def phase(self, phase: Part, total: int | None = None) -> None:
        if phase is Part.WRITE:
            raise Killed


@contextmanager
def dying(death: Death, state: StoreInFront) -> Iterator[None]:
    """The process is killed: nothing is noted after its writes."""
    if not death:
        yield
        return
    swaps = iter(["before the first write"])

    def killed(*_: object, **__: object) -> None:
        if next(swaps, None) is None:
            raise Killed

    with state.acting(swap_ledger=killed), pytest.raises(Killed):
        yield


class Sync:
    """The real thing, against the emulator."""

    def __init__(self, rules: Rules, folder: Path, *, listens: bool = False) -> None:
        self.definition = rules.definition(listens=listens)
        self.clock = QuickClock()
        self._cache = MetadataCache()
        self._file = SqliteStateStore(folder / "state.db")
        self.state = StoreInFront(self._file)
        transport().reset()

    def run(self, source: Source, death: Death) -> RunSummary | None:
        done = []
        with dying(death, self.state):
            done.append(run_batch(*self._work(source, _Dying() if death == "before" else NoProgress())))
        return done[0] if done else None

    def run_meddled(self, source: Source, progress: NoProgress, state: StateStore) -> None:
        """A run in the midst of which others write."""
        run_batch(*self._work(source, progress, state))

    def connected(self) -> Dataverse:
        """A client of its own."""
        return client(transport(), cache=self._cache)

    def changes(self, source: Source) -> int:
        return plan_batch(*self._work(source, NoProgress()), PlanOptions()).plan.counts.changes

    def _work(self, source: Source, progress: NoProgress, state: StateStore | None = None) -> tuple[BatchJob, Tools]:
        job = BatchJob(definition=self.definition, parameters={}, options=RunOptions(force=True))
        opened = lambda: Workspace.open(threads=1)  # noqa: E731 - one line says it
        tools = Tools(
            dataverse=self.connected(),
            source=Rows(self.definition, source),
            state=state or self.state,
            open_workspace=opened,
            progress=progress,
            clock=self.clock,
        )
        return job, tools

    def lose(self) -> None:
        for table in ("ledgers", "ledger_parts", "ledger_entries"):
            self._file._db.execute(f"DELETE FROM {table}")

    def items(self) -> dict[str, dict[str, Any]]:
        found = transport().records(f"new_items?$select=new_itemid,{KEY},{TEXT},{NOTE},{MARK},statecode")
        return {each[KEY]: each for each in found}

    def shown(self) -> dict[str, tuple[str | None, str | None, bool]]:
        return {
            key: (each[TEXT], each[NOTE], bool(each[MARK]) or each["statecode"] == 1)
            for key, each in self.items().items()
        }

    def edit(self, key: str, values: Mapping[str, Any] | None) -> None:
        """Change a record, or delete it."""
        path = f"new_items({self.items()[key]['new_itemid']})"
        if values is None:
            transport().delete(path)
        else:
            transport().update(path, values)


# -- What happens between runs ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to one key: by the source, by a person, or to the ledger."""

    what: Literal["row", "no row", "edit", "mark", "open", "create", "delete", "lose"]
    key: str
    text: str | None


def happen(event: Event, world: World, sync: Sync) -> None:
    """Apply the event to both worlds."""
    item, mark = world.items.get(event.key), world.rules.dropped
    match event.what:
        case "row":
            world.source[event.key] = (event.text, f"note {event.text}")
        case "no row":
            world.source.pop(event.key, None)
        case "lose":
            world.lose()
            sync.lose()
        case "create" if item is None:
            world.items[event.key] = Item(text=event.text, note="theirs")
            transport().create("new_items", {KEY: event.key, TEXT: event.text, NOTE: "theirs"})
        case "edit" if item is not None:
            item.text = event.text
            sync.edit(event.key, {TEXT: event.text})
        case "mark" | "open" if item is not None:
            item.marked = event.what == "mark"
            closed = {"statecode": int(item.marked), "statuscode": 1 + int(item.marked)}
            moment = "2020-01-01T00:00:00Z" if item.marked else None
            sync.edit(event.key, {MARK: moment} if mark == "expire" else closed)
        case "delete" if item is not None:
            del world.items[event.key]
            sync.edit(event.key, None)


def _is_sound(each: Rules) -> bool:
    """Whether the definition is accepted, and has a ledger."""
    marks = each.dropped in {"deactivate", "expire"}
    if (each.returned == "reactivate" and not marks) or (each.own and each.dropped == "ignore"):
        return False
    return each.unless_edited or each.own or each.returned == "reactivate"


RULES = [
    each
    for dropped, returned in (
        ("deactivate", "reactivate"),
        ("expire", "reactivate"),
        ("deactivate", "ignore"),
        ("delete", "ignore"),
        ("ignore", "ignore"),
    )
    for unless_edited in (True, False)
    for own in (True, False)
    if _is_sound(each := Rules(unless_edited=unless_edited, dropped=dropped, returned=returned, own=own))
]
