"""From when on a listener takes events is kept in both state stores, once and for all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from shared.definitions import SyncDefinition
from shared.definitions.models.listener import Listener, OffsetReset, Topic
from shared.jobs.real_time.listeners import ListeningSince
from shared.state import StateStore
from tests.store_in_front import StoreInFront

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, UTC)


def listening(name: str = "customers", **listener: Any) -> SyncDefinition:
    """As much of a definition as is asked for."""
    parts: dict[str, Any] = {"name": name, "listener": Listener(name="live", topic=Topic(), **listener)}
    return SyncDefinition.model_construct(**parts)


def test_the_first_moment_stays(open_store: Callable[[], StateStore]) -> None:
    """For this process, for a later one, and for one that sees the listener anew after years."""
    definition = listening()
    assert ListeningSince().of(definition, open_store(), now=NOW) == NOW
    for later in (timedelta(seconds=1), timedelta(days=1_000)):
        assert ListeningSince().of(definition, open_store(), now=NOW + later) == NOW
    other = NOW + timedelta(hours=1)
    assert ListeningSince().of(listening("others"), open_store(), now=other) == other


@pytest.mark.parametrize("reset", [OffsetReset.EARLIEST, OffsetReset.NONE])
def test_listeners_that_take_all_events_have_no_moment(
    open_store: Callable[[], StateStore], reset: OffsetReset
) -> None:
    """One that is set to `latest` afterwards begins then."""
    store = open_store()
    assert ListeningSince().of(listening(auto_offset_reset=reset), store, now=NOW) is None
    assert ListeningSince().of(listening(status="disabled"), store, now=NOW) is None
    assert store.watermark("listener/customers") is None
    later = NOW + timedelta(hours=1)
    assert ListeningSince().of(listening(), store, now=later) == later


def test_of_instances_that_begin_together_the_first_one_decides(open_store: Callable[[], StateStore]) -> None:
    """In whatever order their writes arrive, the store ends with the earliest moment: no event is skipped by it alone."""
    moments = [NOW + timedelta(milliseconds=place * 7 % 16) for place in range(16)]
    stores = [open_store() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda each: ListeningSince().of(
            listening(), stores[each[0] % 4], now=each[1]), enumerate(moments)))  # fmt: skip
    kept = ListeningSince().of(listening(), open_store(), now=NOW + timedelta(days=1))
    assert kept is not None
    assert kept == min(moment for moment in seen if moment is not None)
    assert kept in moments


def _write_once(store: StateStore, name: str, now: datetime, once: Iterator[bool], _: str) -> None:
    """Another instance writes between the first look and the write."""
    if next(once, False):
        assert ListeningSince().of(listening(name), store, now=now)


def test_an_earlier_moment_replaces_one_that_was_written_before_it(open_store: Callable[[], StateStore]) -> None:
    """Two instances that both found none: the write that arrives last does not win."""
    for name, other in (("earlier", NOW - timedelta(seconds=1)), ("later", NOW + timedelta(seconds=1))):
        racing = StoreInFront(open_store())
        racing.after["watermark"] = partial(_write_once, open_store(), name, other, iter([True]))
        assert ListeningSince().of(listening(name), racing, now=NOW) == min(NOW, other)
