"""Closing records by actions: one outcome for each change, whatever happens to the answers."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.dataverse.changes import Applied, Change, ChangeAction, Failed, Outcome
from shared.entities import AttributeMetadata, AttributeType, Choice
from shared.errors import RetryLater
from shared.http.transport import Request, Response
from tests.unit.dataverse.simulation import ACCOUNT, ALL_MESSAGES, Fault, Memory, SimulatedClock, World, inserts

# The actions of opportunities, on the simulation's table.
OPPORTUNITY = replace(
    ACCOUNT,
    logical_name="opportunity",
    attributes={
        **ACCOUNT.attributes,
        "statecode": AttributeMetadata(
            name="statecode",
            type=AttributeType.STATE,
            creatable=False,
            choices=tuple(
                Choice(value=value, labels=(label,), default_status=status)
                for value, label, status in ((0, "Open", 1), (1, "Won", 3), (2, "Lost", 4))
            ),
        ),
        "statuscode": AttributeMetadata(
            name="statuscode",
            type=AttributeType.STATUS,
            choices=tuple(
                Choice(value=value, labels=(label,), state=state)
                for value, label, state in (
                    (1, "In Progress", 0),
                    (3, "Won", 1),
                    (7, "Won big", 1),
                    (4, "Canceled", 2),
                    (5, "Out-Sold", 2),
                )
            ),
        ),
    },
)
ACTIONS = {"WinOpportunity": 1, "LoseOpportunity": 2}
LOCKED = Failed(number=0, status=400, code="0x80040515", message="The opportunity has already been closed.")


@dataclass
class Sales(Memory):
    """The simulation with closing actions; `refuses` says why an action is refused, given the record."""

    refuses: Callable[[Mapping[str, Any]], str | None] = lambda record: None
    closed: Counter[str] = field(default_factory=Counter)
    activities: list[dict[str, Any]] = field(default_factory=list)
    plugin_closes: bool = False

    def _one(self, method: str, path: str, body: bytes) -> Response:
        action = path.partition("?")[0].rsplit("/", 1)[-1]
        if action in ACTIONS:
            assert method == "POST"
            return self._close(ACTIONS[action], json.loads(body))
        if method == "GET" and (
            found := re.search(r"accounts\(([-0-9a-f]{36})\)\?\$select=statecode,statuscode", path)
        ):
            record = self.records[found[1]]
            return self._ok(200, {name: record[name] for name in ("statecode", "statuscode")})
        return super()._one(method, path, body)

    def _close(self, state: int, body: dict[str, Any]) -> Response:
        activity = body["OpportunityClose"]
        record = self.records[re.search(r"\((.+)\)", activity["opportunityid@odata.bind"])[1]]  # type: ignore[index]
        if why := self.refuses(record):
            return self._error(400, "0x8004440a", why)
        if record["statecode"] != 0:
            return self._error(400, LOCKED.code, LOCKED.message)
        record.update(statecode=state, statuscode=body["Status"])
        self.closed[record["accountnumber"]] += 1
        self.activities.append(activity)
        return self._ok(204)

    def insert(self, row: dict[str, Any]) -> str:
        return super().insert({"statecode": 0, "statuscode": 1, **row})

    def _update(self, record: str, row: dict[str, Any]) -> str:
        state = row.get("statecode", 0)
        assert state == 0, "a closing state in a plain update"
        super()._update(record, row)
        if self.plugin_closes:
            self.records[record].update(statecode=2, statuscode=4)
        return record

    def _refusal(self, row: Mapping[str, Any]) -> Response | None:
        assert "@close" not in row
        return super()._refusal(row)


def sales(messages: frozenset[str] = ALL_MESSAGES, **options: Any) -> tuple[World, Sales]:
    memory = Sales(SimulatedClock(), **options)
    return World(memory=memory, messages=messages, entity=OPPORTUNITY), memory


def closing(state: int, status: int | None = None, **carried: Any) -> str:
    pair = {"statecode": state} if status is None else {"statecode": state, "statuscode": status}
    return json.dumps({**pair, "@close": carried})


def won(count: int) -> Iterator[Change]:
    """New opportunities, every second of them won."""
    for change in inserts(count):
        yield replace(change, later=closing(1, 3)) if change.number % 2 == 0 else change


def pairs(memory: Sales) -> dict[str, tuple[int, int]]:
    return {row["accountnumber"]: (row["statecode"], row["statuscode"]) for row in memory.records.values()}


def held(here: World, memory: Sales, *states: tuple[int, int]) -> list[str]:
    """Records with these states and statuses; their ids."""
    here.write(inserts(len(states)))
    for record, (state, status) in zip(memory.records.values(), states, strict=True):
        record.update(statecode=state, statuscode=status)
    memory.log.clear()
    return list(memory.records)


WANTED = {f"A{number}": (1, 3) if number % 2 == 0 else (0, 1) for number in range(40)}


@pytest.mark.parametrize("messages", [ALL_MESSAGES, frozenset[str]()], ids=["bulk", "batch"])
def test_new_records_are_created_open_and_then_closed(messages: frozenset[str]) -> None:
    """The creates go in bulk, the actions in a `$batch`, and each change is applied once."""
    here, memory = sales(messages)
    outcomes = here.write(won(40))
    assert sorted(outcome.number for outcome in outcomes) == list(range(40))
    assert all(isinstance(outcome, Applied) and outcome.created for outcome in outcomes)
    assert pairs(memory) == WANTED
    assert {request.url.rpartition("/")[2] for request in memory.log if b"WinOpportunity" in (request.body or b"")} == {
        "$batch"
    }


def test_an_action_gets_the_status_the_record_and_what_it_would_overwrite() -> None:
    """A status that is not given is the state's default; the subject is the status in words."""
    here, memory = sales()
    first, second = held(here, memory, (0, 1), (0, 1))
    changes = [
        Change(number=0, action=ChangeAction.UPDATE, id=first, later=closing(1, 7, actualrevenue=12.5)),
        Change(number=1, action=ChangeAction.UPDATE, id=second, later=closing(2)),
    ]
    assert all(isinstance(outcome, Applied) for outcome in here.write(changes))
    assert pairs(memory) == {"A0": (1, 7), "A1": (2, 4)}
    assert sorted(memory.activities, key=str, reverse=True) == [
        {"subject": "Won big", "opportunityid@odata.bind": f"/accounts({first})", "actualrevenue": 12.5},
        {"subject": "Canceled", "opportunityid@odata.bind": f"/accounts({second})"},
    ]
    assert len(memory.log) == 1, "nothing is written before an action that is all there is to do"


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "late", "timeout_after", "unsent", "part_after"])
@pytest.mark.parametrize("before", [0, 1])
def test_a_lost_answer_closes_no_record_twice(kind: str, before: int) -> None:
    """A record that has the wanted state counts as applied, whoever's request has set it."""
    here, memory = sales()
    if before:
        memory.faults = [Fault(kind="status", status=429, headers={"retry-after": "1"})]
    memory.faults.append(Fault(kind=kind, times=3, code="0x80044150", status=500))
    outcomes = here.write(won(40))
    assert sorted(outcome.number for outcome in outcomes) == list(range(40))
    assert all(isinstance(outcome, Applied) for outcome in outcomes)
    assert pairs(memory) == WANTED
    assert set(memory.closed.values()) == {1}


