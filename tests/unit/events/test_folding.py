"""Events are merged only if the result is the same as applying them one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models import SyncBehaviour
from shared.definitions.models.listener import KeyChange
from shared.events import (
    ChangeQueue,
    Event,
    EventAction,
    EventPosition,
    FoldedBatch,
    FoldRules,
    Message,
    PreviousKey,
    fold,
    unfold,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
FULL = FoldRules(by_action=False, writes_join=True, delete_ends=True)


def row(
    number: int, action: EventAction = EventAction.UPSERT, record: str = "a", before: str | None = None, **place: object
) -> Event:
    stands = EventPosition(**{"partition": "0", "sequence": number} | place)  # type: ignore[arg-type]  # a test's shorthand
    old = None if before in (None, record) else PreviousKey(record=str(before), key=str(before))
    message = Message(body=b"", partition=stands.partition, sequence=stands.sequence)
    return Event(
        message=message,
        number=number,
        new={},
        old={},
        record=record,
        key=record,
        action=action,
        position=stands,
        before=old,
    )


def shape(folded: FoldedBatch) -> dict[str, list[tuple[str, list[int]]]]:
    found: dict[str, list[tuple[str, list[int]]]] = {}
    for step in folded.changes:
        found.setdefault(step.records[0], []).append((step.action.value, [part.number for part in step.events]))
    return found


def test_writes_of_a_record_become_one() -> None:
    """Later fields are added to the earlier ones; other records are not affected."""
    folded = fold([row(1), row(2, record="b"), row(3, EventAction.UPDATE)], {}, FULL)
    assert shape(folded) == {"a": [("UPSERT", [1, 3])], "b": [("UPSERT", [2])]}


def test_a_write_after_a_delete_has_no_value_of_the_old_record() -> None:
    """The events before the delete are not merged with those after it."""
    folded = fold(
        [row(1), row(2, EventAction.DELETE), row(3, EventAction.INSERT), row(4, EventAction.UPDATE)], {}, FULL
    )
    assert shape(folded) == {"a": [("DELETE", [2]), ("INSERT", [3, 4])]}
    assert [part.number for part in folded.changes[0].settles] == [1, 2]


def test_writes_before_a_delete_that_only_marks_take_effect() -> None:
    """If dropped records expire or stay, the values before the delete still count."""
    rules = FoldRules(by_action=False, writes_join=True, delete_ends=False)
    assert shape(fold([row(1), row(2, EventAction.DELETE)], {}, rules)) == {"a": [("UPSERT", [1]), ("DELETE", [2])]}


@pytest.mark.parametrize(
    ("first", "second", "joins"),
    [
        (EventAction.INSERT, EventAction.UPDATE, True),
        (EventAction.INSERT, EventAction.UPSERT, True),
        (EventAction.INSERT, EventAction.INSERT, False),
        (EventAction.UPDATE, EventAction.UPDATE, True),
        (EventAction.UPDATE, EventAction.UPSERT, False),
        (EventAction.UPDATE, EventAction.INSERT, False),
        (EventAction.UPSERT, EventAction.UPDATE, True),
        (EventAction.UPSERT, EventAction.UPSERT, True),
        (EventAction.DELETE, EventAction.DELETE, True),
        (EventAction.DELETE, EventAction.UPDATE, False),
        (EventAction.UPDATE, EventAction.DELETE, True),
    ],
)
def test_delta_merges_only_what_the_service_would_accept_one_by_one(
    first: EventAction, second: EventAction, *, joins: bool
) -> None:
    """An insert of an existing record and an update of a missing one must still be refused."""
    rules = FoldRules(by_action=True, writes_join=True, delete_ends=True)
    assert (len(fold([row(1, first), row(2, second)], {}, rules).changes) == 1) is joins


@pytest.mark.parametrize(
    ("behaviour", "rules"),
    [
        ({}, FoldRules(by_action=False, writes_join=True, delete_ends=False)),
        ({"dropped": "delete"}, FULL),
        ({"changed": "ignore"}, FoldRules(by_action=False, writes_join=False, delete_ends=False)),
        ({"changed": {"when": "true"}}, FoldRules(by_action=False, writes_join=False, delete_ends=False)),
        ({"dropped": {"expire": "x"}}, FoldRules(by_action=False, writes_join=True, delete_ends=False)),
        ({"strategy": "delta"}, FoldRules(by_action=True, writes_join=True, delete_ends=True)),
        ({"strategy": "upsert", "changed": "ignore"}, FoldRules(by_action=False, writes_join=True, delete_ends=False)),
    ],
)
def test_rules_follow_from_the_behaviour(behaviour: dict[str, object], rules: FoldRules) -> None:
    """Strategy, `changed` and `dropped` decide what may be merged."""
    assert FoldRules.of(SyncBehaviour.model_validate({"sync_key": ["k"], **behaviour})) == rules


@pytest.mark.parametrize("strategy", ["full", "delta", "upsert"])
def test_writes_that_depend_on_the_record_are_not_joined(strategy: str) -> None:
    behaviour = SyncBehaviour.model_validate({"sync_key": ["k"], "strategy": strategy})
    assert not FoldRules.of(behaviour, always_written=False).writes_join


class TestStaleness:
    def test_an_event_that_was_applied_is_stale(self) -> None:
        """The same or a lower sequence number of the same partition is stale."""
        seen = {"a": EventPosition(partition="0", sequence=5)}
        folded = fold([row(4), row(5), row(6)], seen, FULL)
        assert shape(folded) == {"a": [("UPSERT", [6])]}
        assert [part.number for part in folded.stale] == [4, 5]

    def test_sequence_numbers_of_other_partitions_are_not_compared(self) -> None:
        """Only within one partition do sequence numbers compare."""
        seen = {"a": EventPosition(partition="1", sequence=5)}
        assert shape(fold([row(4)], seen, FULL)) == {"a": [("UPSERT", [4])]}

    def test_an_event_with_an_older_time_is_stale_whatever_its_number(self) -> None:
        """Late events change nothing; events with an equal time do."""
        seen = {"a": EventPosition(partition="1", sequence=5, when=START)}
        late, same = row(6, when=START - timedelta(seconds=1)), row(7, when=START)
        folded = fold([late, same], seen, FULL)
        assert (shape(folded), folded.stale) == ({"a": [("UPSERT", [7])]}, (late,))

    def test_the_last_time_is_kept_after_events_without_a_time(self) -> None:
        """An event without a time does not let an older event take effect."""
        rows = [row(1, when=START), row(2), row(3, when=START - timedelta(seconds=1))]
        assert shape(fold(rows, {}, FULL)) == {"a": [("UPSERT", [1, 2])]}

    def test_a_stale_event_of_the_batch_is_part_of_the_step(self) -> None:
        """If the newer event is refused, the older one must be applied."""
        folded = fold([row(1, when=START), row(2, when=START - timedelta(seconds=1))], {}, FULL)
        (step,) = folded.changes
        assert [part.number for part in step.events] == [1]
        assert [single.events[0].number for single in unfold(step)] == [1, 2]

    def test_items_of_one_message_are_in_order(self) -> None:
        """A message with several records of one key counts as several events."""
        rows = [row(1, sequence=9, item=0), row(2, sequence=9, item=1)]
        assert shape(fold(rows, {}, FULL)) == {"a": [("UPSERT", [1, 2])]}


class TestChangedKeys:
    def waves(self, folded: FoldedBatch) -> list[list[tuple[str, list[int]]]]:
        queue, found = ChangeQueue(folded.changes), []
        while wave := queue.next():
            found.append([(step.action.value, [part.number for part in step.events]) for step in wave])
        return found

    def test_a_change_of_a_key_is_ordered_with_the_events_of_both_keys(self) -> None:
        """Earlier events of either key come first, later ones wait; events of other keys do not."""
        rows = [row(1), row(2, record="b", before="a"), row(3), row(4, record="b"), row(5, record="c"), row(6)]
        assert self.waves(fold(rows, {}, FULL)) == [
            [("UPSERT", [1]), ("UPSERT", [5])],
            [("UPSERT", [2])],
            [("UPSERT", [3, 6]), ("UPSERT", [4])],
        ]

    def test_a_chain_of_key_changes_is_applied_in_order(self) -> None:
        """One after the other, and other chains in parallel."""
        rows = [row(1, record="b", before="a"), row(2, record="c", before="b"), row(3, record="y", before="x")]
        assert self.waves(fold(rows, {}, FULL)) == [[("UPSERT", [1]), ("UPSERT", [3])], [("UPSERT", [2])]]

    def test_delete_insert_drops_the_old_record_first(self) -> None:
        """The new record may have a value that must be unique."""
        rules = FoldRules(by_action=True, writes_join=True, delete_ends=True, key_change=KeyChange.DELETE_INSERT)
        folded = fold([row(1, EventAction.UPDATE, "b", before="a"), row(2, EventAction.UPDATE, "b")], {}, rules)
        assert self.waves(folded) == [[("DELETE", [1])], [("INSERT", [1, 2])]]
        assert [step.events[0].of_before for step in folded.changes] == [True, False]

    def test_a_late_change_of_a_key_keeps_newer_values(self) -> None:
        """It does not change the key that was written since, and applies the rest."""
        move = row(5, record="b", before="a")
        old_is_newer = fold([move], {"a": EventPosition(partition="0", sequence=9)}, FULL)
        assert (old_is_newer.changes[0].records, old_is_newer.changes[0].moves) == (("b",), False)
        new_is_newer = fold([move], {"b": EventPosition(partition="0", sequence=9)}, FULL)
        assert [(step.action, step.records) for step in new_is_newer.changes] == [(EventAction.DELETE, ("a",))]
        both = fold([move], dict.fromkeys("ab", EventPosition(partition="0", sequence=9)), FULL)
        assert (both.changes, [part.number for part in both.stale]) == ((), [5])

    def test_refused_merged_events_are_retried_before_later_steps(self) -> None:
        """They are applied one by one, and only then the later steps of the record."""
        queue = ChangeQueue(fold([row(1), row(2), row(3, record="b", before="a")], {}, FULL).changes)
        (first,) = queue.next()
        queue.put_first(unfold(first))
        found = []
        while wave := queue.next():
            found.append([step.settles[0].number for step in wave])
        assert found == [[1], [2], [3]]

    def test_changes_that_wait_come_after_all_others(self) -> None:
        """With the later changes of their records behind them, however often they are put back."""
        writes = FoldRules(by_action=False, writes_join=False, delete_ends=False)
        rows = [row(1), row(2, record="b"), row(3, record="b"), row(4), row(5, record="b"), row(6, record="c")]
        queue = ChangeQueue(fold(rows, {}, writes).changes)
        found = []
        while wave := queue.next():
            found.append(([step.settles[0].number for step in wave], queue.is_last))
            queue.wait([step for step in wave if step.records == ("a",) and not queue.is_last])
        assert found == [([1, 2, 6], False), ([3], False), ([5], False), ([1], True), ([4], True)]


# -- The rule: merging equals applying one by one -----------------------------------------------------------------

Store = dict[str, dict[str, int | None]]
Described = tuple[str, EventAction, dict[str, int | None], int, str | None]


def applied(store: Store, record: str, action: EventAction, fields: Mapping[str, int | None], rules: FoldRules) -> bool:
    """The result of one change by the service and the rules; False if it is refused."""
    there = record in store
    if action is EventAction.DELETE:
        if rules.delete_ends:
            store.pop(record, None)
        elif there:
            store[record]["expired"] = 1
        return True
    if rules.by_action and there is (action is EventAction.INSERT) and action is not EventAction.UPSERT:
        return False
    if there and not rules.writes_join:
        return True  # changed: ignore
    store.setdefault(record, {}).update(fields)
    return True


def applied_row(store: Store, each: Event, fields: Mapping[str, int | None], rules: FoldRules) -> bool:
    """The same for an event that may change the key."""
    old = each.before.record if each.before else None
    if old is None:
        return applied(store, each.record, each.action, fields, rules)
    if old in store and each.record not in store and rules.key_change is KeyChange.MOVE:
        if rules.writes_join:
            store[each.record] = {**store.pop(old), **fields}
        return True
    if old in store:
        applied(store, old, EventAction.DELETE, {}, rules)
    return applied(store, each.record, each.action, fields, rules)


def reduced(each: Event, seen: Mapping[str, EventPosition]) -> Event | None:
    """The rest of an event after newer ones of its keys; None if nothing is left."""
    stale = {key for key in each.keys if key in seen and each.position.is_stale_after(seen[key])}
    if each.before is not None and each.before.key in stale:
        each = replace(each, before=None)
    if each.key not in stale:
        return each
    return None if each.before is None else each.dropped_before()


def one_by_one(
    store: Store, rows: Iterable[Event], fields: Mapping[int, dict[str, int | None]], rules: FoldRules
) -> None:
    seen: dict[str, EventPosition] = {}
    for given_row in rows:
        each = reduced(given_row, seen)
        if each is not None and applied_row(store, each, fields[each.number], rules):
            for key in each.keys:
                seen[key] = each.position.after(seen.get(key))


def folded_up(
    store: Store, rows: Iterable[Event], fields: Mapping[int, dict[str, int | None]], rules: FoldRules
) -> None:
    seen: dict[str, EventPosition] = {}
    queue = ChangeQueue(fold(rows, {}, rules).changes)
    while wave := queue.next():
        for step in wave:
            last = step.settles[-1]
            if len(step.settles) == 1 and last.key in seen and last.position.is_stale_after(seen[last.key]):
                continue
            values = {name: value for part in step.events for name, value in fields[part.number].items()}
            if applied_row(store, replace(step.events[-1], action=step.action), values, rules):
                for part in step.events:
                    for key in part.keys:
                        seen[key] = part.position.after(seen.get(key))
            elif len(step.settles) > 1:
                queue.put_first(unfold(step))


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(list(EventAction)),
        st.dictionaries(st.sampled_from("xyz"), st.none() | st.integers(0, 3), max_size=3),
        st.integers(0, 4),
        st.none() | st.sampled_from("abc"),
    ),
    max_size=8,
)
RULES = st.builds(
    FoldRules,
    by_action=st.just(False),
    writes_join=st.booleans(),
    delete_ends=st.booleans(),
    key_change=st.sampled_from(KeyChange),
) | st.just(FoldRules(by_action=True, writes_join=True, delete_ends=True))


@given(events=EVENTS, rules=RULES, before=st.dictionaries(st.sampled_from("abc"), st.just({"x": 9}), max_size=3))
def test_folding_equals_applying_one_by_one(events: list[Described], rules: FoldRules, before: Store) -> None:
    """For all events, rules and existing records the result is the same."""
    rows = [
        row(
            number,
            action,
            record,
            # A delete has one key; and by action only the events of one key are compared with each other.
            before=None if action is EventAction.DELETE or rules.by_action else old,
            when=START + timedelta(seconds=seconds),
        )
        for number, (record, action, _, seconds, old) in enumerate(events)
    ]
    fields = {number: values for number, (_, _, values, _, _) in enumerate(events)}
    expected, found = ({record: dict(values) for record, values in before.items()} for _ in range(2))
    one_by_one(expected, rows, fields, rules)
    folded_up(found, rows, fields, rules)
    assert found == expected
