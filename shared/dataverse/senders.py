"""Threads that send, and the one place where their results arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

__all__ = ["Senders", "ThreadSenders"]

T = TypeVar("T")


class Senders(Protocol[T]):
    """Runs jobs side by side and hands their results to the one thread that started them."""

    def start(self, job: Callable[[], T]) -> None:
        """Begin a job."""
        ...

    def wait(self, seconds: float) -> Iterable[T]:
        """Results that have arrived, after at most so many seconds; raises what a job raised."""
        ...

    def close(self) -> None:
        """Wait for the jobs that were begun."""
        ...


class ThreadSenders(Generic[T]):
    """A bounded pool of threads.

    Args:
        most: Most jobs at once.
    """

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="dataverse")
        self._done: SimpleQueue[Future[T]] = SimpleQueue()

    def start(self, job: Callable[[], T]) -> None:
        """Begin a job."""
        self._pool.submit(job).add_done_callback(self._done.put)

    def wait(self, seconds: float) -> Iterable[T]:
        """Results that have arrived; see `Senders.wait`."""
        try:
            results = [self._done.get(timeout=max(seconds, 0.0)).result()]
        except Empty:
            return []
        while not self._done.empty():
            results.append(self._done.get().result())
        return results

    def close(self) -> None:
        """Wait for the jobs that were begun."""
        self._pool.shutdown(wait=True)
