"""Threads that outlive a write, and the jobs of one write among them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.dataverse.write.senders import ThreadSenders


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_results_come_to_the_write_that_asked(threads: ThreadPoolExecutor) -> None:
    """Two writes share the threads and nothing else."""
    one, other = ThreadSenders[str](threads), ThreadSenders[str](threads)
    for number in range(3):
        one.start(lambda number=number: f"one {number}", str)  # type: ignore[misc]  # the loop's value, not its variable
    other.start(lambda: "other", str)
    found: list[str] = []
    while len(found) < 3:
        found += one.wait(60.0)
    assert sorted(found) == ["one 0", "one 1", "one 2"]
    assert list(other.wait(60.0)) == ["other"]


def test_nothing_is_there_before_it_is_done(threads: ThreadPoolExecutor) -> None:
    """A wait ends after its seconds, with what has arrived."""
    gate = threading.Event()
    senders = ThreadSenders[bool](threads)
    senders.start(lambda: gate.wait(60.0), bool)
    assert list(senders.wait(0.01)) == []
    gate.set()
    assert list(senders.wait(60.0)) == [True]


def test_an_abandoned_write_waits_for_its_requests(threads: ThreadPoolExecutor) -> None:
    """A request that was sent takes effect; the next write must not overtake it."""
    gate, done = threading.Event(), list[int]()
    senders = ThreadSenders[None](threads)

    def job() -> None:
        gate.wait(60.0)
        done.append(1)

    for _ in range(3):
        senders.start(job, print)
    threading.Timer(0.05, gate.set).start()
    senders.close()
    assert done == [1, 1, 1]


def test_what_a_job_raises_is_one_result_among_the_others(threads: ThreadPoolExecutor) -> None:
    """It takes none of them away, and the next write has the same threads."""
    senders = ThreadSenders[str](threads)

    def fail() -> str:
        raise LookupError("gone")

    found: list[str] = []
    for job in (fail, lambda: "one", fail, lambda: "other"):
        senders.start(job, repr)
    while len(found) < 4:
        found += senders.wait(60.0)
    assert sorted(found) == ["LookupError('gone')", "LookupError('gone')", "one", "other"]
    senders.close()
    again = ThreadSenders[int](threads)
    again.start(lambda: 7, id)
    assert list(again.wait(60.0)) == [7]
