"""What a tick reports of the events that wait in the event hub."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pytest

import batch_sync.waiting
from batch_sync.pool import LocalQueue
from batch_sync.tick import Tick
from batch_sync.waiting import WaitingReport
from shared.app import App, open_app
from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.waiting import PartitionState, PartitionWaiting
from shared.app.wiring import Wiring
from shared.errors import RetryLater, UserError
from tests.event_hubs import hub_of, refusing_hub, slow_hub, with_hub
from tests.functions.conftest import NIGHTLY, World
from tests.functions.test_event_sync import listen

KNOWN, AHEAD, UNKNOWN = PartitionState.KNOWN, PartitionState.AHEAD, PartitionState.UNKNOWN
WARNING = "How many events wait in the event hub is not known: "
REFUSED = f"{WARNING}the event hub refuses the app: give its identity the role Azure Event Hubs Data Receiver"


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int | None, int]]:
    """What was recorded: events that wait, and partitions that are not read."""
    found: list[tuple[int | None, int]] = []
    monkeypatch.setattr(batch_sync.waiting, "record_waiting", lambda events, unread: found.append((events, unread)))
    return found


@pytest.fixture
def app(world: World) -> App:
    """An app with a sync that listens."""
    listen(world, "live")
    return world.app


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.name == "batch_sync.waiting"]


@pytest.mark.parametrize(
    ("partitions", "expected"),
    [
        ([(5, KNOWN), (0, KNOWN), (7, KNOWN)], (12, 0)),
        ([(0, KNOWN)], (0, 0)),
        ([(5, KNOWN), (None, UNKNOWN), (None, AHEAD)], (5, 1)),
        ([(None, AHEAD), (None, AHEAD)], (None, 2)),
    ],
)
def test_what_waits_is_recorded(
    app: App,
    recorded: list[tuple[int | None, int]],
    partitions: list[tuple[int | None, PartitionState]],
    expected: tuple[int | None, int],
) -> None:
    """The sum of what is known, also where it is 0, and the partitions that are not read."""
    hub = hub_of(*((f"hub/{number}", count, state) for number, (count, state) in enumerate(partitions)))
    WaitingReport().report(with_hub(app, hub))
    assert recorded == [expected]


def test_why_it_is_not_known_is_logged_once(
    app: App, recorded: list[tuple[int | None, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """Until it was known in between."""
    report = WaitingReport()
    for _ in range(3):
        report.report(with_hub(app, refusing_hub()))
    assert (recorded, warnings(caplog)) == ([], [REFUSED])
    for hub in (hub_of(("hub/0", 1, KNOWN)), refusing_hub(), refusing_hub()):
        report.report(with_hub(app, hub))
    assert (recorded, warnings(caplog)) == ([(1, 0)], [REFUSED] * 2)


def test_a_tick_does_not_wait_long_for_a_hub_that_does_not_answer(
    app: App, recorded: list[tuple[int | None, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """The log has this as the reason."""
    report = WaitingReport(patience=0.01)
    with slow_hub() as hub:
        for _ in range(2):
            report.report(with_hub(app, hub))
    assert (recorded, warnings(caplog)) == ([], [f"{WARNING}it has not answered in 0.01 seconds"])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UserError("EventHubConnection is not a connection string"), "EventHubConnection is not a connection string"),
        (RetryLater("the folder is away", retry_after=1), "the folder is away"),
    ],
)
def test_a_hub_that_cannot_be_opened_fails_no_tick(
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    reason: str,
) -> None:
    """The log says once what to do."""

    def opened(_wiring: Wiring) -> Any:
        raise error

    hub = cached_property(opened)
    hub.__set_name__(Wiring, "event_hub")
    monkeypatch.setattr(Wiring, "event_hub", hub)
    report = WaitingReport()
    for _ in range(2):
        report.report(app)
    assert warnings(caplog) == [WARNING + reason]


def test_without_a_listener_no_hub_is_opened(
    world: World,
    recorded: list[tuple[int | None, int]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Although the settings name one."""
    world.define("customers")
    monkeypatch.setattr(Wiring, "event_hub", property(lambda _wiring: pytest.fail("the hub was opened")))
    WaitingReport().report(world.app)
    assert (recorded, warnings(caplog)) == ([], [])


def test_without_a_hub_nothing_is_recorded(
    app: App, recorded: list[tuple[int | None, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """As on a laptop."""
    WaitingReport().report(app)
    assert (recorded, warnings(caplog)) == ([], [])


def test_each_tick_reports_and_runs_what_is_due(
    world: World, recorded: list[tuple[int | None, int]], caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the hub refuses."""
    caplog.set_level(logging.WARNING)
    listen(world, "live")
    world.define("customers", schedule=NIGHTLY)
    app = with_hub(open_app(), refusing_hub())
    Tick(app=app, now=datetime.now(UTC), seconds=None).run()
    assert [run.state for run in app.state.runs("customers")] == ["Succeeded"]
    with_hub(app, hub_of(("hub/0", 3, KNOWN)))
    Tick(app=app, now=datetime.now(UTC), seconds=None).run()
    assert recorded == [(3, 0)]


def test_a_tick_sends_its_jobs_before_it_asks_the_hub(world: World, recorded: list[tuple[int | None, int]]) -> None:
    """A hub that is slow keeps no sync from its start."""
    listen(world, "live")
    world.define("customers", schedule=NIGHTLY)
    app, sent, sent_before = open_app(), list[str](), list[int]()

    class Queue(LocalQueue):
        def send(self, job_id: str, *_delay: Any) -> None:
            sent.append(job_id)

    def read() -> tuple[PartitionWaiting, ...]:
        sent_before.append(len(sent))
        return ()

    app.queue = Queue()
    Tick(app=with_hub(app, WaitingEvents(read)), now=datetime.now(UTC), seconds=None).run()
    assert (sent_before, recorded) == ([1], [(None, 0)])
