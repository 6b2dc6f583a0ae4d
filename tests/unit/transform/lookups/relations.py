"""Tables that refer to each other, definitions with lookups, and a run of their steps over test records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from shared.definitions import Strategy, SyncDefinition
from shared.entities import AlternateKey, AttributeMetadata, AttributeType, Choice, EntityMetadata
from shared.reconcile import link_steps, reconcile_steps
from shared.transform import (
    LookupColumn,
    current_finish_steps,
    current_table_step,
    desire_steps,
    desired_finish_steps,
    early_lookups,
    late_lookups,
    layout,
    reference_steps,
    references,
    renewal_steps,
    shape_steps,
)
from shared.transform.lookups.columns import lookup_columns
from shared.workspace import Workspace, quoted
from tests.unit.transform.world import ACCOUNT, SEGMENTS, definition, load

T = AttributeType
STARTED = datetime(2026, 3, 1, tzinfo=UTC)
Records = Sequence[Mapping[str, Any]]


def entity(
    name: str, entity_set: str, *columns: AttributeMetadata, keys: tuple[AlternateKey, ...] = ()
) -> EntityMetadata:
    """A table with an id, a name and further columns."""
    own = (
        AttributeMetadata(name=f"{name}id", type=T.UNIQUEIDENTIFIER, updatable=False),
        AttributeMetadata(name="fullname", type=T.STRING, max_length=50),
    )
    return EntityMetadata(
        logical_name=name,
        entity_set=entity_set,
        display_name=name.title(),
        primary_id=f"{name}id",
        primary_name="fullname",
        attributes={column.name: column for column in (*own, *columns)},
        keys=keys,
    )


CONTACT = entity(
    "contact",
    "contacts",
    AttributeMetadata(name="code", type=T.STRING, max_length=20),
    AttributeMetadata(name="rank", type=T.INTEGER),
    AttributeMetadata(name="kind", type=T.PICKLIST, choices=SEGMENTS),
    AttributeMetadata(
        name="many", type=T.PICKLIST, choices=tuple(Choice(value=n, labels=(f"Option {n}",)) for n in range(100))
    ),
    AttributeMetadata(name="alike", type=T.PICKLIST, choices=tuple(Choice(value=n, labels=("Other",)) for n in (1, 2))),
    AttributeMetadata(name="born", type=T.DATETIME),
    AttributeMetadata(name="boss", type=T.LOOKUP, targets=("contact",)),
    AttributeMetadata(name="secret", type=T.STRING, readable=False),
    AttributeMetadata(name="made", type=T.STRING, creatable=False),
    keys=(
        AlternateKey(name="by_code", columns=("code",), active=True),
        AlternateKey(name="by_both", columns=("code", "fullname"), active=True),
        AlternateKey(name="by_rank", columns=("rank",), active=False),
        AlternateKey(name="by_boss", columns=("boss", "code"), active=True),
    ),
)
COLUMNS = (
    AttributeMetadata(name="contact", type=T.LOOKUP, targets=("contact",), navigation={"contact": "Contact"}),
    AttributeMetadata(
        name="customer",
        type=T.CUSTOMER,
        targets=("account", "contact"),
        navigation={"account": "customer_account", "contact": "customer_contact"},
    ),
    AttributeMetadata(
        name="owner",
        type=T.OWNER,
        targets=("systemuser", "team"),
        navigation={"systemuser": "ownerid", "team": "ownerid"},
    ),
    AttributeMetadata(name="needed", type=T.LOOKUP, targets=("contact",), required="SystemRequired"),
    AttributeMetadata(name="second", type=T.LOOKUP, targets=("account",)),
    AttributeMetadata(name="to", type=T.PARTY_LIST, targets=("contact", "team"), updatable=False),
)
LINKED = replace(
    ACCOUNT,
    attributes={**ACCOUNT.attributes, **{column.name: column for column in COLUMNS}},
    related={
        "contact": CONTACT,
        "systemuser": entity("systemuser", "systemusers"),
        "team": entity("team", "teams"),
    },
)


def linking(
    *mappings: Mapping[str, Any], columns: Sequence[Mapping[str, Any]] = (), **behaviour: Any
) -> SyncDefinition:
    """A sync of accounts by number, with the further source columns `a` and `b`."""
    return definition([{"name": "a"}, {"name": "b"}, *columns], mappings, **behaviour)


def to(target: str, source: str | list[str] = "a", **lookup: Any) -> dict[str, Any]:
    """A mapping with a lookup; `on_null` is the mapping's own."""
    own = {"on_null": lookup.pop("on_null")} if "on_null" in lookup else {}
    entries = lookup.pop("entries", None)
    return {"source": source, "target": target, "lookup": entries or lookup, **own}


