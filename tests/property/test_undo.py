"""For all runs and all edits by others: an undo takes back what the run did, and nothing else, however it is interrupted."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from shared.dataverse import MetadataCache
from shared.definitions import SyncDefinition
from shared.jobs import RunOptions, RunSummary
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.run import run_batch
from shared.jobs.batch.undo.planning import plan_undo
from shared.jobs.batch.undo.preparation import UndoJob
from shared.jobs.batch.undo.run import run_undo
from shared.reconcile.undo.journal import ADOPTED, DONE
from shared.state import StateStore
from shared.state.sqlite import SqliteStateStore
from shared.workspace import Workspace
from tests.emulator_transport import SERVICE, EmulatorTransport, client
from tests.mortal_transport import Killed
from tests.property.ledger_world import Rows, Source
from tests.store_in_front import StoreInFront

KEY, TEXT, NOTE, MARK, AMOUNT = "new_number", "new_text", "new_note", "new_goneon", "new_amount"
SHOWN = (KEY, TEXT, NOTE, MARK, AMOUNT, "statecode", "statuscode", "_ownerid_value")
SCHEMA = {
    "new_item": {
        "entity_set": "new_items",
        "keys": {"number_key": [KEY]},
        "columns": {
            **{name: {"type": "String", "length": 50} for name in (KEY, TEXT, NOTE)},
            MARK: {"type": "DateTime"},
            AMOUNT: {"type": "Decimal"},
        },
    }
}
KEYS = ("1", "2", "3", "4")
TEXTS = ("A", "B", "", "refused")  # a plug-in refuses the last one
Dropped = Literal["delete", "deactivate", "expire"]
Break = tuple[int | None, bool]  # stopped at this look for a person's mark; killed before the outcomes are noted
WHOLE: Break = (None, False)
Records = dict[str, dict[str, Any]]


def definition(dropped: Dropped) -> SyncDefinition:
    """A sync of items. A dropped item whose row returns is opened again."""
    mappings = [
        {"source": source, "target": target} for source, target in (("key", KEY), ("text", TEXT), ("note", NOTE))
    ]
    return SyncDefinition.model_validate(
        {
            "name": "items",
            "source": {"type": "delimited", "path": "x", "columns": [{"name": name} for name in ("key", "text", "note")]},
            "destination": {
                "type": "dynamics", "entity": "new_item", "service_url": SERVICE, "client_id": "app",
                "client_secret": {"env": "SECRET"}, "id_column": "new_itemid", "mappings": mappings,
            },
            "sync_behaviour": {
                "sync_key": [KEY],
                "dropped": {"expire": MARK} if dropped == "expire" else dropped,
                "returned": "ignore" if dropped == "delete" else "reactivate",
            },
        }
    )  # fmt: skip


@cache
def _transport(*, recycle_bin: bool) -> EmulatorTransport:
    with TemporaryDirectory() as folder:
        schema = Path(folder) / "schema.yaml"
        schema.write_text(yaml.safe_dump(SCHEMA), "utf-8")
        return EmulatorTransport(schema, *(["--recycle-bin"] if recycle_bin else []))


class _Chosen:
    """The environment of an example: with a recycle bin or without."""

    recycle_bin = False


def transport() -> EmulatorTransport:
    return _transport(recycle_bin=_Chosen.recycle_bin)


@cache
def _metadata(*, recycle_bin: bool) -> MetadataCache:
    del recycle_bin
    return MetadataCache()


def metadata() -> MetadataCache:
    return _metadata(recycle_bin=_Chosen.recycle_bin)


@dataclasses.dataclass(slots=True)
class Sync:
    """The real thing, against the emulator."""

    definition: SyncDefinition
    state: StateStore
    somebody: str = ""

    def begin(self, *, recycle_bin: bool = False) -> None:
        """An empty target, another user, and the plug-in."""
        _Chosen.recycle_bin = recycle_bin
        transport().reset()
        transport().faults([{"action": "refuse_rows", "match": {"filter": f"{TEXT} eq 'refused'"}}])
        unit = transport().records("businessunits?$select=businessunitid")[0]["businessunitid"]
        transport().create(
            "systemusers",
            {"firstname": "Some", "lastname": "Body", "businessunitid@odata.bind": f"/businessunits({unit})"},
        )
        (user,) = transport().records("systemusers?$select=systemuserid&$filter=lastname eq 'Body'")
        self.somebody = user["systemuserid"]

    def run(self, source: Source, broken: Break = WHOLE) -> str:
        """Run the sync; returns the id of the run."""
        options = RunOptions(force=True, cancelled=stopping(broken[0]))
        job = BatchJob(definition=self.definition, parameters={}, options=options)
        with dying(killed=broken[1]):
            run_batch(job, self._tools(source, killed=broken[1]))
        return options.run_id

    def undo(self, run_id: str, broken: Break = WHOLE, *, force: bool = False) -> RunSummary | None:
        """Undo a run; None for an undo that was killed."""
        options = RunOptions(trigger="undo", force=force, cancelled=stopping(broken[0]))
        run = self.state.run(run_id)
        assert run is not None
        job = UndoJob(batch=BatchJob(definition=self.definition, parameters={}, options=options), run=run)
        done: list[RunSummary] = []
        with dying(killed=broken[1]):
            done.append(run_undo(job, self._tools({}, killed=broken[1])))
        return done[0] if done else None

    def planned(self, run_id: str) -> int:
        """How many records an undo would write."""
        run = self.state.run(run_id)
        assert run is not None
        job = UndoJob(batch=BatchJob(definition=self.definition, parameters={}, options=RunOptions()), run=run)
        return plan_undo(job, self._tools({})).counts.changes

    def _tools(self, source: Source, *, killed: bool = False) -> Tools:
        return Tools(
            dataverse=client(transport(), cache=metadata()),
            source=Rows(self.definition, source),
            state=StoreInFront(self.state, put_journal_part=_die) if killed else self.state,
            open_workspace=lambda: Workspace.open(threads=1),
            journal=True,
        )


def stopping(at: int | None) -> Callable[[], bool]:
    """What stops a run at its n-th look for a person's mark."""
    looks = iter(range(1_000_000))
    return lambda: at is not None and next(looks) >= at


