"""A process that dies at any request, as a transport."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from shared.dataverse import Request, Response
from shared.http.transport import Transport

__all__ = ["Death", "Killed", "MortalTransport"]


class Killed(BaseException):
    """The process is dead: no code of it may run any more, so no code may catch this."""


@dataclass(slots=True)
class Death:
    """Kills at the n-th request from now: before it leaves, or when the server has acted on it."""

    requests_left: int
    after: bool
    dead: bool = False


class MortalTransport:
    """A transport whose process may die; a dead one sends nothing."""

    def __init__(self, inner: Transport, death: Death | None) -> None:
        self._inner = inner
        self._death = death
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        death = self._death
        if death is None:
            return self._inner.send(request)
        with self._lock:
            death.requests_left -= 1
            last = death.requests_left == 0
            dead = death.dead
            death.dead = dead or last
        if dead or (last and not death.after):
            raise Killed
        response = self._inner.send(request)
        if last:
            raise Killed
        return response

    def close(self) -> None:
        self._inner.close()