@pytest.mark.parametrize(
    ("state", "writes"),
    [((0, 1), 0), ((1, 3), 0), ((1, 7), 1), ((2, 5), 1)],
    ids=["open", "as wanted", "another status", "another closed state"],
)
def test_a_record_that_was_not_read_reaches_the_wanted_state_from_any(state: tuple[int, int], writes: int) -> None:
    """Where the action is refused the record's state decides: settled, its status set, or reopened first."""
    here, memory = sales()
    (record,) = held(here, memory, state)
    before = memory.written[record]
    change = Change(
        number=0, action=ChangeAction.UPDATE, key='{"accountnumber":"A0"}', payload='{"name":"x"}', later=closing(1, 3)
    )
    (outcome,) = here.write([change])
    assert outcome == Applied(number=0, id=record, created=False)
    assert pairs(memory) == {"A0": (1, 3)}
    assert memory.written[record] - before == 1 + writes
    assert memory.records[record]["name"] == "x"


def test_a_status_that_is_not_given_is_kept_by_a_record_that_is_closed() -> None:
    """Only the state was asked for."""
    here, memory = sales()
    (record,) = held(here, memory, (1, 7))
    (outcome,) = here.write([Change(number=0, action=ChangeAction.UPDATE, id=record, later=closing(1))])
    assert isinstance(outcome, Applied)
    assert pairs(memory) == {"A0": (1, 7)}


@pytest.mark.parametrize("messages", [ALL_MESSAGES, frozenset[str]()], ids=["bulk", "batch"])
def test_upserts_close_new_records_and_those_that_are_there(messages: frozenset[str]) -> None:
    """The action needs the record's id, which the answer to a bulk upsert does not have: it is looked up."""
    here, memory = sales(messages)
    held(here, memory, (0, 1), (1, 3))
    changes = [replace(change, action=ChangeAction.UPSERT, later=closing(1, 3)) for change in inserts(4)]
    assert all(isinstance(outcome, Applied) for outcome in here.write(changes))
    assert pairs(memory) == {f"A{number}": (1, 3) for number in range(4)}