@contextmanager
def dying(*, killed: bool) -> Iterator[None]:
    """The process may be killed."""
    try:
        yield
    except Killed:
        assert killed


def _die(run_id: str, name: str, data: bytes) -> None:
    """End the process when it notes the outcomes of its writes."""
    del run_id, data
    if name.startswith((ADOPTED, DONE)):
        raise Killed


def records() -> Records:
    found = transport().records(f"new_items?$select=new_itemid,{','.join(SHOWN)}")
    return {each["new_itemid"]: {name: each[name] for name in SHOWN} for each in found}


@dataclasses.dataclass(frozen=True, slots=True)
class Edit:
    """What somebody else does to the record with a key."""

    what: Literal["text", "amount", "delete", "create", "close"]
    key: str

    def happen(self, sync: Sync) -> str | None:
        """Do it; the id of the record that it changed."""
        record = next((each for each, values in records().items() if values[KEY] == self.key), None)
        if record is None:
            if self.what == "create":
                transport().create("new_items", {KEY: self.key, TEXT: "X"}, as_user=sync.somebody)
            return None
        match self.what:
            case "text":
                transport().update(f"new_items({record})", {TEXT: "X"}, as_user=sync.somebody)
            case "amount":
                transport().update(f"new_items({record})", {AMOUNT: 5}, as_user=sync.somebody)
            case "close":
                closed = {"statecode": 1, "statuscode": 2}
                transport().update(f"new_items({record})", closed, as_user=sync.somebody)
            case "delete":
                transport().delete(f"new_items({record})")
            case "create":
                return None
        return record


def expected(before: Records, after: Records, now: Records, edited: set[str | None]) -> Records:
    """What the documentation says an undo leaves behind."""
    taken = {values[KEY] for values in now.values()}
    left: Records = {}
    for record in before.keys() | after.keys() | now.keys():
        was, wrote, held = before.get(record), after.get(record), now.get(record)
        if was is None and wrote is not None and record not in edited:
            continue
        if was is not None and wrote is None and held is None and was[KEY] not in taken:
            left[record] = was
        elif held is not None and was is not None and wrote is not None:
            left[record] = {name: was[name] if held[name] == wrote[name] else held[name] for name in SHOWN}
        elif held is not None:
            left[record] = held
    return left


