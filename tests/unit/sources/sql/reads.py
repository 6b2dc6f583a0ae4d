"""Reading a `sql` source as a run does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from shared.definitions import SyncDefinition
from shared.definitions.models import ParameterValue
from shared.sources import SourceContext, completed, open_source
from shared.transform import shape_steps
from shared.workspace import Workspace

__all__ = ["defined", "read", "sqlite_url"]


def defined(**keys: Any) -> SyncDefinition:
    """A definition with a source of these keys."""
    return SyncDefinition.model_validate(
        {
            "name": "test",
            "source": {"type": "sql", "connection": {"env": "DATABASE"}, **keys},
            "destination": {
                "type": "dynamics",
                "entity": "account",
                "service_url": "https://org.api.crm.dynamics.com/api/data/v9.2/",
                "auth": "managed_identity",
                "id_column": "accountid",
                "mappings": [{"source": "number", "target": "accountnumber"}],
            },
            "sync_behaviour": {"sync_key": ["accountnumber"]},
        }
    )


def read(
    url: str, parameters: dict[str, ParameterValue] | None = None, **keys: Any
) -> tuple[dict[str, list[Any]], list[tuple[Any, ...]]]:
    """Column -> its values in the order of the rows, and the errors of the rows."""
    definition = defined(**keys)
    source = open_source(definition.source, SourceContext(secret=lambda _reference: url, parameters=parameters or {}))
    with Workspace.open() as workspace:
        whole = completed(definition, source, workspace)
        source.load(workspace)
        for step in shape_steps(whole):
            workspace.run(step)
        names = [column.label for column in whole.source.columns]
        found = {
            name: [row[0] for row in workspace.query(f'SELECT "{name}" FROM shaped ORDER BY _row')] for name in names
        }
        return found, workspace.query('SELECT _row, "column", error, message FROM source_errors ORDER BY _row')


def sqlite_url(folder: Path, *statements: str) -> str:
    """A SQLite file that these statements create."""
    path = folder / "source.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return f"sqlite:///{path}"
