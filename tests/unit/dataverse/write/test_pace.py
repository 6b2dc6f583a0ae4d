"""Limits that are reached: a sliding window per user, as the service keeps it."""

from __future__ import annotations

from collections import deque

from shared.dataverse.write.controller import Controller, Deadlocked, RequestAnswered, RequestKind, Throttled, TooLong
from shared.dataverse.write.pace import Pace
from shared.http.transport import Request, Response
from tests.unit.dataverse.simulation import Fault, inserts, world

WINDOW = 10.0


class Window:
    """Execution time in a sliding window; refuses with the service's words and the seconds until there is room."""

    def __init__(self, most_seconds: float, cost: float) -> None:
        self.most, self.cost = most_seconds, cost
        self.entries: deque[tuple[float, float]] = deque()
        self.refused: list[float] = []

    def gate(self, request: Request, now: float) -> Response | None:
        while self.entries and self.entries[0][0] <= now - WINDOW:
            self.entries.popleft()
        if sum(cost for _, cost in self.entries) >= self.most:
            self.refused.append(now)
            return self.refusal(now)
        rows = (request.body or b"").count(b'"@odata.type"')
        self.entries.append((now, 0.03 + rows * self.cost))
        return None

    def refusal(self, now: float) -> Response:
        wait = max(1.0, self.entries[0][0] + WINDOW - now)
        limit = f"{self.most * 1000:,.0f} milliseconds over time window of {WINDOW:.0f} seconds"
        message = f"Combined execution time of incoming requests exceeded limit of {limit}. Decrease number ..."
        body = f'{{"error":{{"code":"0x80072321","message":"{message}"}}}}'.encode()
        return Response(status=429, headers={"retry-after": f"{wait:.0f}"}, body=body)


def test_a_budget_once_shown_is_kept_and_used() -> None:
    """With a binding limit the load runs at 0.9 of what is sustainable, and after the first window hardly a 429 comes."""
    window = Window(most_seconds=40.0, cost=0.001)  # 4 request-seconds a second, as the real service allows
    here = world(gate=window.gate)
    rows = 120_000
    outcomes = here.write(inserts(rows))
    assert len(outcomes) == rows == len(here.memory.records)
    sustainable = rows * (0.001 + 0.03 / 1000) / 4.0
    assert here.memory.clock.seconds <= sustainable / 0.9
    late = [moment for moment in window.refused if moment > 2 * WINDOW]
    assert len(late) <= 0.02 * here.memory.requests.total()


def test_without_a_refusal_nothing_is_held_back() -> None:
    """No budget is assumed before the service names one."""
    pace = Pace()
    for second in range(1000):
        pace.spent(second / 10, 100.0)
    assert pace.free_at(100.0) == 100.0


def test_a_budget_of_requests_is_kept() -> None:
    """After the refusal of the hundredth request within a window, the next waits until the first one has left it."""
    pace = Pace()
    for number in range(100):
        pace.spent(float(number), 0.1)
    pace.exhausted(99.0, "Number of requests exceeded the limit of 90 over time window of 300 seconds.")
    assert pace.free_at(99.0) >= 300.0


def test_a_limit_that_was_named_is_not_tried_out() -> None:
    """Within the windows after a refusal no more is sent than the message says; much later perhaps a little."""
    pace, limit, sent = Pace(), 40, list[float]()
    for number in range(limit):
        pace.spent(number / 100, 0.03)
    pace.exhausted(0.5, f"Number of requests exceeded the limit of {limit} over time window of 10 seconds.")
    now = 0.5
    while now < 80.0:
        now = max(now, pace.free_at(now)) + 0.01
        pace.spent(now, 0.03)
        sent.append(now)
    assert max(sum(at - 10.0 < other <= at for other in sent) for at in sent) <= limit


def settle(controller: Controller, *, at: float, rows: int, seconds: float) -> None:
    controller.observe(RequestAnswered(at=at, kind=RequestKind.CREATE, rows=rows, seconds=seconds))


def test_parallelism_starts_at_the_hint_and_rises_by_one_a_round() -> None:
    """Additive increase, up to the most that is allowed."""
    controller = Controller(parallel=4, most_parallel=6)
    seen = []
    for at in range(30):
        settle(controller, at=float(at), rows=100, seconds=0.1)
        seen.append(controller.parallel)
    assert seen[0] == 4
    assert sorted(set(seen)) == [4, 5, 6]


def test_slower_rows_stop_the_rise() -> None:
    """When rows take longer with more senders, the server is queueing: no more are added."""
    controller = Controller(parallel=4, most_parallel=48)
    for at in range(200):
        settle(controller, at=float(at), rows=controller.rows(RequestKind.CREATE), seconds=0.1 * controller.parallel**2)
    assert controller.parallel <= 8


def test_too_many_concurrent_requests_halve_parallelism_once_for_a_burst() -> None:
    """Refusals of requests that were in flight together count once."""
    controller = Controller(parallel=32, most_parallel=48)
    for number in range(10):
        controller.observe(Throttled(at=1.0 + number / 100, concurrency=True, wait=2.0))
    assert controller.parallel == 16
    assert controller.ready_at(1.5) >= 3.0


