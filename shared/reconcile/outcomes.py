"""The table `outcomes`, with one row for each change of a run: how it is made, filled and read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

from shared.reconcile.plan import PlanAction
from shared.transform import TargetColumn, key_columns
from shared.transform.rules import ErrorType
from shared.workspace import NewTable, Table, json_rows, literal

__all__ = [
    "EDITED_CHANGES",
    "FAILED_CHANGES",
    "KEEP_OUTCOMES",
    "LINKS_MADE",
    "MADE",
    "NAME_EDITED",
    "OUTCOMES",
    "UNNAMED_LINKS",
    "Result",
    "adopted_updates_query",
    "changes_count_query",
    "changes_query",
    "failed_count_query",
    "name_links_statement",
    "outcome_counts_query",
    "refused",
    "resolve_taken_statements",
    "results_query",
    "skip_reason_query",
    "skip_statements",
    "taken_keys_query",
    "unfinished_rows",
]


class Result(StrEnum):
    """The result of a change, as the table has it."""

    APPLIED = "applied"
    ADOPTED = "adopted"
    TAKEN = "taken"  # not final: an insert was refused because another record has its key
    FAILED = "failed"
    SKIPPED = "skipped"
    EDITED = "edited"  # the record was changed after it was compared, and keeps its values


MADE: Final = f"({literal(Result.APPLIED)}, {literal(Result.ADOPTED)})"
"""SQL of the results of changes that were made."""
OUTCOMES: Final = NewTable(
    name=Table.OUTCOMES,
    columns="(_change BIGINT, result VARCHAR, id UUID, created BOOLEAN, status INTEGER, code VARCHAR, message VARCHAR, "
    "sent BOOLEAN, stopped VARCHAR)",
)
"""The table, without rows.

A change that has `sent` may have been made, although it was skipped or refused. A change that was skipped has in
`stopped` what stopped the write, such as `deadline`: `message` is for people, and may say more.
"""
_MEMBERS: Final = {
    "n": "BIGINT",
    "result": "VARCHAR",
    "id": "UUID",
    "created": "BOOLEAN",
    "status": "INTEGER",
    "code": "VARCHAR",
    "message": "VARCHAR",
    "sent": "BOOLEAN",
    "stopped": "VARCHAR",
}
_SENDS: Final = (
    f"adoptions.action = {literal(PlanAction.UPDATE)} AND (adoptions.payload <> '{{}}' OR adoptions.later <> '')"
)
KEEP_OUTCOMES: Final = (
    f"INSERT INTO outcomes SELECT {', '.join(f'r.{name}' for name in _MEMBERS)} FROM {json_rows(_MEMBERS)}"
)
"""SQL that adds rows from one JSON text, its parameter: an array of objects with the table's columns as members; the
number of the change is `n`."""
FAILED_CHANGES: Final = f"""(
    SELECT _change, c.action, c._row, coalesce(c._id, o.id) AS _id, c.key,
        CASE WHEN o.code = '0x0' THEN '' ELSE o.code END AS code, o.message  -- the service's way to say: no code
    FROM outcomes o JOIN changes c USING (_change) WHERE o.result = {literal(Result.FAILED)})"""
"""SQL of a table: the changes that Dataverse refused, each with the service's code and message."""
EDITED_CHANGES: Final = f"""(
    SELECT c._row, c._id FROM outcomes o JOIN changes c USING (_change) WHERE o.result = {literal(Result.EDITED)})"""
"""SQL of a table: the changes that were not made, because the record was changed after it was compared."""


def unfinished_rows(waiting: Sequence[str] = ()) -> str:
    """SQL of the rows of the source that another run must see again.

    Their changes were not made, or they were rejected because the record of the same table that they refer to is not
    there yet: they do not change when it comes.

    Args:
        waiting: The columns that may refer to records of the same table, by each name that errors have for them.
    """
    unmade = f"""
SELECT c._row FROM changes c LEFT JOIN outcomes o USING (_change)
WHERE c._row IS NOT NULL AND coalesce(o.result, '') NOT IN {MADE}"""
    if not waiting:
        return unmade.strip()
    columns = ", ".join(map(literal, waiting))
    return f"""{unmade}
UNION ALL
SELECT _row FROM source_errors
WHERE rejected AND error = {literal(ErrorType.UNRESOLVED_LINK)} AND "column" IN ({columns})""".strip()


def changes_query(condition: str = "true") -> str:
    """SQL for the changes in their order: number, action, id, key, payload, on_create, later, columns, version.

    Args:
        condition: Which changes, over `changes`.
    """
    where = "" if condition == "true" else f"WHERE {condition} "
    fields = "_change, action, _id, key, payload, on_create, later, columns, version"
    return f"SELECT {fields} FROM changes {where}ORDER BY _change"


def changes_count_query() -> str:
    """SQL for (inserts, all changes)."""
    return f"SELECT count(*) FILTER (action = {literal(PlanAction.INSERT)}), count(*) FROM changes"


