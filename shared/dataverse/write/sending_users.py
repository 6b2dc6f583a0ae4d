"""The application users of one write: each with its controller and the number of its requests in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.dataverse.write.controller import Controller, RequestKind

__all__ = ["SendingUser", "least_busy"]


@dataclass(slots=True, kw_only=True)
class SendingUser:
    """One application user that sends requests of a write.

    Attributes:
        index: Index among the service's token providers.
        in_flight: Number of requests that were sent and have no answer yet.
    """

    index: int
    controller: Controller
    in_flight: int = 0

    def may_send_one_more(self) -> bool:
        """Whether its parallelism allows one more request; pauses are not regarded."""
        return self.in_flight < self.controller.parallel

    def started(self, kind: RequestKind) -> None:
        """Count a request that is sent now."""
        self.in_flight += 1
        self.controller.pace.started(self.controller.seconds(kind))

    def ended(self) -> None:
        """Count a request that was answered, or that is not waited for any more."""
        self.in_flight -= 1
        self.controller.pace.ended()

    def reset(self) -> None:
        """Forget requests whose write was abandoned."""
        while self.in_flight:
            self.ended()


def least_busy(users: Sequence[SendingUser], now: float) -> SendingUser | None:
    """The user with the largest free share of its parallelism among those that may send now; None if there is none."""
    able = [user for user in users if user.may_send_one_more() and user.controller.ready_at(now) <= now]
    return min(able, key=lambda user: user.in_flight / user.controller.parallel, default=None)
