"""The records of an undo that the recycle bin has, as SQL."""

from __future__ import annotations

from typing import Final

from shared.reconcile.links.dependencies import NOT_SETTLED
from shared.reconcile.undo.decide import UNDO_DECISIONS
from shared.workspace import NewTable

__all__ = ["IDS_TO_CREATE", "IN_BIN", "NOTE_IN_BIN", "TO_RESTORE"]

IN_BIN: Final = NewTable(name="undo_bin", columns="(id UUID)")
"""The table of their ids, without rows."""
IDS_TO_CREATE: Final = f"SELECT CAST(id AS VARCHAR) FROM {UNDO_DECISIONS} WHERE decision = 'insert' AND id IS NOT NULL"
"""SQL of the ids of the records that are to be created again."""
NOTE_IN_BIN: Final = f"INSERT INTO {IN_BIN.name} SELECT unnest(?::UUID[])"
"""SQL that notes ids, its parameter."""
TO_RESTORE: Final = f"""
SELECT _change, CAST(_id AS VARCHAR), key FROM changes
WHERE action = 'insert' AND _id IN (SELECT id FROM {IN_BIN.name}) AND {NOT_SETTLED} ORDER BY _change""".strip()
"""SQL for (number, id, key) of the records that are to be restored."""