def adopted_updates_query() -> str:
    """SQL for the adopted records that are updated: number of the insert, id, key, payload, later, columns, version.

    Those whose references alone differ, and are written after all records exist, are not among them.
    """
    return f"""
SELECT _change, CAST(adoptions._id AS VARCHAR), key, adoptions.payload, adoptions.later, adoptions.columns,
  adoptions.version
FROM adoptions JOIN changes USING (_change)
WHERE {_SENDS}
ORDER BY _change""".strip()


NAME_EDITED: Final = f"""
UPDATE outcomes SET id = adoptions._id FROM adoptions
WHERE adoptions._change = outcomes._change AND result = {literal(Result.EDITED)}""".strip()
"""SQL that notes the ids of the records that were to be adopted and were edited meanwhile: others may refer to them."""


def taken_keys_query() -> str:
    """SQL for (number, key) of the inserts whose key is taken."""
    return f"""
SELECT _change, key FROM outcomes JOIN changes USING (_change)
WHERE result = {literal(Result.TAKEN)}
ORDER BY _change""".strip()


def resolve_taken_statements() -> tuple[str, ...]:
    """SQL that gives each insert whose key is taken its result: adopted or failed; of one that becomes an update, none.

    The statements need the table `adoptions`. The outcome of such an update is the insert's.
    """
    taken = f"result = {literal(Result.TAKEN)}"
    return (
        f"""
UPDATE outcomes SET result = {literal(Result.ADOPTED)}, id = adoptions._id, status = NULL, code = NULL, message = NULL
FROM adoptions
WHERE adoptions._change = outcomes._change AND {taken} AND NOT ({_SENDS})""".strip(),
        f"DELETE FROM outcomes WHERE {taken} AND _change IN (SELECT _change FROM adoptions)",
        f"UPDATE outcomes SET result = {literal(Result.FAILED)} WHERE {taken}",
    )


def skip_statements() -> tuple[str, ...]:
    """SQL that makes every change without a final outcome a skipped one; $1 of each statement is the reason."""
    skipped = literal(Result.SKIPPED)
    return (
        f"UPDATE outcomes SET result = {skipped}, message = $1, stopped = $1 WHERE result = {literal(Result.TAKEN)}",
        f"""
INSERT INTO outcomes (_change, result, message, stopped)
SELECT _change, {skipped}, $1, $1 FROM changes
WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes._change = changes._change)""".strip(),
    )


def results_query() -> str:
    """SQL for (number, result, code, message) of all outcomes."""
    return "SELECT _change, result, code, message FROM outcomes"


def failed_count_query() -> str:
    """SQL for how many changes failed."""
    return f"SELECT count(*) FROM outcomes WHERE result = {literal(Result.FAILED)}"


def refused(codes: Collection[str], condition: str) -> str:
    """SQL condition over `outcomes`: the service refused the change with one of some codes, and wrote nothing of it.

    Args:
        codes: Of the service.
        condition: Which changes, over `changes`.
    """
    listed = ", ".join(literal(code) for code in sorted(codes))
    return (
        f"result = {literal(Result.FAILED)} AND code IN ({listed}) AND id IS NULL "
        f"AND _change IN (SELECT _change FROM changes WHERE {condition})"
    )


def outcome_counts_query() -> str:
    """SQL for (result, changes): applied changes by what they did, the others by their result."""
    return f"""
SELECT CASE o.result WHEN {literal(Result.APPLIED)} THEN c.action::VARCHAR ELSE o.result END, count(*)
FROM outcomes o JOIN changes c USING (_change)
WHERE o.result <> {literal(Result.TAKEN)}
GROUP BY ALL""".strip()


def skip_reason_query() -> str:
    """SQL for what stopped the write, so that changes were skipped; null when none was."""
    return f"SELECT min(stopped) FROM outcomes WHERE result = {literal(Result.SKIPPED)}"


LINKS_MADE: Final = "links_made"
"""The name of the table, of the form of `current`, for the new links as they are read after the write."""
_UNNAMED: Final = f"result = {literal(Result.APPLIED)} AND action = {literal(PlanAction.INSERT)} AND id IS NULL"
UNNAMED_LINKS: Final = f"SELECT key FROM changes JOIN outcomes USING (_change) WHERE {_UNNAMED} ORDER BY _change"
"""SQL for the keys of the links that were made and whose ids the service did not tell."""


def name_links_statement(layout: Sequence[TargetColumn]) -> str:
    """SQL that notes their ids in `outcomes`, once `links_made` was read.

    Args:
        layout: The target columns of the links.
    """
    same = " AND ".join(f"desired._k{column.key_part} = made._k{column.key_part}" for column in key_columns(layout))
    return f"""
UPDATE outcomes SET id = found._id
FROM (
  SELECT changes._change, made._id
  FROM changes JOIN outcomes USING (_change) JOIN desired ON desired._row = changes._row
  JOIN {LINKS_MADE} AS made ON {same}
  WHERE {_UNNAMED}) AS found
WHERE found._change = outcomes._change""".strip()
