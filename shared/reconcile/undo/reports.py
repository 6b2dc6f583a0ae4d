"""The results of an undo, as SQL: in numbers, in kinds of errors, and record by record."""

from __future__ import annotations

from typing import Final

from shared.reconcile.outcomes import FAILED_CHANGES
from shared.reconcile.reports import ROWS_SHOWN
from shared.reconcile.undo.bin import IN_BIN
from shared.reconcile.undo.decide import UNDO_DECISIONS
from shared.transform import ErrorType
from shared.workspace import literal

__all__ = ["UNDO_COUNTS", "UNDO_ERRORS", "UNDO_FILE", "UNDO_FILE_HEADER", "edited_query"]

_KEY: Final = "array_to_string(json_extract_string(key, '$.*'), ', ')"
_GONE: Final = "the record was deleted since the run"
_CHANGED: Final = "others have changed the record since the run; it is left as it is"
_COLUMN: Final = "others have changed this column since the run; it keeps its value"
_MEANWHILE: Final = "the record was changed while it was undone; it is left as it is"
_EDITED: Final = literal(ErrorType.EDITED_SINCE)

UNDO_COUNTS: Final = f"""
SELECT count(*) FILTER (decision = 'insert'), count(*) FILTER (decision = 'update'),
  count(*) FILTER (decision = 'delete'),
  count(*) FILTER (decision = 'insert' AND id IN (SELECT id FROM {IN_BIN.name})),
  count(*) FILTER (decision = 'unchanged'),
  count(*) FILTER (decision = 'edited' OR len(edited) > 0)
FROM {UNDO_DECISIONS}""".strip()
"""SQL for the number of records to create again, to set back, to delete, to restore (of the first), and of those that
are as before and that others have changed."""
_KEPT: Final = f"""
SELECT change, id, '' AS "column", CASE WHEN there THEN {literal(_CHANGED)} ELSE {literal(_GONE)} END AS message
FROM {UNDO_DECISIONS} WHERE decision = 'edited' AND len(edited) = 0
UNION ALL
SELECT change, id, unnest(edited), {literal(_COLUMN)} FROM {UNDO_DECISIONS}
UNION ALL
SELECT _row, _id, '', CASE WHEN code IS NULL AND message <> '' THEN message ELSE {literal(_MEANWHILE)} END
FROM changes JOIN outcomes USING (_change) WHERE result = 'edited'""".strip()
UNDO_ERRORS: Final = f"""
WITH found AS (
  SELECT 'target' AS side, 'Kept Record' AS class, {_EDITED} AS type, "column", message, change FROM ({_KEPT})
  UNION ALL
  SELECT 'sync', 'Failed Operation', concat_ws(' ', upper(action), nullif(code, '')), '', message, _row
  FROM {FAILED_CHANGES})
SELECT side, class, type, "column", list(change ORDER BY change)[:{ROWS_SHOWN}], count(*), any_value(message)
FROM found GROUP BY side, class, type, "column", message
ORDER BY count(*) DESC, side, type, "column", any_value(message)
LIMIT 100""".strip()
"""SQL for (side, class, type, column, numbers of changes of the run, count, message), the most frequent first."""
UNDO_FILE_HEADER: Final = ("Record Id", "Key", "The run", "The undo", "Message")
UNDO_FILE: Final = f"""
WITH kept AS (SELECT change, string_agg(concat_ws(': ', nullif("column", ''), message), '; ') AS message
  FROM ({_KEPT}) GROUP BY change)
SELECT decided.id, {_KEY.replace("key,", "journal.key,")},
  CASE decided.action WHEN 'insert' THEN 'created' WHEN 'delete' THEN 'deleted' ELSE 'changed' END,
  CASE WHEN outcomes.result = 'applied'
      THEN CASE WHEN decided.id IN (SELECT id FROM {IN_BIN.name}) THEN 'restored' WHEN decided.decision = 'insert'
        THEN 'created again' WHEN decided.decision = 'delete' THEN 'deleted' ELSE 'set back' END
    WHEN outcomes.result = 'failed' THEN 'failed'
    WHEN changes._change IS NOT NULL AND coalesce(outcomes.result, 'skipped') = 'skipped' THEN 'not tried'
    WHEN outcomes.result = 'edited' OR decided.decision = 'edited' THEN 'edited since' ELSE 'as before' END,
  concat_ws('; ', nullif(outcomes.message, kept.message), kept.message)
FROM {UNDO_DECISIONS} AS decided JOIN journal ON journal.change = decided.change
LEFT JOIN changes ON changes._row = decided.change LEFT JOIN outcomes ON outcomes._change = changes._change
LEFT JOIN kept ON kept.change = decided.change
ORDER BY decided.change""".strip()
"""SQL of the result of each record."""


def edited_query(limit: int) -> str:
    """SQL for (id, key, column, message) of the first values and records that others have changed."""
    return f"""
SELECT CAST(kept.id AS VARCHAR), key, "column", message FROM ({_KEPT}) AS kept JOIN journal USING (change)
ORDER BY change, "column" LIMIT {int(limit)}""".strip()
