"""Service protection on a simulated clock: who is refused, with which words, and for how long."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.policies.limits import Limits, LimitSettings, ThrottledError
from emulator.policies.timing import TimeModel


class Clock:
    """Time that passes when told to."""

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
    """The window slides: each request makes room for one again when it is as old as the window."""
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


def test_concurrency_is_refused_at_once_and_free_again_at_once() -> None:
    """The 53rd request at the same time is refused; when one ends, another may come."""
    limits = limits_of(Clock(), "concurrency=52")
    running = [limits.admit("u", 0) for _ in range(52)]
    error = refusal(limits)
    assert (error.code, error.wait) == ("0x80072326", 1)
    assert error.message == "Number of concurrent requests exceeded the limit of 52."
    limits.settle(running.pop(), 0.1)
    run(limits)


def test_users_and_servers_have_their_own_budgets() -> None:
    """A limit is one user's on one server."""
    limits = limits_of(Clock(), "requests=1", servers=2)
    for user, server in (("a", 0), ("a", 1), ("b", 0)):
        run(limits, user, server)
        assert refusal(limits, user, server).status == 429


def test_a_client_that_waits_as_told_is_never_told_to_wait_longer() -> None:
    """Obeying Retry-After, every refusal names the wait of the window alone."""
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
    """Hammering makes Retry-After grow, and holds even after the window would have let the client in."""
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


def test_requests_that_were_under_way_do_not_count_as_hammering() -> None:
    """Fifty parallel requests refused at once have ignored nothing."""
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


def test_the_affinity_cookie_pins_a_client_to_its_server() -> None:
    """Without the cookie servers take turns; with it the same one answers."""
    limits = limits_of(Clock(), "none", servers=3)
    assert sorted(limits.server_for({}) for _ in range(6)) == [0, 0, 1, 1, 2, 2]
    name, _, value = limits.cookie(2, secure=False).partition(";")[0].partition("=")
    assert [limits.server_for({name: value}) for _ in range(4)] == [2] * 4
    assert "secure" in limits.cookie(0, secure=True)
    assert "secure" not in limits.cookie(0, secure=False)


def test_reset_forgives_everything_but_requests_under_way() -> None:
    """A reset gives a full budget back."""
    limits = limits_of(Clock(), "requests=1,concurrency=1")
    running = limits.admit("u", 0)
    limits.reset()
    assert refusal(limits).limit == "concurrency"
    limits.settle(running, 1)
    run(limits)


@pytest.mark.parametrize("text", ["requests", "speed=1", "requests=many"])
def test_settings_that_make_no_sense_are_refused(text: str) -> None:
    """Unknown names and values that are no numbers."""
    with pytest.raises(ValueError):
        LimitSettings.parse(text)


def test_no_limits_at_all() -> None:
    """`none` admits whatever comes."""
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
def test_no_window_holds_more_than_its_budget_and_obedience_is_never_punished(
    budget: int, window: int, clients: int, pauses: list[float]
) -> None:
    """However requests arrive, no window admits more than its budget, and who waits as told waits no window longer."""
    clock = Clock()
    limits = limits_of(clock, f"requests={budget},window={window}")
    admitted: list[float] = []
    waits: list[int] = []
    free_at = [clock.now] * clients
    for turn, pause in enumerate(pauses):
        clock.now = max(clock.now, *free_at) + pause  # Everyone who was told to wait has waited.
        try:
            run(limits)
            admitted.append(clock.now)
        except ThrottledError as error:
            waits.append(error.wait)
            free_at[turn % clients] = clock.now + error.wait
    assert max(waits, default=0) <= window
    for first in admitted:
        assert sum(first <= moment < first + window for moment in admitted) <= budget
