"""For any two tables and any rules: the plan makes the target what the rules say, and then there is nothing to do."""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.definitions import SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.reconcile import PlanCounts, checksum_query, counts_query, decisions, reconcile_steps
from shared.transform import (
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    layout,
    shape_steps,
)
from shared.transform.shape import SOURCE_ERRORS
from shared.workspace import Workspace

STARTED = datetime(2026, 3, 1, 9, 30, 0, tzinfo=UTC)
STAMP = "2026-03-01T09:30:00Z"
LONG_AGO = "2020-01-01T00:00:00Z"

THING = EntityMetadata(
    logical_name="thing",
    entity_set="things",
    display_name="Thing",
    primary_id="thingid",
    primary_name="name",
    attributes={
        attribute.name: attribute
        for attribute in (
            AttributeMetadata(name="number", type=AttributeType.STRING, max_length=100),
            AttributeMetadata(name="name", type=AttributeType.STRING, max_length=100),
            AttributeMetadata(name="size", type=AttributeType.DECIMAL, precision=2),
            AttributeMetadata(
                name="new_expiredon", type=AttributeType.DATETIME, date_behavior=DateBehavior.TIME_ZONE_INDEPENDENT
            ),
        )
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One draw of the rules between source and target."""

    new: Literal["insert", "ignore"]
    changed: Literal["update", "ignore", "when"]
    dropped: Literal["delete", "ignore", "expire"]
    on_null: Literal["clear", "keep"]
    on_misfit: Literal["leave out", "reject"]
    in_parts: bool

    def definition(self) -> SyncDefinition:
        when = {"when": "target.name IS NULL OR source.size > 5"}
        return SyncDefinition.model_validate(
            {
                "name": "things",
                "source": {
                    "type": "delimited",
                    "path": "things.csv",
                    "columns": [
                        {"name": "number"},
                        {"name": "name"},
                        {"name": "size", "type": "number", "validate": self.on_misfit == "reject"},
                    ],
                },
                "destination": {
                    "type": "dynamics",
                    "entity": "thing",
                    "service_url": "https://org.example/api/data/v9.2/",
                    "client_id": "app",
                    "client_secret": {"env": "SECRET"},
                    "id_column": "thingid",
                    "mappings": [
                        {"source": "number", "target": "number"},
                        {"source": "name", "target": "name", "on_null": self.on_null},
                        {"source": "size", "target": "size"},
                    ],
                },
                "sync_behaviour": {
                    "sync_key": ["number"],
                    "new": self.new,
                    "changed": when if self.changed == "when" else self.changed,
                    "dropped": {"expire": "new_expiredon"} if self.dropped == "expire" else self.dropped,
                },
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the source: texts, as a file has them."""

    number: str
    name: str
    size: str

    @property
    def amount(self) -> Decimal | None:
        return None if self.size in {"", "n/a"} else Decimal(self.size)

    @property
    def malformed(self) -> bool:
        """Whether the reader cannot split its line."""
        return self.size == '"'


@dataclass(slots=True, kw_only=True)
class Record:
    """A record of the target."""

    number: str | None = None
    name: str | None = None
    size: Decimal | None = None
    new_expiredon: str | None = None

    def values(self) -> tuple[Any, ...]:
        return self.number, self.name, self.size, self.new_expiredon

    def changed(self, **values: Any) -> Record:
        return Record(**({name: getattr(self, name) for name in self.__slots__} | values))


@dataclass(slots=True)
class Target:
    """A table of records by id, oldest first, to which changes are applied as the service would."""

    records: dict[str, Record] = field(default_factory=dict)

    def apply(self, changes: list[tuple[str, str | None, str]]) -> None:
        for action, record, payload in changes:
            sent = json.loads(payload, parse_float=Decimal, parse_int=Decimal)
            match action, record:
                case "insert", None:
                    self.records[str(uuid.uuid4())] = Record(**sent)
                case "delete", str(gone):
                    del self.records[gone]
                case "update" | "expire", str(known):
                    assert sent, "an update without a column is no update"
                    for name, value in sent.items():
                        assert getattr(self.records[known], name) != value, "only differing columns are sent"
                    self.records[known] = self.records[known].changed(**sent)
                case _:
                    raise AssertionError((action, record))

    def sorted(self) -> list[str]:
        return sorted(repr(record.values()) for record in self.records.values())


def planned(rules: Rules, rows: list[Row], target: Target) -> list[tuple[str, str | None, str]]:
    """Run all pure steps over source and target and return the changes in writing order."""
    definition = rules.definition()
    columns = layout(definition, THING)
    with Workspace.open(threads=1) as workspace:
        workspace.run(SOURCE_ERRORS)
        fill_source(workspace, rows)
        for step in (
            *shape_steps(definition),
            *desire_steps(definition, THING),
            *desired_finish_steps(definition, THING),
            current_table_step(columns),
        ):
            workspace.run(step)
        fill_target(workspace, target)
        finish = current_finish_steps(columns, definition)
        with patch.object(decisions, "VALUES_AT_ONCE", 2 * (len(columns) + 1) if rules.in_parts else 1_000_000):
            reconcile = reconcile_steps(definition, columns, started=STARTED, target_rows=len(target.records))
        for step in (*finish, *reconcile):
            workspace.run(step)
        changes = workspace.query(
            "SELECT _change, action::VARCHAR, _id::VARCHAR, payload FROM changes ORDER BY _change"
        )
        assert [change[0] for change in changes] == list(range(1, len(changes) + 1))
        assert len(workspace.query(checksum_query())[0][0]) == 64
        counts = PlanCounts.from_rows(workspace.query(counts_query()))
        wanted, oldest = first_rows(rules, rows), oldest_records(target)
        assert (counts.source_rows, counts.target_rows) == (len(wanted), len(oldest))
        assert counts.changes == len(changes)
        assert len(wanted.keys() | oldest.keys()) == counts.changes + counts.unchanged + counts.ignored
        assert every_row_is_accounted_for(workspace, rows, target)
        return [(action, record, payload) for _, action, record, payload in changes]


def fill_source(workspace: Workspace, rows: list[Row]) -> None:
    workspace.execute("CREATE TABLE source_raw (_row BIGINT, number VARCHAR, name VARCHAR, size VARCHAR)")
    for place, row in enumerate(rows, start=1):
        if row.malformed:
            workspace.execute("INSERT INTO source_errors VALUES (?, NULL, 'Malformed Row', true, '')", [place])
            continue
        workspace.execute("INSERT INTO source_raw VALUES (?, ?, ?, ?)", [place, row.number, row.name, row.size])


def every_row_is_accounted_for(workspace: Workspace, rows: list[Row], target: Target) -> bool:
    """On both sides the number of rows is that of synced and rejected rows together."""
    (source,) = workspace.query("SELECT processed, verified + rejected + filtered FROM source_counts")
    ((verified, rejected),) = workspace.query(
        "SELECT (SELECT count(*) FROM current), (SELECT count(DISTINCT _row) FROM target_errors WHERE rejected)"
    )
    return source == (len(rows), len(rows)) and verified + rejected == len(target.records)


def fill_target(workspace: Workspace, target: Target) -> None:
    """The rows arrive in another order than the records were made in: only its date shows which one is the oldest."""
    expires = "new_expiredon, " if "new_expiredon" in str(workspace.query("DESCRIBE current")) else ""
    for sequence, (record, have) in enumerate(reversed(target.records.items()), start=1):
        values = [sequence, record, len(target.records) - sequence, have.number, have.name, have.size]
        values += [have.new_expiredon] if expires else []
        moments = "?::TIMESTAMPTZ::TIMESTAMP, " if expires else ""
        workspace.execute(
            f"INSERT INTO current (_seq, _id, _created, number, name, {expires}size) "
            f"VALUES ($1, $2, TIMESTAMP '2020-01-01' + to_days($3::INTEGER), $4, $5, {moments.replace('?', '$7')}$6)",
            values,
        )


def folded(text: str) -> str:
    """How the service compares keys: no case, no accents, no spaces at the end."""
    bare = "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))
    return bare.lower().rstrip(" ")


def rejected(rules: Rules, row: Row) -> bool:
    return row.malformed or not folded(row.number) or (row.size == "n/a" and rules.on_misfit == "reject")


def first_rows(rules: Rules, rows: list[Row]) -> dict[str, Row]:
    firsts: dict[str, Row] = {}
    for row in rows:
        if not rejected(rules, row):
            firsts.setdefault(folded(row.number), row)
    return firsts


def oldest_records(target: Target) -> dict[str, str]:
    oldest: dict[str, str] = {}
    for record, have in target.records.items():
        if folded(have.number or ""):
            oldest.setdefault(folded(have.number or ""), record)
    return oldest


def droppable(rules: Rules, rows: list[Row], target: Target) -> set[str]:
    """The keys that no row of the source has, not even a wrong one; an unreadable row may have any key."""
    refused = [row for row in rows if rejected(rules, row)]
    if any(row.malformed for row in refused):
        return set()
    keys = Counter(folded(have.number or "") for have in target.records.values())
    return {key for key, records in keys.items() if key and records == 1} - {folded(row.number) for row in refused}


def expected(rules: Rules, rows: list[Row], target: Target) -> Target:
    """The rules of a full sync, in plain Python."""

    def outcome() -> Iterator[tuple[str, Record]]:
        wanted, oldest, gone = first_rows(rules, rows), oldest_records(target), droppable(rules, rows, target)
        for record, have in target.records.items():
            key = folded(have.number or "")
            if oldest.get(key) != record:
                yield record, have  # a duplicate and a record without a key are never touched
            elif key in wanted:
                yield record, matched(rules, wanted[key], have)
            elif key not in gone:
                yield record, have
            elif rules.dropped == "expire" and have.new_expiredon is None:
                yield record, have.changed(new_expiredon=STAMP)
            elif rules.dropped != "delete":
                yield record, have
        for key, row in wanted.items():
            if key not in oldest and rules.new == "insert":
                yield key, Record(number=row.number, name=row.name or None, size=row.amount)

    return Target(dict(outcome()))


def matched(rules: Rules, row: Row, have: Record) -> Record:
    """A record and the row of its key: fields with an error and empty fields with `keep` are not changed."""
    allowed = rules.changed == "update" or (
        rules.changed == "when" and (have.name is None or (row.amount is not None and row.amount > 5))
    )
    if not allowed:
        return have
    name = {} if rules.on_null == "keep" and not row.name else {"name": row.name or None}
    size = {} if row.size == "n/a" else {"size": row.amount}
    return have.changed(number=row.number, **name, **size)


keys = st.sampled_from(["a", "A", "ä", "a ", "b", "B", "c", "d", "é", "E", "f", "g"])
texts = st.sampled_from(["a", "A", "a ", '"', "\\", "'", "é", "a,b", "\U0001f600", "{}", "\n"])
amounts = st.decimals(min_value=0, max_value=10, places=2)
sound = st.builds(
    Row,
    number=keys | st.sampled_from(["", " "]),
    name=texts | st.just(""),
    size=amounts.map(str) | st.sampled_from(["", "n/a", "n/a"]),
)
malformed = st.builds(Row, number=keys, name=texts, size=st.just('"'))
# A malformed row keeps everything from being dropped, so most sources have none.
sources = st.lists(sound, max_size=8) | st.lists(sound | malformed, max_size=8)
targets = st.lists(
    st.builds(
        Record,
        number=keys | st.sampled_from([None, " "]),
        name=texts | st.none(),
        size=amounts | st.none(),
        new_expiredon=st.sampled_from([None, LONG_AGO]),
    ),
    max_size=8,
)
all_rules = st.builds(
    Rules,
    new=st.sampled_from(["insert", "ignore"]),
    changed=st.sampled_from(["update", "ignore", "when"]),
    dropped=st.sampled_from(["delete", "ignore", "expire"]),
    on_null=st.sampled_from(["clear", "keep"]),
    on_misfit=st.sampled_from(["leave out", "reject"]),
    in_parts=st.booleans(),
)


@pytest.mark.timeout(900)  # fifty plans, on a machine that may be busy
@settings(max_examples=settings().max_examples, deadline=None)
@given(rules=all_rules, rows=sources, records=targets)
def test_the_plan_makes_the_target_what_the_rules_say_and_then_plans_nothing(
    rules: Rules, rows: list[Row], records: list[Record]
) -> None:
    """The applied changes give the result of the oracle, duplicates do not change, and a second plan is empty."""
    target = Target({str(uuid.uuid4()): record for record in records})
    oracle = expected(rules, rows, target)
    target.apply(planned(rules, rows, target))
    assert target.sorted() == oracle.sorted()
    assert planned(rules, rows, target) == []
