"""Holding a lease for as long as the work under it lasts: that of a sync, of a job, or of a slot."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import RequestsLeft, SyncError, UserError
from shared.run_ids import SHORT_ID
from shared.state import Lease, StateStore
from shared.state.machine import since_boot

__all__ = ["LEASE_SECONDS", "HeldLease", "LeaseTaken", "holding", "keeping"]

log = logging.getLogger(__name__)

LEASE_SECONDS = 60.0
RENEW_EVERY = 15.0


class LeaseTaken(UserError):  # noqa: N818 - the name says what happened
    """Another run of the sync is under way."""


class HeldLease:
    """A lease that a thread renews until the run ends."""

    def __init__(self, store: StateStore, lease: Lease, *, asked_at: float) -> None:
        self._store = store
        self._lease = lease
        # Counted by this machine alone, its sleep included, from before the store was asked: so it never ends late.
        self._good_until = asked_at + LEASE_SECONDS
        self._over = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {lease.name}", daemon=True)

    @property
    def fence(self) -> int:
        """The fencing number: higher than that of every holder before."""
        return self._lease.fence

    def lost(self) -> bool:
        """Whether another run may hold the lease by now, taken or just expired: the run must stop writing."""
        return self._lost.is_set() or since_boot() >= self._good_until

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self, *, give_back: bool = True) -> None:
        """Stop renewing and give the lease back.

        Where the store is unavailable the lease lapses by itself: that does not change how the run ended.

        Args:
            give_back: Otherwise it lapses by itself.
        """
        self._over.set()
        self._thread.join(timeout=RENEW_EVERY)
        if not give_back:
            return
        try:
            self._store.release_lease(self._lease)
        except SyncError as error:
            log.warning("The lease %s lapses by itself: %s", self._lease.name, error.message)

    def _renew(self) -> None:
        while not self._over.wait(RENEW_EVERY):
            asked_at = since_boot()
            try:
                renewed = self._store.renew_lease(self._lease, seconds=LEASE_SECONDS)
            except SyncError:
                continue  # the store is unavailable: three more tries fit in before the lease expires
            if renewed is None:
                self._lost.set()
                return
            self._lease = renewed
            self._good_until = asked_at + LEASE_SECONDS


def _who_runs(store: StateStore, name: str) -> str:
    """Which run holds a lease, where it runs and since when, as far as it is known."""
    lease = store.lease(name)
    if lease is None:
        return ""
    until = f"its lease holds until about {lease.expires:%H:%M:%S} UTC unless renewed"
    run = store.run(lease.holder)
    if run is None:
        return f" ({until})"
    where = f" on {run.host}" if run.host else ""
    return f": run {run.run_id[:SHORT_ID]}{where} since {run.started:%Y-%m-%d %H:%M:%S} UTC ({until})"


@contextmanager
def holding(store: StateStore, sync: str, run_id: str) -> Iterator[HeldLease]:
    """Take the sync's lease, keep it while the block runs, and give it back.

    Raises:
        LeaseTaken: Another run holds it.
    """
    name = f"sync/{sync}"
    with keeping(store, name, run_id) as held:
        if held is None:
            raise LeaseTaken(f"{sync} is already running{_who_runs(store, name)}. Wait for its end, then try again")
        yield held


@contextmanager
def keeping(store: StateStore, name: str, holder: str) -> Iterator[HeldLease | None]:
    """Take a lease, keep it while the block runs, and give it back; None where another holder has it.

    It is not given back while requests of the block may still write: nobody begins beside them before it lapses.
    """
    asked_at = since_boot()
    lease = store.acquire_lease(name, holder=holder, seconds=LEASE_SECONDS)
    if lease is None:
        yield None
        return
    held = HeldLease(store, lease, asked_at=asked_at)
    held.start()
    give_back = True
    try:
        yield held
    except RequestsLeft:
        give_back = False
        raise
    finally:
        held.stop(give_back=give_back)
