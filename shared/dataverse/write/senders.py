"""Threads that send, and the one place where their results arrive."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

__all__ = ["Senders", "ThreadSenders"]

T = TypeVar("T")


class Senders(Protocol[T]):
    """Runs jobs side by side and hands their results to the one thread that started them."""

    def start(self, job: Callable[[], T], failed: Callable[[Exception], T]) -> None:
        """Begin a job; where it raises an error, its result is what `failed` makes of that."""
        ...

    def wait(self, seconds: float) -> Iterable[T]:
        """Results that have arrived, after at most so many seconds."""
        ...

    def close(self) -> None:
        """Wait for the jobs that were begun."""
        ...


class ThreadSenders(Generic[T]):
    """The jobs of one write among a service's threads.

    Args:
        threads: Run the jobs; they outlive the write, since starting a thread takes longer than a small request.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._done: SimpleQueue[tuple[Future[T], Callable[[Exception], T]]] = SimpleQueue()
        self._running = 0

    def start(self, job: Callable[[], T], failed: Callable[[Exception], T]) -> None:
        """Begin a job; see `Senders.start`."""
        self._threads.submit(job).add_done_callback(lambda future: self._done.put((future, failed)))
        self._running += 1

    def wait(self, seconds: float) -> Iterable[T]:
        """Results that have arrived; see `Senders.wait`."""
        try:
            done = [self._done.get(timeout=max(seconds, 0.0))]
        except Empty:
            return []
        while not self._done.empty():
            done.append(self._done.get())
        self._running -= len(done)
        return [_result(*each) for each in done]

    def abandon(self) -> bool:
        """Wait for no job; whether one was under way."""
        was_running, self._running = self._running > 0, 0
        return was_running

    def close(self) -> None:
        """Wait for the jobs that were begun."""
        while self._running:
            self._done.get()
            self._running -= 1


def _result(done: Future[T], failed: Callable[[Exception], T]) -> T:
    error = done.exception()
    return failed(error) if isinstance(error, Exception) else done.result()
