"""A run's progress as log lines and spans: one of each a phase."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from shared.telemetry.instruments import span
from shared.telemetry.logs import log_context

__all__ = ["PhaseSpans"]

log = logging.getLogger(__name__)


class PhaseSpans:
    """Gets a run's phases and passes them to logs and spans.

    Usable wherever a run takes a progress listener. As a context manager it ends the last phase with the run; one
    object serves one run, in one thread.
    """

    def __init__(self) -> None:
        self._current = ExitStack()
        self._phase = ""
        self._rows = 0

    def phase(self, phase: str, total: int | None = None) -> None:
        """A phase begins, and the one before it is over."""
        self._end()
        self._phase = str(phase)
        self._current.enter_context(log_context(phase=self._phase))
        self._current.enter_context(span(f"dynamics_sync.{self._phase}"))
        log.info("%s begins", self._phase, extra={"rows": total})

    def advance(self, rows: int) -> None:
        """Some more rows of the phase are done."""
        self._rows += rows

    def throttled(self, requests: int, until: datetime) -> None:
        """The next request waits; the client counts what is throttled."""
        log.info("Requests are throttled: %d so far, next one at %s", requests, f"{until:%H:%M:%S} UTC")

    def __enter__(self) -> Self:
        """Before the first phase."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After the last phase."""
        self._end()

    def _end(self) -> None:
        if self._phase:
            log.debug("%s ends", self._phase, extra={"rows": self._rows or None})
        self._current.close()
        self._phase, self._rows = "", 0
