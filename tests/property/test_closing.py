"""Closing states under random faults: each record reaches the wanted state, and each change has one outcome."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Outcome
from shared.errors import SyncError
from tests.property.test_writer import FAULTS
from tests.unit.dataverse.simulation import ALL_MESSAGES, Fault
from tests.unit.dataverse.write.test_closing import closing, sales

PAIRS = ((0, 1), (1, 3), (1, 7), (2, 4), (2, 5))
Pair = tuple[int, int]


@dataclass(frozen=True)
class Deal:
    """A record's state before, None for a new one; what a sync wants, and how it asks for it."""

    before: Pair | None
    wanted: Pair
    action: ChangeAction
    by_id: bool
    refused: bool


deals = st.builds(
    Deal,
    before=st.sampled_from([None, *PAIRS]),
    wanted=st.sampled_from(PAIRS[1:]),
    action=st.sampled_from([ChangeAction.UPDATE, ChangeAction.UPSERT]),
    by_id=st.booleans(),
    refused=st.integers(0, 5).map(lambda number: number == 0),
)


def change(number: int, deal: Deal, record: str | None) -> Change:
    key = json.dumps({"accountnumber": f"A{number}"})
    later = closing(*deal.wanted)
    if deal.before is None:
        payload = json.dumps({"accountnumber": f"A{number}", "name": "new"})
        return Change(number=number, action=ChangeAction.INSERT, key=key, payload=payload, later=later)
    by_id = deal.by_id or deal.action is ChangeAction.UPDATE
    return Change(
        number=number,
        action=deal.action,
        id=record if by_id else None,
        key=key,
        payload='{"name":"new"}' if number % 3 else "{}",
        later=later,
    )


@given(
    wanted=st.lists(deals, min_size=1, max_size=30),
    # A request that acts after it was repeated may reopen a record that was closed in between: the next run closes it.
    faults=st.lists(FAULTS.filter(lambda fault: fault.kind != "late"), max_size=6),
    bulk=st.booleans(),
)
def test_every_record_ends_as_wanted_or_is_reported(*, wanted: list[Deal], faults: list[Fault], bulk: bool) -> None:
    """Only a refused action leaves a record open; no record is closed in another way than requested."""
    refused = {f"A{number}" for number, deal in enumerate(wanted) if deal.refused}
    here, memory = sales(
        ALL_MESSAGES if bulk else frozenset(),
        refuses=lambda record: "Not this one." if record["accountnumber"] in refused else None,
    )
    ids: dict[int, str] = {}
    for number, deal in enumerate(wanted):
        if deal.before is not None:
            ids[number] = memory.insert({"accountnumber": f"A{number}", "name": "old"})
            memory.records[ids[number]].update(statecode=deal.before[0], statuscode=deal.before[1])
    memory.faults = [replace(fault) for fault in faults]
    outcomes: list[Outcome] = []
    try:
        outcomes.extend(here.writing().outcomes(change(n, deal, ids.get(n)) for n, deal in enumerate(wanted)))
        ended = False
    except SyncError:
        ended = True
    assert sorted(outcome.number for outcome in outcomes) == list(range(len(wanted)))
    held = {row["accountnumber"]: (row["statecode"], row["statuscode"]) for row in memory.records.values()}
    for outcome in outcomes:
        deal, name = wanted[outcome.number], f"A{outcome.number}"
        match outcome:
            case Applied():
                assert held[name] == deal.wanted
            case Failed():
                assert deal.refused or faults
                assert held.get(name) != deal.wanted or faults
            case _:
                assert ended
    assert all(count == 1 for count in memory.closed.values()) or faults
