"""For any records, rows and lookups: a run ends as plain Python says, whatever the service does, and settles."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.dataverse import Dataverse, WriteLimits
from shared.definitions import Column, SyncDefinition
from shared.definitions.models import KeyMatch
from shared.jobs.adoption import Adoption
from shared.jobs.batch.job import BatchJob, Tools
from shared.jobs.batch.preparation import prepare
from shared.jobs.progress import NoProgress
from shared.jobs.writing import WriteOrder, write_changes
from shared.state import StateStore
from shared.transform import SOURCE_ERRORS, layout
from shared.workspace import Workspace, quoted
from tests.emulator_transport import SERVICE, EmulatorTransport, client
from tests.property.lookup_oracle import BAD, KEY, TABLES, TEXT, Case, Entry, Record, Ref, Row, State, expected

STARTED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
MOST_RUNS = 4
SCHEMA = yaml.safe_dump(
    {
        name: {
            "entity_set": table.entity_set,
            "columns": {
                KEY: {"type": "String", "length": 20},
                TEXT: {"type": "String", "length": 100},
                **{ref: {"type": "Lookup", "targets": [*targets]} for ref, targets in table.refs.items()},
            },
            **({"keys": {"number_key": [KEY]}} if table.keyed else {}),
        }
        for name, table in TABLES.items()
    }
)
REFUSALS = [
    {
        "action": "refuse_rows",
        "match": {"path": table.entity_set, "filter": f"{TEXT} eq '{BAD}'"},
        "code": "0x80040265",
    }
    for table in TABLES.values()
]

# -- A definition and its source --------------------------------------------------------------------------------------


def definition(case: Case) -> SyncDefinition:
    table = TABLES[case.table]
    mappings: list[Mapping[str, Any]] = [
        {"source": "key", "target": KEY},
        {"source": "text", "target": TEXT},
    ]
    return SyncDefinition.model_validate(
        {
            "name": "things",
            "source": {
                "type": "delimited",
                "path": "things.csv",
                "columns": [{"name": name} for name in ("key", "text", "kind", *(ref.column for ref in case.refs))],
            },
            "destination": {
                "type": "dynamics",
                "entity": case.table,
                "service_url": SERVICE,
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": table.id,
                "mappings": [*mappings, *map(mapping, case.refs)],
            },
            "sync_behaviour": {
                "sync_key": [KEY],
                "key_match": "exact" if case.exact else "service",
                "new": case.new,
                "changed": case.changed,
                "dropped": case.dropped,
            },
        }
    )


def mapping(ref: Ref) -> Mapping[str, Any]:
    entries: list[dict[str, Any]] = [lookup(entry) for entry in ref.entries]
    if ref.by_row:
        matches = {entry.table: column(entry) for entry in ref.entries}
        entries = [{"entity_from": "kind", "match": matches, "on_ambiguous": ref.entries[0].ambiguous}]
    entries[-1]["on_missing"] = ref.missing
    if ref.creates:
        entries[-1]["create"] = {TEXT: ref.column}
    return {
        "source": ["kind", ref.column] if ref.by_row else ref.column,
        "target": ref.column,
        "lookup": entries,
        "on_null": "keep" if ref.keeps else "clear",
    }


def lookup(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"entity": entry.table, "match": column(entry), "on_ambiguous": entry.ambiguous}
    return found | ({"default": entry.default} if entry.default else {})


def column(entry: Entry) -> str:
    return KEY if entry.match == "key" else TEXT


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """A source that has its rows at hand."""

    case: Case

    @property
    def readable(self) -> tuple[str, ...]:
        return ()

    def columns(self, workspace: Workspace) -> tuple[Column, ...]:
        return definition(self.case).source.columns

    def load(self, workspace: Workspace) -> None:
        names = ["key", "text", "kind", *(ref.column for ref in self.case.refs)]
        workspace.run(SOURCE_ERRORS)
        workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, {', '.join(f'{quoted(n)} VARCHAR' for n in names)})")
        for number, row in enumerate(self.case.rows, 1):
            values = [row.key, row.text, row.kind, *(row.values[ref.column] for ref in self.case.refs)]
            workspace.execute(f"INSERT INTO source_raw VALUES (?{', ?' * len(values)})", [number, *values])


# -- The service ------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Service:
    """The emulator, and clients that compare keys in one way each."""

    transport: EmulatorTransport
    clients: Mapping[bool, Dataverse]

    def state(self) -> State:
        """All records."""
        return {name: self._read(name) for name in TABLES}

    def _read(self, name: str) -> dict[str, Record]:
        table = TABLES[name]
        values = {ref: f"_{ref}_value" for ref in table.refs}
        columns = ",".join([table.id, KEY, TEXT, "createdon", *values.values()])
        return {
            each[table.id]: Record(
                key=each[KEY],
                text=each[TEXT],
                created=each["createdon"],
                refs={ref: each[value] for ref, value in values.items()},
            )
            for each in self.transport.records(f"{table.entity_set}?$select={columns}")
        }

    def fill(self, seeds: Mapping[str, Sequence[Record]]) -> None:
        """Create records, each a day younger than the one before; references are places among all of them."""
        self.transport.reset()
        day = count(1)
        every = [(name, id_of(name, place)) for name, records in seeds.items() for place in range(len(records))]
        for name, records in seeds.items():
            table = TABLES[name]
            for place, record in enumerate(records):
                values = {table.id: id_of(name, place), KEY: record.key, TEXT: record.text}
                values["overriddencreatedon"] = f"2020-01-{next(day):02}T00:00:00Z"
                self.transport.create(table.entity_set, {key: value for key, value in values.items() if value})
        for name, records in seeds.items():
            for place, record in enumerate(records):
                bound = dict(self._bound(name, record, every))
                if bound:
                    self.transport.update(f"{TABLES[name].entity_set}({id_of(name, place)})", bound)

    @staticmethod
    def _bound(name: str, record: Record, every: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        for ref, place in record.refs.items():
            targets = TABLES[name].refs[ref]
            possible = [each for each in every if each[0] in targets]
            if place is not None and possible:
                table, id_ = possible[int(place) % len(possible)]
                property_ = f"{ref}_{table}" if len(targets) > 1 else ref
                yield f"{property_}@odata.bind", f"{TABLES[table].entity_set}({id_})"


def id_of(table: str, place: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{table}/{place}"))


@cache
def service() -> Service:
    with TemporaryDirectory() as folder:
        schema = Path(folder) / "schema.yaml"
        schema.write_text(SCHEMA, "utf-8")
        transport = EmulatorTransport(schema)
    return Service(
        transport, {exact: client(transport, KeyMatch.EXACT if exact else KeyMatch.SERVICE) for exact in (True, False)}
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What a run planned, and how it ended."""

    changes: int
    rejected: set[int]
    failed: set[int]
    adopted: int


