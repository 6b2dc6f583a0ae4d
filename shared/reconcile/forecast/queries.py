"""What the changes of a plan need: SQL."""

from __future__ import annotations

from typing import Final

from shared.reconcile.plan import PlanAction
from shared.state_rules import CLOSE
from shared.workspace import literal

__all__ = ["workload_query"]

_OWN_KINDS: Final = ", ".join(map(literal, (PlanAction.INSERT, PlanAction.UPSERT, PlanAction.DELETE)))
_IS_UPDATE: Final = f"action NOT IN ({_OWN_KINDS})"
_CLOSES: Final = f"contains(later, {literal(CLOSE)})"


def workload_query() -> str:
    """SQL for (kind of request, changes, second requests, closing actions, records to look up first).

    The writer sends one kind after the other. An update, a mark or a reactivation that sets nothing but what its second
    request would set needs no first one. Without a comparison the ids of records are not known: those that are updated
    or deleted are looked up first, and so are those that get some values only when they are new.
    """
    only_later = f"{_IS_UPDATE} AND payload = '{{}}'"
    return f"""
SELECT CASE WHEN {_IS_UPDATE} THEN {literal(PlanAction.UPDATE)} ELSE action END AS kind, count(*),
  count(*) FILTER (later <> '' AND NOT ({_CLOSES}) AND NOT ({only_later})) + count(*) FILTER (links <> ''),
  count(*) FILTER ({_CLOSES} AND NOT ({only_later})),
  count(*) FILTER (CASE action
    WHEN {literal(PlanAction.INSERT)} THEN false
    WHEN {literal(PlanAction.UPSERT)} THEN on_create <> ''
    ELSE _id IS NULL END)
FROM changes GROUP BY kind""".strip()
