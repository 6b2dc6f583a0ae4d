"""Service protection on a simulated clock: which requests are refused, with which message, and for how long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.policies.limits import Limits, LimitSettings, ThrottledError
from emulator.policies.timing import TimeModel


class Clock:
    """Time that only the test moves forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits_of(clock: Clock, text: str, servers: int = 1) -> Limits:
    return Limits(LimitSettings.parse(text), servers=servers, parallelism_hint=7, clock=clock)


def run(limits: Limits, user: str = "u", server: int = 0, seconds: float = 0.0) -> None:
    limits.settle(limits.admit(user, server), seconds)


def refusal(limits: Limits, user: str = "u", server: int = 0) -> ThrottledError:
    with pytest.raises(ThrottledError) as caught:
        run(limits, user, server)
    return caught.value


def test_requests_are_counted_in_a_sliding_window() -> None:
    """Each request leaves the count when it is as old as the window."""
    clock = Clock()
    limits = limits_of(clock, "requests=3,window=300")
    for _ in range(3):
        run(limits)
        clock.now += 10
    error = refusal(limits)
    assert (error.status, error.code, error.headers) == (429, "0x80072322", {"Retry-After": "270"})
    assert error.message == "Number of requests exceeded the limit of 3 over time window of 300 seconds."
    clock.now += 270
    run(limits)
    assert refusal(limits).wait == 10


def test_execution_time_is_counted_in_the_same_window() -> None:
    """Seconds of work add up over all requests; the message gives milliseconds with thousands separators."""
    clock = Clock()
    limits = limits_of(clock, "time=1200,window=300")
    run(limits, seconds=700)
    clock.now += 50
    run(limits, seconds=501)
    error = refusal(limits)
    assert (error.code, error.wait) == ("0x80072321", 250)
    assert error.message == (
        "Combined execution time of incoming requests exceeded limit of 1,200,000 milliseconds over time window of 300 "
        "seconds. Decrease number of concurrent requests or reduce the duration of requests and try again later."
    )
    clock.now += 250
    run(limits)


def test_concurrent_requests_over_the_limit_are_refused_until_one_ends() -> None:
    """The 53rd concurrent request is refused; when one ends, another is accepted."""
    limits = limits_of(Clock(), "concurrency=52")
    running = [limits.admit("u", 0) for _ in range(52)]
    error = refusal(limits)
    assert (error.code, error.wait) == ("0x80072326", 1)
    assert error.message == "Number of concurrent requests exceeded the limit of 52."
    limits.settle(running.pop(), 0.1)
    run(limits)


def test_users_and_servers_have_their_own_budgets() -> None:
    """A limit applies to one user on one server."""
    limits = limits_of(Clock(), "requests=1", servers=2)
    for user, server in (("a", 0), ("a", 1), ("b", 0)):
        run(limits, user, server)
        assert refusal(limits, user, server).status == 429


def test_a_client_that_obeys_retry_after_never_gets_a_longer_wait() -> None:
    """Every refusal then has only the wait of the window."""
    clock = Clock()
    limits = limits_of(clock, "requests=10,window=30")
    waits: list[int] = []
    for _ in range(100):
        try:
            run(limits)
        except ThrottledError as error:
            waits.append(error.wait)
            clock.now += error.wait
        clock.now += 0.01
    assert waits
    assert max(waits) <= 30


def test_a_client_that_ignores_the_wait_waits_longer_each_time() -> None:
    """Retry-After grows, and the penalty continues after the window has free requests again."""
    clock = Clock()
    limits = limits_of(clock, "requests=10,window=30")
    for _ in range(10):
        run(limits)
    waits = []
    for _ in range(6):
        waits.append(refusal(limits).wait)
        clock.now += 1
    assert waits == sorted(waits)
    assert waits[0] == 30
    assert waits[-1] > 55
    clock.now += 29  # The window is empty by now; the penalty is not over.
    assert refusal(limits).wait > 20


def test_requests_that_were_in_flight_do_not_count_as_ignored_waits() -> None:
    """Fifty parallel requests that are refused at once have ignored no wait."""
    clock = Clock()
    limits = limits_of(clock, "requests=10,window=30")
    for _ in range(10):
        run(limits)
    waits = set()
    for _ in range(50):
        waits.add(refusal(limits).wait)
        clock.now += 0.005
    assert waits == {30}