def test_the_level_at_which_concurrency_was_refused_is_kept_below() -> None:
    """Additive increase ends one below it, and feels for one more only after a while."""
    controller = Controller(parallel=8, most_parallel=48)
    controller.observe(Throttled(at=1.0, concurrency=True, wait=1.0))
    for at in range(300):
        settle(controller, at=3.0 + at / 10, rows=controller.rows(RequestKind.CREATE), seconds=0.1)
    assert controller.parallel == 7
    for at in range(60):
        settle(controller, at=70.0 + at / 10, rows=controller.rows(RequestKind.CREATE), seconds=0.1)
    assert controller.parallel == 8


def test_rows_follow_the_measured_time() -> None:
    """Fast rows make large requests, slow rows small ones, between the bounds."""
    fast, slow = Controller(parallel=4, most_parallel=4), Controller(parallel=4, most_parallel=4)
    for at in range(20):
        settle(fast, at=float(at), rows=fast.rows(RequestKind.CREATE), seconds=fast.rows(RequestKind.CREATE) * 0.0001)
        settle(slow, at=float(at), rows=slow.rows(RequestKind.CREATE), seconds=slow.rows(RequestKind.CREATE) * 0.08)
    assert fast.rows(RequestKind.CREATE) == 1000
    assert 40 <= slow.rows(RequestKind.CREATE) <= 60
    assert slow.rows(RequestKind.UPDATE) == 100


def test_timeouts_halve_the_rows_and_deadlocks_the_senders() -> None:
    """Each remedy fits its trouble."""
    controller = Controller(parallel=8, most_parallel=8)
    controller.observe(TooLong(at=0.0, kind=RequestKind.CREATE, rows=100))
    assert (controller.rows(RequestKind.CREATE), controller.parallel) == (50, 8)
    controller.observe(Deadlocked(at=0.0))
    assert (controller.rows(RequestKind.CREATE), controller.parallel) == (50, 4)


REFUSED = "Number of requests exceeded the limit of 15 over time window of 300 seconds."


def test_what_was_under_way_at_a_refusal_and_accepted_counts_for_the_budget() -> None:
    """Several servers take more than one of them names: what was accepted within a window proves it."""
    pace = Pace()
    for number in range(30):
        pace.spent(number / 10, 0.1)
    pace.exhausted(3.0, REFUSED)
    for number in range(15):
        pace.spent(3.0 + number / 10, 0.1)
    pace.spent(301.0, 0.1)  # ten have left the window
    assert pace.free_at(301.0) == 301.0


def test_a_level_that_was_refused_is_felt_for_only_now_and_then() -> None:
    """Each refusal pauses every sender, so the budget stays below the last one for ten windows."""
    pace = Pace()
    for number in range(100):
        pace.spent(float(number), 0.1)
    pace.exhausted(99.0, REFUSED)
    pace.exhausted(400.0, REFUSED)  # 100 was too much once more: 95 from now on

    def room(now: float) -> int:
        """Requests that may be sent at once into an empty window."""
        pace.free_at(now)
        count = 0
        while pace.free_at(now) <= now and count < 200:
            pace.spent(now, 0.1)
            count += 1
        return count

    rooms = [room(400.0 + window * 301) for window in range(1, 12)]
    assert max(rooms[:9]) < 100
    assert rooms[-1] >= 100


def test_where_requests_are_scarce_the_last_rows_are_not_shared_out() -> None:
    """Requests go full until the end once their number is what limits."""
    throttle = Fault(kind="status", status=429, code="0x80072322", message=REFUSED, headers={"retry-after": "1"})
    here = world(parallel=8, faults=[throttle])
    assert len(here.write(inserts(20_000))) == 20_000
    scarce, plain = here.memory.carried[-8:], world(parallel=8)
    plain.write(inserts(20_000))
    assert min(scarce[:-1]) == 1000
    assert min(plain.memory.carried[-8:]) < 500


def test_quick_rows_go_together() -> None:
    """A request should take 20 ms at least: many rows where a row takes none, one where a row alone takes longer."""
    quick, slow = Controller(parallel=8, most_parallel=8), Controller(parallel=8, most_parallel=8)
    assert quick.fewest(RequestKind.UPDATE) == 1
    quick.observe(RequestAnswered(at=1.0, kind=RequestKind.UPDATE, rows=20, seconds=0.01))
    slow.observe(RequestAnswered(at=1.0, kind=RequestKind.UPDATE, rows=20, seconds=1.0))
    assert (quick.fewest(RequestKind.UPDATE), slow.fewest(RequestKind.UPDATE)) == (40, 1)
    assert quick.fewest(RequestKind.CREATE) == 1


def test_a_server_that_queues_does_not_look_slow() -> None:
    """What counts is the best time of a row: with many requests in flight each waits for the others."""
    controller = Controller(parallel=8, most_parallel=8)
    for seconds in (0.01, 0.2, 0.3):
        controller.observe(RequestAnswered(at=1.0, kind=RequestKind.UPDATE, rows=20, seconds=seconds))
    assert controller.fewest(RequestKind.UPDATE) == 40


def test_where_requests_are_scarce_each_is_filled() -> None:
    """After a limit on requests was reached, rows are not spread over more requests than needed."""
    controller = Controller(parallel=8, most_parallel=8)
    message = "Number of requests exceeded the limit of 6,000 over time window of 300 seconds."
    controller.observe(Throttled(at=1.0, concurrency=False, wait=1.0, message=message))
    assert controller.fewest(RequestKind.UPDATE) == controller.rows(RequestKind.UPDATE)
