"""For any two tables and any rules: the plan makes the target what the rules say, and then there is nothing to do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.definitions import SyncDefinition
from shared.entities import AttributeMetadata, AttributeType, DateBehavior
from shared.reconcile import checksum_query, reconcile_steps
from shared.transform import Omit, TargetColumn
from shared.workspace import Workspace

STARTED = datetime(2026, 3, 1, 9, 30, 0, tzinfo=UTC)
STAMP = "2026-03-01T09:30:00Z"

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One draw of the rules between source and target."""

    new: Literal["insert", "ignore"]
    changed: Literal["update", "ignore", "when"]
    dropped: Literal["delete", "ignore", "expire"]
    omit: Omit

    def definition(self) -> SyncDefinition:
        changed = {"when": "target.name IS NULL OR source.size > 5"} if self.changed == "when" else self.changed
        dropped = {"expire": "new_expiredon"} if self.dropped == "expire" else self.dropped
        return SyncDefinition.model_validate(
            {
                "name": "things",
                "source": {
                    "type": "delimited",
                    "path": "things.csv",
                    "columns": [{"name": "number"}, {"name": "name"}, {"name": "size", "type": "number"}],
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
                        {"source": "name", "target": "name"},
                        {"source": "size", "target": "size"},
                    ],
                },
                "sync_behaviour": {
                    "sync_key": ["number"],
                    "new": self.new,
                    "changed": changed,
                    "dropped": dropped,
                },
            }
        )

    def layout(self) -> tuple[TargetColumn, ...]:
        return (
            column("number", AttributeType.STRING, "VARCHAR", key_part=1),
            column("name", AttributeType.STRING, "VARCHAR", omit=self.omit),
            column("size", AttributeType.DECIMAL, "DECIMAL(38,2)"),
            column("new_expiredon", AttributeType.DATETIME, "TIMESTAMP", writes=False),
        )


def column(
    name: str,
    kind: AttributeType,
    sql_type: str,
    *,
    omit: Omit = Omit.NEVER,
    key_part: int | None = None,
    writes: bool = True,
) -> TargetColumn:
    behavior = DateBehavior.USER_LOCAL if kind is AttributeType.DATETIME else None
    attribute = AttributeMetadata(name=name, type=kind, date_behavior=behavior)
    return TargetColumn(
        name=name, attribute=attribute, sql_type=sql_type, source_sql="", omit=omit, key_part=key_part, writes=writes
    )


texts = st.none() | st.sampled_from(["", "a", "A", "ä", "a ", '"', "\\", "'", "é\u0301", "a,b", "\U0001f600"]).filter(
    bool
)
sizes = st.none() | st.decimals(min_value=0, max_value=10, places=2)
keys = st.sampled_from("abcdefgh")
rules = st.builds(
    Rules,
    new=st.sampled_from(["insert", "ignore"]),
    changed=st.sampled_from(["update", "ignore", "when"]),
    dropped=st.sampled_from(["delete", "ignore", "expire"]),
    omit=st.sampled_from(list(Omit)),
)
wanted = st.dictionaries(keys, st.fixed_dictionaries({"name": texts, "size": sizes, "omit": st.booleans()}))
held = st.dictionaries(
    keys,
    st.fixed_dictionaries(
        {
            "name": texts,
            "size": sizes,
            "upper": st.booleans(),
            "new_expiredon": st.sampled_from([None, "2020-01-01T00:00:00Z"]),
        }
    ),
)


@dataclass(slots=True)
class Target:
    """A table of records by id, to which changes are applied as the service would."""

    records: dict[str, Record] = field(default_factory=dict)

    def apply(self, changes: list[tuple[str, str | None, str]]) -> None:
        for action, record, payload in changes:
            sent = json.loads(payload, parse_float=Decimal, parse_int=Decimal)
            match action, record:
                case "insert", None:
                    empty: Record = {"number": None, "name": None, "size": None, "new_expiredon": None}
                    self.records[str(uuid.uuid4())] = empty | sent
                case "delete", str(gone):
                    del self.records[gone]
                case "update" | "expire", str(known):
                    assert sent, "an update without a column is no update"
                    unequal = {name for name, value in sent.items() if self.records[known][name] != value}
                    assert unequal == set(sent), "only differing columns are sent"
                    self.records[known].update(sent)
                case _:
                    raise AssertionError((action, record))