def test_headers_show_what_is_left() -> None:
    """Requests as a plain number, time with a thousands separator, and the advised parallelism."""
    clock = Clock()
    limits = limits_of(clock, "requests=8000,time=1200,concurrency=52")
    assert limits.headers("u", 0) == {
        "x-ms-dop-hint": "7",
        "x-ms-ratelimit-burst-remaining-xrm-requests": "8000",
        "x-ms-ratelimit-time-remaining-xrm-requests": "1,200.00",
    }
    run(limits, seconds=1.5)
    left = limits.headers("u", 0)
    assert left["x-ms-ratelimit-burst-remaining-xrm-requests"] == "7999"
    assert left["x-ms-ratelimit-time-remaining-xrm-requests"] == "1,198.50"
    clock.now += 300
    assert limits.headers("u", 0)["x-ms-ratelimit-burst-remaining-xrm-requests"] == "8000"


def test_the_affinity_cookie_selects_the_server() -> None:
    """Without the cookie servers take turns; with it the same one answers."""
    limits = limits_of(Clock(), "none", servers=3)
    assert sorted(limits.server_for({}) for _ in range(6)) == [0, 0, 1, 1, 2, 2]
    name, _, value = limits.cookie(2, secure=False).partition(";")[0].partition("=")
    assert [limits.server_for({name: value}) for _ in range(4)] == [2] * 4
    assert "secure" in limits.cookie(0, secure=True)
    assert "secure" not in limits.cookie(0, secure=False)


def test_reset_clears_all_counts_except_requests_in_flight() -> None:
    """A reset gives a full budget."""
    limits = limits_of(Clock(), "requests=1,concurrency=1")
    running = limits.admit("u", 0)
    limits.reset()
    assert refusal(limits).limit == "concurrency"
    limits.settle(running, 1)
    run(limits)


@pytest.mark.parametrize("text", ["requests", "speed=1", "requests=many"])
def test_invalid_settings_are_refused(text: str) -> None:
    """Unknown names, and values that are no numbers."""
    with pytest.raises(ValueError):
        LimitSettings.parse(text)


def test_no_limits_at_all() -> None:
    """`none` accepts every request."""
    limits = limits_of(Clock(), "none")
    for _ in range(200):
        limits.admit("u", 0)
    assert limits.headers("u", 0) == {"x-ms-dop-hint": "7"}


def test_the_time_model_charges_requests_and_rows() -> None:
    """One figure is for all operations; latency is not the server's work."""
    model = TimeModel.parse(40, "2")
    assert model.latency == 0.04
    assert model.execution({"upsert": 100, "read": 5}) == pytest.approx(0.21)
    several = TimeModel.parse(0, "create=3, read=0.5")
    assert several.execution({"create": 10, "read": 10, "delete": 10}) == pytest.approx(0.035)
    assert TimeModel.parse(0, "0").is_instant
    for wrong in ("-1", "fly=1", "x"):
        with pytest.raises(ValueError):
            TimeModel.parse(0, wrong)


@settings(max_examples=60, deadline=None)
@given(
    budget=st.integers(1, 8),
    window=st.integers(1, 30),
    clients=st.integers(1, 4),
    pauses=st.lists(st.floats(0, 3), min_size=20, max_size=80),
)
def test_no_window_has_more_than_its_budget_and_obeying_clients_get_no_penalty(
    budget: int, window: int, clients: int, pauses: list[float]
) -> None:
    """For any sequence of requests; a client that obeys Retry-After waits no longer than one window."""
    clock = Clock()
    limits = limits_of(clock, f"requests={budget},window={window}")
    admitted: list[float] = []
    waits: list[int] = []
    free_at = [clock.now] * clients
    for turn, pause in enumerate(pauses):
        clock.now = max(clock.now, *free_at) + pause  # Every client that got Retry-After has waited.
        try:
            run(limits)
            admitted.append(clock.now)
        except ThrottledError as error:
            waits.append(error.wait)
            free_at[turn % clients] = clock.now + error.wait
    assert max(waits, default=0) <= window
    for first in admitted:
        assert sum(first <= moment < first + window for moment in admitted) <= budget
