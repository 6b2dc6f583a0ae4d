"""Changes on their way into chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.changes import Change, ChangeAction
from shared.dataverse.write.chunks import NextStep, kind_of
from shared.dataverse.write.controller import RequestKind
from shared.dataverse.write.feed import Feed

ACTIONS = st.sampled_from(list(ChangeAction))


def change(number: int, key: str, action: ChangeAction = ChangeAction.UPDATE) -> Change:
    return Change(number=number, action=action, id=f"id-{key}", key=json.dumps({"k": key}))


def rows(_: RequestKind) -> int:
    return 10


@given(st.lists(st.tuples(st.integers(0, 8), ACTIONS), max_size=60), st.integers(1, 4), st.randoms())
def test_no_record_is_twice_in_flight_and_its_changes_keep_their_order(
    wanted: list[tuple[int, ChangeAction]], senders: int, random: object
) -> None:
    """In whatever order requests are answered, every change is given out once, and those of one record in order."""
    changes = [change(number, f"K{key}", action) for number, (key, action) in enumerate(wanted)]
    feed = Feed(changes, lambda _: NextStep.SEND)
    flying: list[Change] = []
    handed: list[Change] = []
    while not feed.empty:
        chunk = feed.take(rows, senders)
        if chunk is not None:
            assert len({one.id for one in (*flying, *chunk.changes)}) == len(flying) + len(chunk.changes)
            assert len({kind_of(one) for one in (*flying, *chunk.changes)}) == 1
            flying += chunk.changes
            handed += chunk.changes
        if flying:
            feed.finished(flying.pop(getattr(random, "randrange")(len(flying))).number)  # noqa: B009 - typed as object
    assert sorted(one.number for one in handed) == list(range(len(changes)))
    for key in {one.id for one in changes}:
        order = [one.number for one in handed if one.id == key]
        assert order == sorted(order)


def test_the_last_rows_are_shared_out() -> None:
    """With fewer rows than senders could carry, no sender gets them all."""
    feed = Feed([change(n, f"K{n}") for n in range(20)], lambda _: NextStep.SEND)
    sizes = []
    while (chunk := feed.take(rows, 4)) is not None:
        sizes.append(len(chunk.changes))
    assert sum(sizes) == 20
    assert max(sizes) <= 5


def test_the_last_rows_are_not_shared_out_below_what_is_worth_a_request() -> None:
    """A request of very few rows costs more than the time that it saves; the last one carries what is left."""
    feed = Feed([change(n, f"K{n}") for n in range(20)], lambda _: NextStep.SEND)
    sizes = []
    while (chunk := feed.take(rows, 4, fewest=lambda _: 8)) is not None:
        sizes.append(len(chunk.changes))
    assert sizes == [8, 8, 4]


def test_changes_are_read_only_as_far_as_needed() -> None:
    """A million rows are not taken into memory."""
    taken = 0

    def many() -> object:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield change(number, f"K{number}")

    feed = Feed(many(), lambda _: NextStep.SEND)  # type: ignore[arg-type]  # a generator of changes
    feed.take(rows, 4)
    assert taken == 40


def test_rows_with_long_texts_share_a_request_with_few_others() -> None:
    """A request has at most 4 million characters, whichever text of a change is the long one; no row is left out."""
    text = json.dumps({"text": "x" * 1_000_000})
    long = [
        replace(change(0, "A"), payload=text),
        replace(change(1, "B"), later=text),
        replace(change(2, "C"), on_create=text),
        replace(change(3, "D"), key=text),
        *(replace(change(number, f"K{number}"), payload=text) for number in range(4, 8)),
    ]
    feed = Feed(long, lambda _: NextStep.SEND)
    sizes = []
    while (chunk := feed.take(rows, 1)) is not None:
        sizes.append(len(chunk.changes))
    assert sizes == [3, 3, 2]


def test_a_row_that_is_longer_than_a_request_may_be_is_sent_by_itself() -> None:
    """The service decides whether it takes such a row; the rows around it do not depend on it."""
    huge = replace(change(1, "B"), payload=json.dumps({"text": "x" * 5_000_000}))
    feed = Feed([change(0, "A"), huge, change(2, "C"), change(3, "D")], lambda _: NextStep.SEND)
    handed = []
    while (chunk := feed.take(rows, 1)) is not None:
        handed.append([one.number for one in chunk.changes])
    assert handed == [[0], [1], [2, 3]]


def test_few_rows_with_long_texts_are_in_memory() -> None:
    """64 million characters without an outcome are enough: more is read when some have one, or have got shorter."""
    text = json.dumps({"text": "x" * 1_000_000})
    taken = []

    def many() -> Iterator[Change]:
        for number in range(1000):
            taken.append(number)
            yield replace(change(number, f"K{number % 500}", ChangeAction.INSERT), payload=text)

    def handed() -> list[Change]:
        chunks = iter(lambda: feed.take(lambda _: 1000, 100), None)
        return [one for chunk in chunks for one in chunk.changes]

    feed = Feed(many(), lambda _: NextStep.SEND)
    flying = handed()
    assert len(taken) == len(flying) == 64
    for one in flying[:10]:
        feed.put_back(RequestKind.UPDATE, replace(one, payload="{}"))
    flying = [*flying[10:], *handed()]
    assert len(taken) == 74
    while flying:
        for one in flying:
            feed.finished(one.number)
        flying = handed()
    assert feed.empty
    assert len(taken) == 1000


def test_what_was_not_handed_out_is_named_at_the_end() -> None:
    """Taken, waiting, held back and not yet read: each once."""
    changes = [change(0, "A"), change(1, "A"), change(2, "B"), change(3, "C", ChangeAction.DELETE), change(4, "D")]
    feed = Feed(changes, lambda _: NextStep.SEND)
    feed.take(rows, 1)
    assert sorted(feed.remaining()) == [0, 1, 2, 3, 4]


def test_what_may_have_been_carried_out_stays_apart() -> None:
    """Rows in doubt travel together, and their chunk says so."""
    feed = Feed([change(number, f"K{number}", ChangeAction.INSERT) for number in range(4)], lambda _: NextStep.SEND)
    first = feed.take(rows, 1)
    assert first is not None
    for one in first.changes:
        feed.put_back(RequestKind.CREATE, one, lost=one.number % 2 == 0)
    handed = [feed.take(rows, 1), feed.take(rows, 1)]
    assert sorted((chunk.lost, [one.number for one in chunk.changes]) for chunk in handed if chunk is not None) == [
        (False, [1, 3]),
        (True, [0, 2]),
    ]