def planned(rules: Rules, desired: dict[str, Record], target: Target) -> list[tuple[str, str | None, str]]:
    with Workspace.open() as workspace:
        stage(workspace, desired, target)
        for step in reconcile_steps(rules.definition(), rules.layout(), started=STARTED):
            workspace.run(step)
        rows = workspace.query("SELECT _change, action::VARCHAR, _id::VARCHAR, payload FROM changes ORDER BY _change")
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        assert len(workspace.query(checksum_query())[0][0]) == 64
        keys = {*desired, *(record["number"].lower() for record in target.records.values())}
        assert workspace.query("SELECT count(*) FROM decisions") == [(len(keys),)]
        return [(action, record, payload) for _, action, record, payload in rows]


def stage(workspace: Workspace, desired: dict[str, Record], target: Target) -> None:
    workspace.execute(
        'CREATE TABLE desired (_row BIGINT, number VARCHAR, name VARCHAR, size DECIMAL(38,2), "_omit_name" BOOLEAN, _k1 VARCHAR)'
    )
    workspace.execute("CREATE TABLE source (_row BIGINT, number VARCHAR, name VARCHAR, size DECIMAL(38,2))")
    workspace.execute(
        "CREATE TABLE current (_seq BIGINT, _id UUID, _created TIMESTAMP, number VARCHAR, name VARCHAR, "
        "size DECIMAL(38,2), new_expiredon TIMESTAMP, _k1 VARCHAR)"
    )
    for row, (key, want) in enumerate(desired.items(), start=1):
        values = [row, key, want["name"], want["size"], want["omit"], key]
        workspace.execute("INSERT INTO desired VALUES (?, ?, ?, ?, ?, ?)", values)
        workspace.execute("INSERT INTO source VALUES (?, ?, ?, ?)", values[:4])
    for sequence, (record, have) in enumerate(target.records.items(), start=1):
        workspace.execute(
            "INSERT INTO current VALUES (?, ?, NULL, ?, ?, ?, CAST(CAST(? AS TIMESTAMPTZ) AS TIMESTAMP), ?)",
            [
                sequence,
                record,
                have["number"],
                have["name"],
                have["size"],
                have["new_expiredon"],
                have["number"].lower(),
            ],
        )


def expected(rules: Rules, desired: dict[str, Record], target: Target) -> list[Record]:
    """The rules of a full sync in ten lines of Python."""

    def outcome() -> Iterator[Record]:
        matched = {record["number"].lower(): record for record in target.records.values()}
        for key, want in desired.items():
            skips = (rules.omit is Omit.FLAGGED and want["omit"]) or (
                rules.omit is Omit.WHEN_NULL and want["name"] is None
            )
            have = matched.pop(key, None)
            asked = {"number": key, "size": want["size"]} | ({} if skips else {"name": want["name"]})
            if have is None:
                if rules.new == "insert":
                    yield {"name": None, "new_expiredon": None} | asked
            elif rules.changed == "update" or (
                rules.changed == "when" and (have["name"] is None or (want["size"] is not None and want["size"] > 5))
            ):
                yield have | asked
            else:
                yield have
        for have in matched.values():
            if rules.dropped == "expire" and have["new_expiredon"] is None:
                yield have | {"new_expiredon": STAMP}
            elif rules.dropped != "delete":
                yield have

    return list(outcome())


def in_order(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: str(record["number"]).lower())


@settings(max_examples=120, deadline=None)
@given(rules=rules, desired=wanted, held=held)
def test_the_plan_makes_the_target_what_the_rules_say_and_then_plans_nothing(
    rules: Rules, desired: dict[str, Record], held: dict[str, Record]
) -> None:
    """Applying the changes gives what a plain reading of the rules gives; planning again is empty."""
    target = Target()
    for key, values in held.items():
        record = {name: values[name] for name in ("name", "size", "new_expiredon")}
        target.records[str(uuid.uuid4())] = {"number": key.upper() if values["upper"] else key} | record
    oracle = expected(rules, desired, target)
    target.apply(planned(rules, desired, target))
    assert in_order(list(target.records.values())) == in_order(oracle)
    assert planned(rules, desired, target) == []