sources = st.dictionaries(st.sampled_from(KEYS), st.tuples(st.sampled_from(TEXTS), st.sampled_from(("n", "m"))))
edits = st.lists(
    st.builds(Edit, what=st.sampled_from(["text", "amount", "delete", "create"]), key=st.sampled_from(KEYS)), max_size=3
)
earlier_edits = st.lists(
    st.builds(Edit, what=st.sampled_from(["amount", "create", "close"]), key=st.sampled_from(KEYS)), max_size=3
)
breaks = st.tuples(st.one_of(st.none(), st.integers(0, 6)), st.booleans())


def _plain(source: Mapping[str, tuple[str | None, str]]) -> Source:
    return {key: (text or None, note) for key, (text, note) in source.items()}


@pytest.mark.timeout(9000)  # the thorough profile, on a machine that may be busy
@settings(max_examples=settings().max_examples // 4, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    dropped=st.sampled_from(["delete", "deactivate", "expire"]),
    runs=st.tuples(sources, sources, sources),
    earlier=earlier_edits,
    run_breaks=breaks,
    others=edits,
    undo_breaks=breaks,
    recycle_bin=st.booleans(),
)
def test_an_undo_takes_back_what_the_run_did_and_nothing_else(
    dropped: Dropped,
    runs: tuple[Any, Any, Any],
    earlier: list[Edit],
    run_breaks: Break,
    others: list[Edit],
    undo_breaks: Break,
    *,
    recycle_bin: bool,
) -> None:
    """Created, updated, deleted, expired, deactivated and reactivated; a run and an undo that were stopped or killed."""
    with TemporaryDirectory() as folder:
        sync = Sync(definition(dropped), SqliteStateStore(Path(folder) / "state.db"))
        sync.begin(recycle_bin=recycle_bin)
        first, second, third = map(_plain, runs)
        if dropped != "delete":  # then an item that is dropped by the second run comes back in the third one
            sync.run(first)
        sync.run(second)
        for each in earlier:
            each.happen(sync)
        before = records()
        run = sync.run(third, run_breaks)
        after = records()
        # Who has deleted a record is not known where a run died that was about to delete it.
        edited = {each.happen(sync) for each in others if not (run_breaks[1] and each.what == "delete")}
        now = records()
        if before == after and not sync.state.journal_parts(run):
            return
        sync.undo(run, undo_breaks)
        sync.state.resume("items")
        last = sync.undo(run)
        assert last is not None
        left = expected(before, after, now, edited)
        assert records() == left
        if not last.failed:
            assert sync.planned(run) == 0
        sync.state.close()


@pytest.mark.timeout(9000)
@settings(max_examples=settings().max_examples // 10, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    dropped=st.sampled_from(["delete", "deactivate", "expire"]),
    runs=st.tuples(sources, sources),
    others=edits,
    recycle_bin=st.booleans(),
)
def test_an_undo_of_an_undo_is_an_undo(
    dropped: Dropped, runs: tuple[Any, Any], others: list[Edit], *, recycle_bin: bool
) -> None:
    """The target is again what it was before the first undo, and a third one is the first one again."""
    with TemporaryDirectory() as folder:
        sync = Sync(definition(dropped), SqliteStateStore(Path(folder) / "state.db"))
        sync.begin(recycle_bin=recycle_bin)
        first, second = map(_plain, runs)
        sync.run(first)
        run = sync.run(second)
        for each in others:
            each.happen(sync)
        if not sync.state.journal_parts(run):
            return
        now = records()
        undone = sync.undo(run)
        left = records()
        assert undone is not None
        if not sync.state.journal_parts(undone.run_id):
            assert left == now
            return
        back = sync.undo(undone.run_id)
        assert records() == now
        assert back is not None
        sync.undo(back.run_id)
        assert records() == left
        sync.state.close()
