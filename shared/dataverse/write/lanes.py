"""One lane for each application user: its controller and its requests in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.dataverse.write.controller import Controller, RequestKind

__all__ = ["Lane", "freest"]


@dataclass(slots=True, kw_only=True)
class Lane:
    """What one application user is doing.

    Attributes:
        user: Index among the service's token providers.
        flights: Requests in flight.
    """

    user: int
    controller: Controller
    flights: int = 0

    def has_room(self) -> bool:
        """Whether its parallelism allows one more request, pauses aside."""
        return self.flights < self.controller.parallel

    def depart(self, kind: RequestKind) -> None:
        """A request leaves."""
        self.flights += 1
        self.controller.pace.started(self.controller.seconds(kind))

    def land(self) -> None:
        """A request has come back, or never will."""
        self.flights -= 1
        self.controller.pace.ended()

    def reset(self) -> None:
        """Forget requests whose write was abandoned."""
        while self.flights:
            self.land()


def freest(lanes: Sequence[Lane], now: float) -> Lane | None:
    """The lane with the largest share of its parallelism free among those that may send now."""
    able = [lane for lane in lanes if lane.has_room() and lane.controller.ready_at(now) <= now]
    return min(able, key=lambda lane: lane.flights / lane.controller.parallel, default=None)
