"""Asking how many events wait, within a time that the caller can take."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from shared.app.event_hub.waiting import HubWaiting, PartitionWaiting, Reading
from shared.errors import SyncError

__all__ = ["WaitingEvents"]

log = logging.getLogger(__name__)
_NOT_YET: Final = HubWaiting(reading=Reading.NOT_YET)
_RARELY: Final = 300.0  # seconds


class WaitingEvents:
    """Events of a hub that wait; safe to be used by several threads.

    Args:
        read: Reads the partitions of the hub, in order. It may take long, and raise `SyncError` with what to do.
        patience: Seconds for which a page waits.
        kept: Seconds for which `now` gives an answer again.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[], tuple[PartitionWaiting, ...]],
        *,
        patience: float = 2.0,
        kept: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._patience = patience
        self._kept = kept
        self._clock = clock
        self._lock = threading.Lock()
        # One reading at a time: a hub that does not answer must not take one thread for each page.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="events-waiting")
        self._asked: Future[HubWaiting] | None = None
        self._latest: HubWaiting | None = None
        self._ended = 0.0

    def now(self, patience: float | None = None) -> HubWaiting:
        """What waits, as it was some seconds ago; not known yet where the hub takes longer than the caller waits.

        Args:
            patience: Seconds for which the caller waits; as long as a page for None.
        """
        asked = self._reading(self._kept)
        try:
            error = asked.exception(self._patience if patience is None else patience)
        except TimeoutError:
            return _NOT_YET
        if error is not None:
            return HubWaiting(reading=Reading.FAILED, reason=_reason(error))
        return asked.result()

    def latest(self) -> HubWaiting | None:
        """What the hub said last, however long ago, without waiting; None where it has not said anything yet.

        The hub is asked again after some minutes only: the status is asked for often, and for other things.
        """
        self._reading(_RARELY)
        return self._latest

    def _reading(self, kept: float) -> Future[HubWaiting]:
        """The reading whose answer counts now; a new one where the last one has ended `kept` seconds ago."""
        with self._lock:
            asked = self._asked
            if asked is None or (asked.done() and self._clock() >= self._ended + kept):
                asked = self._asked = self._threads.submit(self._timed)
            return asked

    def _timed(self) -> HubWaiting:
        try:
            self._latest = HubWaiting(reading=Reading.DONE, partitions=self._read())
            return self._latest
        finally:
            self._ended = self._clock()


def _reason(error: BaseException) -> str:
    """Why there is no number; the page is shown whatever the libraries raise."""
    if isinstance(error, SyncError):
        return error.message
    # Its text may name hosts or keys.
    log.warning("the events that wait in the event hub cannot be read: %s", type(error).__name__)
    return f"an unexpected error: {type(error).__name__}"
