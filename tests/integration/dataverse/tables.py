"""Reading accounts back through the reader under test."""

from __future__ import annotations

from dataclasses import dataclass

from shared.dataverse import Dataverse
from shared.entities import AttributeMetadata, AttributeType
from shared.transform import TargetColumn, current_table_step
from shared.workspace import Workspace

ACCOUNT_LAYOUT = (
    TargetColumn(
        name="accountnumber",
        attribute=AttributeMetadata(name="accountnumber", type=AttributeType.STRING),
        sql_type="VARCHAR",
        source_sql="NULL",
        key_part=1,
        key_sql="lower(accountnumber)",
    ),
    TargetColumn(
        name="name",
        attribute=AttributeMetadata(name="name", type=AttributeType.STRING),
        sql_type="VARCHAR",
        source_sql="NULL",
    ),
)


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str


def read_accounts(client: Dataverse, condition: str | None = None) -> dict[str, Account]:
    """Accounts by number; there must be no two with one number."""
    with Workspace.open(threads=1) as workspace:
        workspace.run(current_table_step(ACCOUNT_LAYOUT))
        client.read(workspace, client.entity("account"), ACCOUNT_LAYOUT, condition=condition)
        rows = workspace.query("SELECT accountnumber, _id, name FROM current")
    found = {number: Account(str(record), name) for number, record, name in rows}
    assert len(found) == len(rows)
    return found
