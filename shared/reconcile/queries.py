"""Queries on a finished plan: counts, examples and checksum."""

from __future__ import annotations

from collections.abc import Sequence

from shared.reconcile.columns import key_of
from shared.reconcile.plan import PlanAction
from shared.transform import TargetColumn
from shared.workspace import literal

__all__ = ["checksum_query", "columns_query", "counts_query", "keys_query", "sample_query", "sum_of_digests"]


def counts_query() -> str:
    """SQL for (action, keys, source rows, target rows); `PlanCounts.from_rows` reads it."""
    return "SELECT action, count(*), count(_row), count(_id) FROM decisions GROUP BY action"


def columns_query() -> str:
    """SQL for (column, updates that send it), the most changed column first."""
    return f"""
SELECT name, count(*)
FROM (SELECT unnest(string_split(columns, ',')) AS name FROM changes WHERE action = {literal(PlanAction.UPDATE)})
GROUP BY name ORDER BY count(*) DESC, name""".strip()


def sample_query(limit: int) -> str:
    """SQL for the first `limit` changes of each action, as `samples` reads them."""
    return f"""
SELECT changes.action, _row, _id, key, payload, on_create, later, links, columns, before
FROM changes
JOIN (SELECT action, min(_change) AS first FROM changes GROUP BY action) AS starts ON starts.action = changes.action
WHERE _change < first + {int(limit)}
ORDER BY _change""".strip()


def checksum_query() -> str:
    """SQL for one SHA-256 that names exactly these changes, in whatever order the rows came.

    Each change is hashed with what it overwrites, so a record that was edited since gives another sum. The date that
    `expire` sets is the start of the run and differs from plan to run, so it stays out.
    """
    return sum_of_digests(
        f"""
  SELECT sha256(to_json([action::VARCHAR, _id::VARCHAR, key, columns, before, on_create, later, links,
    CASE WHEN action = {literal(PlanAction.EXPIRE)} THEN '' ELSE payload END])::VARCHAR) AS digest
  FROM changes""".strip()
    )


def sum_of_digests(query: str) -> str:
    """SQL for one SHA-256 over those of a query, its column `digest`, in any order.

    The hashes are added up, not joined: ten million rows then need no more memory than one.
    """
    quarters = ", ".join(f"sum(('0x' || substr(digest, {start}, 15))::UBIGINT::HUGEINT)" for start in (1, 17, 33, 49))
    return f"SELECT sha256(concat_ws('-', count(*), {quarters}))\nFROM ({query})"


def keys_query(layout: Sequence[TargetColumn]) -> str:
    """SQL for the keys of the rows of `desired`, as `Change.key` has them, each once."""
    return f"SELECT DISTINCT {key_of(layout, 'desired')} AS key FROM desired ORDER BY key"
