"""Records that have the key of a planned insert: the service holds their keys equal, and the plan did not.

Such a record is adopted: it takes the place of the new one, and the rules for changed records apply.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.definitions.models import SyncDefinition
from shared.reconcile.columns import differs, on_update, parts_of, records, records_need, version_of
from shared.reconcile.decisions import ACTION_TYPE, CONDITION, looks_at_source, met, undecided
from shared.reconcile.later import update_of
from shared.reconcile.links.put_off import links_of, written_at_once
from shared.reconcile.plan import DROPS, PlanAction
from shared.transform import TargetColumn
from shared.workspace import NewTable, Step, Table, literal

__all__ = ["adoption_steps"]

_NEEDS = frozenset(
    {Table.HOLDERS, Table.CHANGES, Table.DESIRED, Table.DECISIONS, Table.OUTCOMES, Table.ADOPTED_RECORDS}
)
_DROPS = f"({', '.join(map(literal, DROPS))})"
# Whatever became of the update: a run adopts in several rounds, and no row of a later one may have the record too.
_TABLE = NewTable(name=Table.ADOPTED_RECORDS, columns="(_id UUID)", if_missing=True)
_EMPTY = {"payload": "{}", "later": "", "links": "", "columns": "", "before": "{}", "version": ""}
_WRITTEN = ", ".join(
    f"{field} = CASE WHEN adoptions.action = {literal(PlanAction.UPDATE)} THEN adoptions.{field} "
    f"ELSE {literal(empty)} END"
    for field, empty in _EMPTY.items()
)
_AS_UPDATE = f"UPDATE changes SET {_WRITTEN}\nFROM adoptions WHERE adoptions._change = changes._change"


def adoption_steps(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> tuple[Step, ...]:
    """The steps from `holders` to `adoptions`, after which nothing that has a row's key is dropped.

    A run may take them several times, each time with other `holders`: `adopted_records` has the ids of those that it
    has adopted so far.

    They need `desired`, `decisions`, `changes` and `outcomes`, a condition `source` too. `holders` has the records that
    the service named; their `_seq` is the number of the insert whose key they have. `adoptions` has one row for each
    insert that is adopted: `_change`, `_id`, `action` (update, unchanged or ignored), `payload`, `later`, `links`,
    `columns`, `before`, and `version`, empty for any. The insert in `changes` then has what is written into the adopted
    record: its own texts were made for a record that holds nothing.
    """
    held = "SELECT _id FROM holders"
    # A plan that dropped the record and made a new one has been wrong twice: the record is one that stays.
    return (
        Step.creating("Create the table of the adopted records", _TABLE),
        Step.creating(
            "Adopt the records that have the keys of new ones",
            NewTable(name=Table.ADOPTIONS, query=_adoptions(definition, layout)),
            CONDITION,
            needs=_NEEDS | ({Table.SOURCE} if looks_at_source(definition) else set()) | records_need(definition),
        ),
        Step(
            "Note the adopted records",
            f"INSERT INTO {Table.ADOPTED_RECORDS} SELECT _id FROM {Table.ADOPTIONS}",
            needs=frozenset({Table.ADOPTED_RECORDS, Table.ADOPTIONS}),
        ),
        Step(
            "Write only what differs into the adopted records",
            _AS_UPDATE,
            needs=frozenset({Table.CHANGES, Table.ADOPTIONS}),
        ),
        Step(
            "Drop no record that has the key of a row",
            f"DELETE FROM changes WHERE action IN {_DROPS} AND _id IN ({held})",
            needs=frozenset({Table.HOLDERS, Table.CHANGES}),
        ),
        Step(
            "Plan no drop of a record that has the key of a row",
            f"DELETE FROM decisions WHERE action IN {_DROPS} AND _id IN ({held})",
            needs=frozenset({Table.HOLDERS, Table.DECISIONS}),
        ),
    )


def _adoptions(definition: SyncDefinition, layout: Sequence[TargetColumn]) -> str:
    """One row for each insert whose key exactly one record has, unless another row has that record.

    There is none where the condition for changed records fails: then the insert has failed.

    Where two rows have it, their keys are equal to the service: the first one that is written counts.
    """
    id_column = definition.destination.id_column
    first, update = update_of(layout, id_column, written_at_once(differs)), update_of(layout, id_column)
    written = on_update(layout, id_column)
    links, _ = links_of(written, differs, read=True)
    row = "LEFT JOIN source ON source._row = changes._row" if looks_at_source(definition) else ""
    return f"""
SELECT changes._change, target._id,
  CAST(CASE
    {met(definition, layout)}
  END AS {ACTION_TYPE}) AS action,
  {first.payload} AS payload,
  coalesce({first.later}, '') AS later,
  coalesce({links}, '') AS links,
  {update.names} AS columns,
  {update.before} AS before,
  coalesce({version_of(parts_of(written, differs))}, '') AS version
FROM (
  SELECT *, count(*) OVER (PARTITION BY _seq) AS several, row_number() OVER (PARTITION BY _id ORDER BY _seq) AS claim
  FROM holders) AS target
JOIN changes ON changes._change = target._seq
JOIN desired ON desired._row = changes._row
{row}
{records(definition)}
WHERE target.several = 1 AND target.claim = 1
  AND NOT EXISTS (SELECT 1 FROM decisions WHERE decisions._id = target._id AND decisions._row IS NOT NULL)
  AND NOT ({undecided(definition, layout)})
  AND target._id NOT IN (SELECT _id FROM {Table.ADOPTED_RECORDS})
  AND NOT EXISTS (SELECT 1 FROM outcomes WHERE outcomes.id = target._id AND outcomes.created)""".strip()
