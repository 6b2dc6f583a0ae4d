"""Random records of three tables that refer to each other, syncs with lookups, and the emulator that they run against."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import strategies as st

from shared.dataverse import Dataverse, MetadataCache
from shared.definitions import SyncDefinition
from shared.definitions.models import KeyMatch
from tests.emulator_transport import SERVICE, EmulatorTransport, client
from tests.property.lookup_oracle import (
    BAD,
    FILTERS,
    FLAG,
    KEY,
    TABLES,
    TEXT,
    Case,
    Entry,
    Record,
    Ref,
    Row,
    State,
)

__all__ = [
    "CACHE",
    "KEYS",
    "REFUSALS",
    "Service",
    "cases",
    "columns_of",
    "definition",
    "named",
    "passing",
    "rows_of",
    "seeds",
    "service",
]

SCHEMA = yaml.safe_dump(
    {
        name: {
            "entity_set": table.entity_set,
            "columns": {
                KEY: {"type": "String", "length": 20},
                TEXT: {"type": "String", "length": 100},
                FLAG: {"type": "Integer"},
                **{
                    ref: {
                        "type": "Lookup",
                        "targets": [*targets],
                        "cascade": {
                            each: {"delete": table.cascades.get((ref, each), "RemoveLink")} for each in targets
                        },
                    }
                    for ref, targets in table.refs.items()
                },
            },
            **({"keys": {"number_key": [KEY]}} if table.keyed else {}),
        }
        for name, table in TABLES.items()
    }
)
CACHE = MetadataCache()
REFUSALS = [
    {
        "action": "refuse_rows",
        "match": {"path": table.entity_set, "filter": f"{TEXT} eq '{BAD}'"},
        "code": "0x80040265",
    }
    for table in TABLES.values()
]

# -- A definition -----------------------------------------------------------------------------------------------------


def columns_of(case: Case) -> list[str]:
    """The columns of the source."""
    return ["key", "text", "kind", "action", *(ref.column for ref in case.refs)]


def rows_of(case: Case) -> list[list[str]]:
    """The rows of the source, in the order of its columns."""
    return [
        [row.key, row.text, row.kind, row.action, *(row.values[ref.column] for ref in case.refs)] for row in case.rows
    ]


def definition(case: Case, *, of_events: bool = False) -> SyncDefinition:
    """The sync of a case; one of events listens."""
    table = TABLES[case.table]
    mappings: list[Mapping[str, Any]] = [
        {"source": "key", "target": KEY},
        {"source": "text", "target": TEXT},
    ]
    source: dict[str, Any] = {"type": "events"} if of_events else {"type": "delimited", "path": "things.csv"}
    listener = {"listener": {"name": "things", "topic": {"format": "json", "action": "$.op"}}} if of_events else {}
    behaviour: dict[str, Any] = {"strategy": case.strategy, "action_column": "action"}
    if case.strategy != "delta":
        del behaviour["action_column"]
    if case.strategy == "full":
        behaviour |= {"new": case.new, "changed": case.changed, "dropped": "delete" if of_events else case.dropped}
    return SyncDefinition.model_validate(
        {
            "name": "things",
            "source": {**source, "columns": [{"name": name} for name in columns_of(case)]},
            "destination": {
                "type": "dynamics",
                "entity": case.table,
                "service_url": SERVICE,
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": table.id,
                "mappings": [*mappings, *map(_mapping, case.refs)],
            },
            "sync_behaviour": {
                "sync_key": [KEY],
                "key_match": "exact" if case.exact else "service",
                **behaviour,
            },
            **listener,
        }
    )


def _mapping(ref: Ref) -> Mapping[str, Any]:
    entries: list[dict[str, Any]] = [_lookup(entry) for entry in ref.entries]
    if ref.by_row:
        first = ref.entries[0]
        matches = {entry.table: _column(entry) for entry in ref.entries}
        entries = [{"entity_from": "kind", "match": matches, "on_ambiguous": first.ambiguous, **_filter(first)}]
    entries[-1]["on_missing"] = ref.missing
    if ref.creates:
        entries[-1]["create"] = {TEXT: ref.column}
    return {
        "source": ["kind", ref.column] if ref.by_row else ref.column,
        "target": ref.column,
        "lookup": entries,
        "on_null": "keep" if ref.keeps else "clear",
    }


def _lookup(entry: Entry) -> dict[str, Any]:
    found = {"entity": entry.table, "match": _column(entry), "on_ambiguous": entry.ambiguous, **_filter(entry)}
    return found | ({"default": entry.default} if entry.default else {})


def _filter(entry: Entry) -> dict[str, str]:
    return {"filter": entry.filter} if entry.filter else {}


def _column(entry: Entry) -> str:
    return KEY if entry.match == "key" else TEXT


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
        columns = ",".join([table.id, KEY, TEXT, FLAG, "createdon", *values.values()])
        return {
            each[table.id]: Record(
                key=each[KEY],
                text=each[TEXT],
                flag=each[FLAG],
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
                values: dict[str, Any] = {
                    table.id: id_of(name, place),
                    KEY: record.key,
                    TEXT: record.text,
                    FLAG: record.flag,
                }
                values["overriddencreatedon"] = f"2020-01-{next(day):02}T00:00:00Z"
                self.transport.create(
                    table.entity_set, {key: value for key, value in values.items() if value is not None}
                )
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
    matches = {True: KeyMatch.EXACT, False: KeyMatch.SERVICE}
    return Service(transport, {exact: client(transport, match, CACHE) for exact, match in matches.items()})


# -- What is drawn ----------------------------------------------------------------------------------------------------

KEYS = ("b", "A", "c", "a", "d")
TEXTS = ("x", "X", "y", BAD)
ANYTHING = ("b", "", "x", *KEYS, *TEXTS, "nowhere")

entries = st.builds(
    Entry,
    table=st.just(""),
    match=st.sampled_from(["key", "key", "text"]),
    ambiguous=st.sampled_from(["reject", "oldest", "newest"]),
    default=st.sampled_from(["", "", "a", "x"]),
    filter=st.sampled_from([*FILTERS, "", ""]),
)


@st.composite
def refs(draw: st.DrawFn, name: str, own: str, *, exact: bool, strategy: str, of_events: bool) -> Ref:
    targets = TABLES[own].refs[name]
    tables = draw(st.lists(st.sampled_from(targets), unique=True, min_size=1))
    by_row = len(targets) > 1 and draw(st.booleans())
    found = [dataclasses.replace(draw(entries), table=table) for table in tables]
    if by_row:
        first = found[0]
        found = [
            dataclasses.replace(each, default="", ambiguous=first.ambiguous, filter=first.filter) for each in found
        ]
    if strategy != "full" and own in tables:  # the filter is refused
        found = [dataclasses.replace(each, filter="") for each in found]
    possible = ["reject", "clear", "keep"]
    if draw(st.booleans()):
        found[-1] = dataclasses.replace(found[-1], filter="" if not by_row else found[-1].filter)
    # Events do not know the columns of the source any more when they search the synced table.
    knows = not of_events or own not in tables
    if (
        not exact
        and not by_row
        and found[-1].table != own
        and found[-1].match == "key"
        and not found[-1].filter
        and knows
    ):
        possible += ["create", "create"]
    return Ref(
        column=name,
        entries=tuple(found),
        missing=draw(st.sampled_from(possible)),
        by_row=by_row,
        keeps=(strategy != "full" and len(targets) > 1) or draw(st.booleans()),
    )


STRATEGIES = ("full", "full", "full", "upsert", "delta")


@st.composite
def cases(draw: st.DrawFn, strategies: Sequence[str] = STRATEGIES, *, of_events: bool = False) -> Case:
    strategy: Any = draw(st.sampled_from(strategies))
    name = draw(st.sampled_from([name for name, table in TABLES.items() if table.keyed or strategy == "full"]))
    exact = strategy == "full" and not of_events and draw(st.integers(0, 3)) == 0
    mapped = [draw(refs(ref, name, exact=exact, strategy=strategy, of_events=of_events)) for ref in TABLES[name].refs]
    actions = ["insert", "upsert", "update", "delete"]
    rows = st.builds(
        Row,
        key=st.sampled_from(KEYS),
        text=st.sampled_from(["", *TEXTS]),
        kind=st.sampled_from(["new_company", "New_Person ", "lead", ""]),
        values=st.fixed_dictionaries({ref.column: st.sampled_from(ANYTHING) for ref in mapped}),
        action=st.sampled_from(actions if strategy == "delta" else ["upsert"]),
    )
    # Keys that only the service holds equal: one row each, so that the first one is what it adopts.
    unique = (lambda row: row.key.lower()) if exact and not of_events else None
    return Case(
        table=name,
        refs=tuple(mapped),
        rows=tuple(draw(st.lists(rows, min_size=3, max_size=12 if of_events else 6, unique_by=unique))),
        new=draw(st.sampled_from(["insert", "insert", "insert", "ignore"])) if strategy == "full" else "insert",
        changed="update" if exact or strategy != "full" else draw(st.sampled_from(["update", "update", "ignore"])),
        dropped=draw(st.sampled_from(["delete", "ignore"])),
        exact=exact,
        refuses=draw(st.booleans()),
        strategy=strategy,
    )


def seeds_of(name: str) -> st.SearchStrategy[list[Record]]:
    table = TABLES[name]
    keys = st.sampled_from([*KEYS, None, None] if table.keyed else KEYS)
    places = {ref: st.none() | st.integers(0, 7).map(str) for ref in table.refs}
    records = st.builds(
        Record,
        key=keys,
        text=st.sampled_from([*TEXTS, None]),
        flag=st.sampled_from([None, 0, 1, 2]),
        created=st.just(""),
        refs=st.fixed_dictionaries(places),
    )
    return st.lists(records, min_size=1, max_size=4, unique_by=lambda each: each.key.lower() if each.key else id(each))


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
        return names[id_], record.key, record.text, record.flag, tuple(sorted(refs.items()))

    return {name: sorted((values(*each) for each in records.items()), key=repr) for name, records in state.items()}
