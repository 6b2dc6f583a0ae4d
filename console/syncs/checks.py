"""What is wrong with a definition: at once by itself, and within a bounded time against its environment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from typing import Final, TypeVar

from shared.app import App
from shared.definitions import Loaded
from shared.errors import Problem, SyncError

__all__ = ["SECONDS", "Check", "OfflineChecks", "checked_online"]

T = TypeVar("T")
SECONDS: Final = 60.0
"""How long a check against the environment may take: an answer over HTTP has to come within 230 seconds."""
_MOST_KEPT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a check has found.

    Attributes:
        problems: A run would end with them.
        warnings: What may be a mistake, also where the table in the environment has changed.
        online: Whether the environment was asked.
        late: Whether it was asked, and did not answer in time.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[str, ...] = ()
    online: bool = False
    late: bool = False


class OfflineChecks:
    """Checks of definitions without their environments, each made once for one version of its file. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Loaded, Check]] = {}
        self._lock = threading.Lock()

    def of(self, loaded: Loaded, app: App) -> Check:
        """The check of a definition as it is now."""
        with self._lock:
            known = self._known.get(loaded.name)
        if known is not None and known[0] is loaded:
            return known[1]
        names = [loaded.name]
        found = Check(
            problems=tuple(app.validate(names, offline=True)), warnings=_own(app.warnings(names, offline=True), loaded)
        )
        with self._lock:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            self._known[loaded.name] = (loaded, found)
        return found


def checked_online(loaded: Loaded, app: App, *, seconds: float = SECONDS) -> Check:
    """Check a definition against its environment and its source.

    Args:
        loaded: The definition.
        app: The program.
        seconds: How long the caller waits; a check that takes longer goes on by itself, and nobody sees its end.
    """

    def check() -> Check:
        names = [loaded.name]
        problems, warnings = app.validate(names), app.warnings(names)
        return Check(problems=tuple(problems), warnings=_own(warnings, loaded), online=True)

    return _within(seconds, check) or Check(problems=(), online=True, late=True)


def _own(warnings: tuple[str, ...], loaded: Loaded) -> tuple[str, ...]:
    """Warnings without the name of the sync, which the page has already."""
    return tuple(warning.removeprefix(f"{loaded.name}: ") for warning in warnings)


def _within(seconds: float, work: Callable[[], T]) -> T | None:
    """What some work gives; None where it takes longer.

    Raises:
        SyncError: The work raises it.
        CancelledError: The work ended with an error that the program does not handle.
    """
    done = Future[T]()

    def run() -> None:
        try:
            done.set_result(work())
        except SyncError as error:
            done.set_exception(error)
        finally:  # an error that the program does not handle: the thread reports it, and the caller does not wait
            done.cancel()

    threading.Thread(target=run, name="check", daemon=True).start()
    try:
        return done.result(timeout=seconds)
    except LateError:
        return None