def planned(case: Case, workspace: Workspace) -> tuple[BatchJob, Tools]:
    job = BatchJob(definition=definition(case), parameters={})
    state: StateStore = None  # type: ignore[assignment]  # a plan keeps nothing
    tools = Tools(
        dataverse=service().clients[case.exact], source=Rows(case), state=state, open_workspace=lambda: workspace
    )
    return job, tools


def changes_of(case: Case) -> list[tuple[Any, ...]]:
    """The changes that a plan has."""
    with Workspace.open(threads=1) as workspace:
        prepare(*planned(case, workspace), workspace, STARTED)
        return workspace.query("SELECT action, key, payload, links FROM changes ORDER BY _change")


def run(case: Case) -> Done:
    with Workspace.open(threads=1) as workspace:
        job, tools = planned(case, workspace)
        entity = prepare(job, tools, workspace, STARTED).entity
        columns = layout(job.definition, entity)
        adoption = Adoption.of(job.definition, tools.dataverse, entity, {})
        order = WriteOrder.of(adoption, job.definition, columns)
        write_changes(workspace, tools.dataverse, entity, WriteLimits(), NoProgress(), order)
        ends = workspace.query("SELECT _row, result FROM changes LEFT JOIN outcomes USING (_change)")
        assert len(ends) == workspace.query("SELECT count(*) FROM changes")[0][0], "two outcomes"
        assert {result for _, result in ends} <= {"applied", "adopted", "failed"}
        rejected = {row for (row,) in workspace.query("SELECT _row FROM source_errors WHERE rejected")}
        failed = {row for row, result in ends if result == "failed"}
        return Done(len(ends), rejected, failed, sum(result == "adopted" for _, result in ends))


# -- What is drawn ----------------------------------------------------------------------------------------------------

KEYS = ("a", "A", "b", "c", "d")
TEXTS = ("x", "X", "y", BAD)
ANYTHING = ("", *KEYS, *TEXTS, "nowhere")

entries = st.builds(
    Entry,
    table=st.just(""),
    match=st.sampled_from(["key", "key", "text"]),
    ambiguous=st.sampled_from(["reject", "oldest", "newest"]),
    default=st.sampled_from(["", "", "a", "x"]),
)


