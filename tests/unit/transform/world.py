"""A table with a column of every type, short definitions over it, and a run of their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.definitions import SyncDefinition
from shared.entities import AlternateKey, AttributeMetadata, AttributeType, Choice, DateBehavior, EntityMetadata
from shared.transform import desire_steps, desired_finish_steps, shape_steps
from shared.workspace import SqlValue, Workspace, quoted

T = AttributeType
SEGMENTS = (
    Choice(value=1, labels=("Consulting", "Beratung")),
    Choice(value=2, labels=("Finance", "Finanzen")),
    Choice(value=7, labels=("Two, too",)),
)
COLUMNS = (
    AttributeMetadata(name="accountid", type=T.UNIQUEIDENTIFIER, updatable=False),
    AttributeMetadata(name="accountnumber", type=T.STRING, max_length=20, display_name="Account Number"),
    AttributeMetadata(name="name", type=T.STRING, max_length=10),
    AttributeMetadata(name="notes", type=T.MEMO, max_length=2000),
    AttributeMetadata(name="staff", type=T.INTEGER, min_value=0, max_value=1000),
    AttributeMetadata(name="big", type=T.BIGINT),
    AttributeMetadata(name="rate", type=T.DECIMAL, precision=3, min_value=-100.0, max_value=100.0),
    AttributeMetadata(name="revenue", type=T.MONEY, precision=2),
    AttributeMetadata(name="latitude", type=T.DOUBLE, precision=5, min_value=-90.0, max_value=90.0),
    AttributeMetadata(
        name="active",
        type=T.BOOLEAN,
        choices=(Choice(value=1, labels=("Trading", "Aktiv")), Choice(value=0, labels=("Closed", "No business"))),
    ),
    AttributeMetadata(name="segment", type=T.PICKLIST, choices=SEGMENTS),
    AttributeMetadata(name="segments", type=T.MULTI_PICKLIST, choices=SEGMENTS),
    AttributeMetadata(name="founded", type=T.DATETIME, date_behavior=DateBehavior.DATE_ONLY),
    AttributeMetadata(name="called", type=T.DATETIME, date_behavior=DateBehavior.USER_LOCAL),
    AttributeMetadata(name="opens", type=T.DATETIME, date_behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
    AttributeMetadata(name="reference", type=T.UNIQUEIDENTIFIER),
    AttributeMetadata(name="expiredon", type=T.DATETIME, date_behavior=DateBehavior.USER_LOCAL),
    AttributeMetadata(name="parent", type=T.LOOKUP, targets=("account",)),
    AttributeMetadata(name="computed", type=T.STRING, creatable=False, updatable=False),
    AttributeMetadata(name="hidden", type=T.STRING, readable=False),
    AttributeMetadata(name="optionless", type=T.PICKLIST),
)
ACCOUNT = EntityMetadata(
    logical_name="account",
    entity_set="accounts",
    display_name="Account",
    primary_id="accountid",
    primary_name="name",
    attributes={column.name: column for column in COLUMNS},
    keys=(
        AlternateKey(name="by_number", columns=("accountnumber",), active=True),
        AlternateKey(name="by_name", columns=("name",), active=False),
    ),
)
NUMBER = {"name": "number"}
KEYED = {"source": "number", "target": "accountnumber"}


def definition(
    columns: Sequence[Mapping[str, Any]] = (),
    mappings: Sequence[Mapping[str, Any]] = (),
    *,
    filter: str | None = None,  # noqa: A002 - the definition's own word
    **behaviour: Any,
) -> SyncDefinition:
    """A definition with the key column `number`, and what is asked for."""
    return SyncDefinition.model_validate(
        {
            "name": "customers",
            "source": {"type": "delimited", "path": "x.csv", "columns": [NUMBER, *columns], "filter": filter},
            "destination": {
                "type": "dynamics",
                "entity": "account",
                "service_url": "https://org.crm.dynamics.com/api/data/v9.2/",
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": "accountid",
                "mappings": [KEYED, *mappings],
            },
            "sync_behaviour": {"sync_key": ["accountnumber"], **behaviour},
        }
    )


def load(workspace: Workspace, sync: SyncDefinition, rows: Sequence[Sequence[str | None]]) -> None:
    """Put rows into `source_raw`, numbered from 1."""
    names = [quoted(column.name) for column in sync.source.columns if column.read]
    workspace.execute(f"CREATE TABLE source_raw (_row BIGINT, {', '.join(f'{name} VARCHAR' for name in names)})")
    for number, row in enumerate(rows, start=1):
        workspace.execute(f"INSERT INTO source_raw VALUES (?{', ?' * len(names)})", [number, *row])


def shaped(
    workspace: Workspace,
    sync: SyncDefinition,
    rows: Sequence[Sequence[str | None]],
    parameters: Mapping[str, SqlValue] | None = None,
    entity: EntityMetadata = ACCOUNT,
) -> None:
    """Run a definition's steps over rows, up to `desired`."""
    workspace.bind(parameters or {})
    load(workspace, sync, rows)
    for step in (*shape_steps(sync), *desire_steps(sync, entity), *desired_finish_steps(sync, entity)):
        workspace.run(step)
    assert_accounted_for(workspace)


def assert_accounted_for(workspace: Workspace) -> None:
    """Every row is processed, and is verified, rejected or filtered."""
    ((processed, verified, rejected, filtered),) = workspace.query(
        "SELECT processed, verified, rejected, filtered FROM source_counts"
    )
    assert processed == verified + rejected + filtered


def errors(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Row, column, error and whether it rejects."""
    return workspace.query('SELECT _row, "column", error, rejected FROM source_errors ORDER BY ALL')