def record(number: int, **values: Any) -> dict[str, Any]:
    """A record: its id contains the number, and a lower number means an older record."""
    return {"_id": id_of(number), "_created": datetime(2026, 1, number, tzinfo=UTC).replace(tzinfo=None), **values}


def id_of(number: int) -> str:
    """The id of a record."""
    return f"00000000-0000-0000-0000-0000000000{number:02}"


def fill(workspace: Workspace, table: str, columns: Iterable[str], records: Records) -> None:
    """Put records into a table that the reader would fill."""
    names = ["_seq", "_id", "_created", *columns]
    listed = ", ".join(map(quoted, names))
    for sequence, each in enumerate(records, 1):
        values = [sequence, *(each.get(name) for name in names[1:])]
        workspace.execute(f"INSERT INTO {table} ({listed}) VALUES ({', '.join('?' * len(names))})", values)


def read(workspace: Workspace, lookups: Sequence[LookupColumn], tables: Mapping[str, Records]) -> None:
    """Fill the tables of what lookups search."""
    for step in reference_steps(references(lookups)):
        workspace.run(step)
    for reference in references(lookups):
        names = [column.name for column in reference.columns]
        fill(workspace, reference.name, names, tables.get(reference.entity.logical_name, ()))
        keys = ", ".join(f"_k{column.key_part} = {column.key_sql}" for column in reference.columns)
        workspace.execute(f"UPDATE {reference.name} SET {keys}")


def unresolved(workspace: Workspace, sync: SyncDefinition, rows: Sequence[Sequence[str | None]]) -> None:
    """Run the steps up to `desired` with what lookups search for."""
    load(workspace, sync, rows)
    for step in (*shape_steps(sync), *desire_steps(sync, LINKED)):
        workspace.run(step)


def resolved(
    workspace: Workspace, sync: SyncDefinition, rows: Sequence[Sequence[str | None]], **tables: Records
) -> None:
    """Run the steps up to `desired` with its early lookups."""
    unresolved(workspace, sync, rows)
    read(workspace, early_lookups(sync, LINKED), tables)
    for step in desired_finish_steps(sync, LINKED):
        workspace.run(step)


def linked(
    workspace: Workspace,
    sync: SyncDefinition,
    rows: Sequence[Sequence[str | None]],
    *,
    account: Records = (),
    searched: Records | None = None,
    **tables: Records,
) -> None:
    """Run the steps up to `desired` with all lookups.

    Args:
        workspace: Empty.
        sync: Only strategy `full` reads the target.
        rows: The source.
        account: The records of the target.
        searched: Those that lookups in the target find; all of them where it is left out.
        tables: Records of other tables.
    """
    tables = {**tables, "account": account if searched is None else searched}
    resolved(workspace, sync, rows, **tables)
    columns = layout(sync, LINKED)
    workspace.run(current_table_step(columns))
    if sync.sync_behaviour.strategy is Strategy.FULL:
        fill(workspace, "current", [column.name for column in columns], account)
    for step in current_finish_steps(columns, sync):
        workspace.run(step)
    read(workspace, late_lookups(sync, LINKED), tables)
    for step in link_steps(sync, LINKED, columns, started=STARTED):
        workspace.run(step)


def planned(
    workspace: Workspace, sync: SyncDefinition, rows: Sequence[Sequence[str | None]], **tables: Records
) -> None:
    """Run all steps, up to `changes`."""
    linked(workspace, sync, rows, **tables)
    for step in reconcile_steps(sync, layout(sync, LINKED), started=STARTED):
        workspace.run(step)
    for step in renewal_steps(sync, lookup_columns(sync, LINKED)):
        workspace.run(step)


def column(workspace: Workspace, name: str) -> dict[str, Any]:
    """Account number -> value of a column of `desired`, as text."""
    return dict(workspace.query(f"SELECT accountnumber, CAST({quoted(name)} AS VARCHAR) FROM desired ORDER BY _row"))


def errors(workspace: Workspace) -> list[tuple[int, str, str, bool]]:
    """Row, column, error and whether it rejects."""
    return workspace.query('SELECT _row, "column", error, rejected FROM source_errors ORDER BY ALL')


def messages(workspace: Workspace) -> list[str]:
    """The messages about the rows, in their order."""
    return [text for (text,) in workspace.query("SELECT message FROM source_errors ORDER BY _row")]