@st.composite
def refs(draw: st.DrawFn, name: str, targets: Sequence[str], *, own: str, exact: bool) -> Ref:
    tables = draw(st.lists(st.sampled_from(targets), unique=True, min_size=1))
    by_row = len(targets) > 1 and draw(st.booleans())
    found = [dataclasses.replace(draw(entries), table=table) for table in tables]
    if by_row:
        found = [dataclasses.replace(each, default="", ambiguous=found[0].ambiguous) for each in found]
    possible = ["reject", "clear", "keep"]
    if not exact and not by_row and found[-1].table != own and found[-1].match == "key":
        possible += ["create", "create"]
    return Ref(
        column=name,
        entries=tuple(found),
        missing=draw(st.sampled_from(possible)),
        by_row=by_row,
        keeps=draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    name = draw(st.sampled_from([*TABLES]))
    exact = draw(st.integers(0, 3)) == 0
    mapped = [draw(refs(each, targets, own=name, exact=exact)) for each, targets in TABLES[name].refs.items()]
    rows = st.builds(
        Row,
        key=st.sampled_from(KEYS),
        text=st.sampled_from(["", *TEXTS]),
        kind=st.sampled_from(["new_company", "New_Person ", "lead", ""]),
        values=st.fixed_dictionaries({ref.column: st.sampled_from(ANYTHING) for ref in mapped}),
    )
    # Keys that only the service holds equal: one row each, so that the first one is what it adopts.
    unique = (lambda row: row.key.lower()) if exact else None
    return Case(
        table=name,
        refs=tuple(mapped),
        rows=tuple(draw(st.lists(rows, max_size=6, unique_by=unique))),
        new=draw(st.sampled_from(["insert", "insert", "insert", "ignore"])),
        changed="update" if exact else draw(st.sampled_from(["update", "update", "ignore"])),
        dropped=draw(st.sampled_from(["delete", "ignore"])),
        exact=exact,
        refuses=draw(st.booleans()),
    )


def seeds_of(name: str) -> st.SearchStrategy[list[Record]]:
    table = TABLES[name]
    keys = st.sampled_from([*KEYS, None, None] if table.keyed else KEYS)
    places = {ref: st.none() | st.integers(0, 7).map(str) for ref in table.refs}
    records = st.builds(
        Record, key=keys, text=st.sampled_from([*TEXTS, None]), created=st.just(""), refs=st.fixed_dictionaries(places)
    )
    return st.lists(records, max_size=4, unique_by=lambda each: each.key.lower() if each.key else id(each))


seeds = st.fixed_dictionaries({name: seeds_of(name) for name in TABLES})
passing = st.fixed_dictionaries(
    {
        "action": st.just("status"),
        "status": st.sampled_from([429, 503]),
        "retry_after": st.just(1),
        "match": st.just({"method": "POST"}),
    }
) | st.fixed_dictionaries(
    {
        "action": st.sampled_from(["drop_before", "drop_after"]),
        "match": st.sampled_from([{"method": "POST"}, {"path": "Multiple"}, {"path": "$batch"}, {"method": "GET"}]),
    }
)


def named(state: State, before: State) -> dict[str, list[tuple[object, ...]]]:
    """The records, with names in place of the ids of new ones."""
    known = {id_ for records in before.values() for id_ in records}
    names = {
        id_: id_ if id_ in known else f"new:{name}:{record.key}"
        for name, records in state.items()
        for id_, record in records.items()
    }

    def values(id_: str, record: Record) -> tuple[object, ...]:
        refs = {ref: names[other] for ref, other in record.refs.items() if other}
        return names[id_], record.key, record.text, tuple(sorted(refs.items()))

    return {name: sorted((values(*each) for each in records.items()), key=repr) for name, records in state.items()}


@pytest.mark.timeout(900)  # on a machine that may be busy
@settings(max_examples=200)
@given(case=cases(), records=seeds, faults=st.lists(passing, max_size=2))
def test_a_run_ends_as_the_rules_say_and_settles(
    case: Case, records: Mapping[str, Sequence[Record]], faults: list[dict[str, Any]]
) -> None:
    """Records, rejected rows and failed changes are as the oracle says; when nothing is left, the plan is empty."""
    here = service()
    here.fill(records)
    before = here.state()
    here.transport.faults([*faults, *(REFUSALS if case.refuses else [])])
    for _ in range(MOST_RUNS):
        wanted = expected(case, before)
        done = run(case)
        here.transport.faults([])
        after = here.state()
        assert named(after, before) == named(wanted.state, before)
        assert (done.rejected, done.failed) == (wanted.rejected, wanted.failed)
        case, before = dataclasses.replace(case, refuses=False), after
        wanted = expected(case, before)
        if named(wanted.state, before) == named(before, before):
            assert changes_of(case) == []
            return
    raise AssertionError("it does not settle")
