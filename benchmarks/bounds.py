"""What the service allows at most: the least time of requests under its documented limits.

Limits per application user and web server (Microsoft: service protection API limits): 6,000 requests and 1,200 seconds of
execution in five minutes, and 52 requests at a time. A client with an unused window can use all of it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

WINDOW_SECONDS = 300
REQUESTS_A_WINDOW = 6000
EXECUTION_SECONDS_A_WINDOW = 1200
AT_A_TIME = 52


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Requests and the time that the service needs for them.

    Attributes:
        seconds: Time of execution of all requests together.
    """

    requests: int
    seconds: float

    @classmethod
    def of(cls, rows: int, *, request_rows: int, latency: float, row: float) -> Work:
        """Rows in requests of equal size; `latency` in seconds a request, `row` in seconds a row."""
        requests = -(-rows // request_rows)
        return cls(requests=requests, seconds=requests * latency + rows * row)

    def __add__(self, other: Work) -> Work:
        """Both, one after the other or at the same time."""
        return Work(requests=self.requests + other.requests, seconds=self.seconds + other.seconds)

    def least_seconds(self, users: int = 1) -> float:
        """The least time in which one web server does it."""
        waits = (
            _beyond(self.requests, REQUESTS_A_WINDOW * users),
            _beyond(self.seconds, EXECUTION_SECONDS_A_WINDOW * users),
        )
        return max(self.seconds / (AT_A_TIME * users), *waits)


def _beyond(used: float, a_window: float) -> float:
    """Seconds until what the first window does not allow is done, at the rate that every further window allows."""
    return max(0.0, used - a_window) / a_window * WINDOW_SECONDS