def test_an_upsert_closes_a_new_record_with_what_only_new_records_get() -> None:
    """Digits stay as they are; a record that is there gets none of it."""
    here, memory = sales()
    held(here, memory, (0, 1))
    once = '{"revenue":1.10,"@close":{"actualrevenue":1.10}}'
    changes = [
        replace(
            change,
            action=ChangeAction.UPSERT,
            on_create=once,
            later=closing(1, 3, actualend="2024-01-01T00:00:00Z"),
        )
        for change in inserts(2)
    ]
    assert all(isinstance(outcome, Applied) for outcome in here.write(changes))
    assert pairs(memory) == {"A0": (1, 3), "A1": (1, 3)}
    carried = {
        memory.records[activity["opportunityid@odata.bind"][10:-1]]["accountnumber"]: {
            name: value for name, value in activity.items() if name.startswith("actual")
        }
        for activity in memory.activities
    }
    day = {"actualend": "2024-01-01T00:00:00Z"}
    assert carried == {"A0": day, "A1": {**day, "actualrevenue": 1.1}}
    assert any(b'"actualrevenue":1.10' in (request.body or b"") for request in memory.log)


def test_a_new_record_that_stays_open_gets_no_mark_of_a_closing() -> None:
    """What would go with the action is left out without one."""
    here, memory = sales()
    (change,) = inserts(1)
    once = '{"revenue":1.10,"@close":{}}'
    (outcome,) = here.write([replace(change, action=ChangeAction.UPSERT, on_create=once)])
    assert isinstance(outcome, Applied)
    assert pairs(memory) == {"A0": (0, 1)}


@pytest.mark.parametrize("version", ["", 'W/"7"'], ids=["any version", "the version that was compared"])
def test_an_action_that_is_refused_once_is_sent_once_more(version: str) -> None:
    """A plain update cannot set a closing state, so a change that names a version too gets the action again."""
    reasons = ["Not yet."]
    here, memory = sales(refuses=lambda record: reasons.pop() if reasons else None)
    (record,) = held(here, memory, (0, 1))
    change = Change(number=0, action=ChangeAction.UPDATE, id=record, later=closing(1, 3), version=version)
    assert here.write([change]) == [Applied(number=0, id=record, created=False)]
    assert pairs(memory) == {"A0": (1, 3)}


def test_the_answer_to_the_last_try_of_an_action_may_be_lost_too() -> None:
    """Its repetition is refused because the record is closed: the state is read again."""
    reasons = ["Not yet."]
    here, memory = sales(refuses=lambda record: reasons.pop() if reasons else None)
    (record,) = held(here, memory, (0, 1))

    def lose_third(_: Request, __: float) -> None:
        if len(memory.log) == 3:
            memory.faults = [Fault(kind="drop_after")]

    memory.gate = lose_third
    change = Change(number=0, action=ChangeAction.UPDATE, id=record, later=closing(1, 3))
    assert here.write([change]) == [Applied(number=0, id=record, created=False)]
    assert (pairs(memory), memory.closed) == ({"A0": (1, 3)}, {"A0": 1})


@pytest.mark.parametrize("code", ["0x80040216", "0x80044150", ""], ids=["unexpected", "database", "away"])
def test_an_action_that_only_meets_faults_comes_to_an_end(code: str) -> None:
    """Its record is read twice at most; the change then failed, or the service is not there."""
    here, memory = sales()
    held(here, memory, (0, 1))
    refused = memory._error(500 if code else 503, code, "no")
    memory._close = lambda state, body: refused  # type: ignore[method-assign]
    change = Change(number=0, action=ChangeAction.UPDATE, key='{"accountnumber":"A0"}', later=closing(1, 3))
    outcomes: list[Outcome] = []
    with contextlib.suppress(RetryLater):
        outcomes += here.write([change])
    assert [isinstance(outcome, Failed) and outcome.sent for outcome in outcomes] == ([True] if code else [])
    assert len(memory.log) < 40


def test_an_action_that_is_refused_fails_its_change_alone() -> None:
    """The message is that of the service; the record that was created is named by its id."""
    here, memory = sales(refuses=lambda record: "It has open activities." if record["accountnumber"] == "A4" else None)
    outcomes = {outcome.number: outcome for outcome in here.write(won(40))}
    failed = outcomes.pop(4)
    assert isinstance(failed, Failed)
    assert failed.message == "the record was created, but some columns were refused: It has open activities."
    assert memory.records[str(failed.id)]["accountnumber"] == "A4"
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values())
    assert pairs(memory) == {**WANTED, "A4": (0, 1)}


def test_a_record_that_is_closed_again_at_once_fails_and_does_not_go_round() -> None:
    """A plug-in undoes the reopening: the second refusal of the action is final."""
    here, memory = sales(plugin_closes=True)
    (record,) = held(here, memory, (2, 4))
    (outcome,) = here.write([Change(number=0, action=ChangeAction.UPDATE, id=record, later=closing(1, 3))])
    assert isinstance(outcome, Failed)
    assert LOCKED.message in outcome.message
    assert len(memory.log) < 10


def test_a_text_that_looks_like_the_mark_is_a_text() -> None:
    """A value is escaped in JSON, so it cannot be taken for a member."""
    here, memory = sales()
    change = next(inserts(1))
    text = '"@close": x "@close":'
    (outcome,) = here.write([replace(change, payload=json.dumps({"accountnumber": "A0", "name": text}))])
    assert isinstance(outcome, Applied)
    assert next(iter(memory.records.values()))["name"] == text
