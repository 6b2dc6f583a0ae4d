"""A state store in front of the real one: tests count calls, let others act between them, and let calls fail.

A test gives this store to the code in the place of the real one. So faults need no change of a class or an object of
the program, and every call that does not fail does its real work.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

from shared.state import StateStore

__all__ = ["Act", "StoreInFront", "failing"]

Act = Callable[..., object]
"""What happens before or after a call; it gets the arguments of the call."""


def failing(error: BaseException, *, times: int | None = None) -> Act:
    """Fail a call with an error.

    Args:
        error: The error.
        times: How many calls fail; all when not given.
    """
    calls = count()

    def fail(*_: object, **__: object) -> None:
        if times is None or next(calls) < times:
            raise error

    return fail


class _Call:
    """A method of the protocol, which calls the real store."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, store: StoreInFront, owner: type) -> Callable[..., Any]:
        return partial(store.called, self._name)


class StoreInFront:
    """A state store that passes each call on to another one.

    Args:
        store: The store behind.
        before: What happens before calls, by the name of the method. An error that it raises is that of the call,
            which then does not reach the store behind.

    Attributes:
        before: The same; a test may change it at any time.
        after: What happens after calls that succeeded.
        calls: How often each method was called, also where the call failed.
    """

    def __init__(self, store: StateStore, **before: Act) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.before = before
        self.after: dict[str, Act] = {}
        self.calls = Counter[str]()

    @contextmanager
    def acting(self, **before: Act) -> Iterator[None]:
        """Let something more happen before calls, within the block."""
        earlier, self.before = self.before, {**self.before, **before}
        try:
            yield
        finally:
            self.before = earlier

    def called(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Do one call."""
        with self._lock:
            self.calls[name] += 1
        if name in self.before:
            self.before[name](*arguments, **options)
        result = getattr(self._store, name)(*arguments, **options)
        if name in self.after:
            self.after[name](*arguments, **options)
        return result

    # mypy reports a method of the protocol that is missing here.
    begin_run = _Call()
    finish_run = _Call()
    run = _Call()
    runs = _Call()
    last_run = _Call()
    last_runs = _Call()
    latest_rows = _Call()
    runs_starting = _Call()
    add_errors = _Call()
    replace_errors = _Call()
    errors = _Call()
    put_file = _Call()
    file = _Call()
    files = _Call()
    put_rows_to_mend = _Call()
    rows_to_mend = _Call()
    put_journal_part = _Call()
    journal_part = _Call()
    journal_parts = _Call()
    prune_journals = _Call()
    pause = _Call()
    pauses = _Call()
    resume = _Call()
    acquire_lease = _Call()
    renew_lease = _Call()
    release_lease = _Call()
    lease = _Call()
    watermark = _Call()
    set_watermark = _Call()
    add_dead_letters = _Call()
    dead_letters = _Call()
    dead_letter_sizes = _Call()
    count_dead_letters = _Call()
    dead_letter_counts = _Call()
    remove_dead_letters = _Call()
    seen = _Call()
    mark_seen = _Call()
    copy_positions = _Call()
    remove_positions = _Call()
    use_plan = _Call()
    plan_use = _Call()
    return_plan = _Call()
    ledger = _Call()
    ledger_part = _Call()
    ledger_parts = _Call()
    put_ledger_part = _Call()
    swap_ledger = _Call()
    ledger_entries = _Call()
    put_ledger_entries = _Call()
    remove_ledger_entries = _Call()
    use_ledger = _Call()
    mirror = _Call()
    mirror_part = _Call()
    mirror_parts = _Call()
    put_mirror_part = _Call()
    swap_mirror = _Call()
    prune = _Call()
    request_job = _Call()
    put_job = _Call()
    remove_job = _Call()
    job = _Call()
    jobs_starting = _Call()
    jobs = _Call()
    open_jobs = _Call()
    job_requests = _Call()
    put_job_file = _Call()
    job_file = _Call()
    job_files = _Call()
    remove_job_file = _Call()
    cancel_run = _Call()
    cancelled_by = _Call()
    note_progress = _Call()
    progress = _Call()
    add_audit = _Call()
    audit = _Call()
    close = _Call()
