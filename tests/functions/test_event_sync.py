"""The event hub's function in Microsoft's runtime: fired with the host's messages, events change records in Dataverse."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from event_sync import handling
from event_sync.receiving import received
from shared.app import App, current
from shared.errors import RetryLater
from shared.jobs.real_time.events import replay
from shared.settings import Settings
from tests.api_server import Reply, serving
from tests.functions.conftest import ACCOUNTS, World
from tests.functions.host import FunctionsHost, Invocation
from tests.functions.payloads import ENQUEUED, Event, events, timer
from tests.store_in_front import StoreInFront, failing
from tests.unit.events.avro.samples import container

pytestmark = pytest.mark.runtime

LISTENING = (
    """
name: {name}
source:
  type: events
"""
    + ACCOUNTS
    + """sync_behaviour: {{sync_key: [accountnumber], dropped: delete}}
listener:
  name: {name} events
  auto_offset_reset: earliest
  topic: {topic}
"""
)


def listen(world: World, name: str = "customers", **topic: Any) -> None:
    """Write a sync that listens."""
    server = world.emulator
    text = LISTENING.format(
        name=name,
        service_url=server.service_url,
        tenant_id=server.tenant_id,
        client_id=server.client_id,
        topic=json.dumps({"action": "$.op", **topic}),
    )
    (world.folder / "syncs" / f"{name}.yaml").write_text(text)


def body(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def fire(
    host: FunctionsHost,
    *bodies: Any,
    properties: Sequence[Mapping[str, Any]] = (),
    enqueued: datetime = ENQUEUED,
    **where: Any,
) -> Invocation:
    """Fire the function with a batch."""
    batch = [
        Event(
            body=body(value),
            properties=properties[index] if index < len(properties) else {},
            enqueued=enqueued,
        )
        for index, value in enumerate(bodies)
    ]
    return host.fire("event_sync", events(batch, **where))


def applied(host: FunctionsHost, *bodies: Any, **given: Any) -> None:
    invocation = fire(host, *bodies, **given)
    assert invocation.succeeded, invocation.error + invocation.trace


class TestTrigger:
    def test_the_binding_is_binary_and_takes_batches(self, host: FunctionsHost) -> None:
        """Only binary bodies cannot lose a batch before our code runs; names come from settings."""
        (binding,) = host.bindings("event_sync")
        assert binding["type"] == "eventHubTrigger"
        assert (binding["cardinality"].lower(), binding["dataType"].lower()) == ("many", "binary")
        assert (binding["eventHubName"], binding["consumerGroup"]) == ("%EVENT_HUB_NAME%", "%EVENT_HUB_CONSUMER_GROUP%")
        assert binding["connection"] == "EventHubConnection"

    def test_the_host_retries_without_end(self, host: FunctionsHost) -> None:
        """The partition stays where it is until Dataverse is back, asked every five seconds to five minutes."""
        assert host.retry_policy("event_sync") == {
            "strategy": "exponential_backoff",
            "count": -1,
            "minimum": 5,
            "maximum": 300,
        }


class TestBatches:
    def test_events_change_records(self, host: FunctionsHost, world: World) -> None:
        """A batch takes effect in order; a later one finds what the first left."""
        listen(world)
        applied(host, {"op": "c", "number": "A", "name": "one"}, {"op": "c", "number": "B", "name": "two"})
        applied(host, {"op": "u", "number": "A", "name": "uno"}, {"op": "d", "number": "B"}, first=2)
        assert world.accounts() == {"A": "uno"}

    def test_the_last_event_of_a_partition_is_noted_with_the_time_that_it_has_waited(
        self, host: FunctionsHost, world: World
    ) -> None:
        """From what the host gives beside the events: it does not say how many more the partition has."""
        listen(world)
        enqueued = datetime.now(UTC) - timedelta(hours=1)
        applied(host, {"op": "c", "number": "A"}, {"op": "c", "number": "B"}, first=8, partition="3", enqueued=enqueued)
        (run,) = world.app.state.runs("customers")
        (name, last), *others = run.counts["partitions"].items()
        assert (name, last["sequence"], others) == ("dynamics-sync/3", 9, [])
        assert datetime.fromisoformat(last["enqueued"]) == enqueued
        assert 3600 <= last["lag"] < 7200

    def test_a_batch_given_again_changes_nothing(self, host: FunctionsHost, world: World) -> None:
        """The host delivers at least once."""
        listen(world)
        applied(host, {"op": "c", "number": "A", "name": "one"})
        applied(host, {"op": "u", "number": "A", "name": "two"}, first=1)
        applied(host, {"op": "c", "number": "A", "name": "one"}, {"op": "u", "number": "A", "name": "two"})
        applied(host, {"op": "c", "number": "A", "name": "one"})
        assert world.accounts() == {"A": "two"}

    def test_the_offset_does_not_identify_an_event(self, host: FunctionsHost, world: World) -> None:
        """Every event may say -1: they are known by partition and sequence number."""
        listen(world)
        applied(host, {"op": "c", "number": "A"}, {"op": "c", "number": "B"}, b"", b"", offset="-1", partition="7")
        assert set(world.accounts()) == {"A", "B"}
        assert [(letter.partition, letter.sequence, letter.offset) for letter in world.app.state.dead_letters()] == [
            ("7", 2, "-1"),
            ("7", 3, "-1"),
        ]

    def test_properties_come_by_index(self, host: FunctionsHost, world: World) -> None:
        """Each event has its own application properties."""
        listen(world, match={"type": "customer"})
        properties = [{"type": "other"}, {"type": "customer"}, {}]
        applied(host, *({"op": "c", "number": number} for number in "ABC"), properties=properties)
        assert set(world.accounts()) == {"B"}

    def test_a_binary_cloudevent_has_its_attributes_in_properties(self, host: FunctionsHost, world: World) -> None:
        """The body is the record alone."""
        listen(world, format="cloudevents", action=None)
        attributes = {"cloudEvents:specversion": "1.0", "cloudEvents:type": "customer.created"}
        applied(host, {"number": "A", "name": "one"}, properties=[attributes])
        assert world.accounts() == {"A": "one"}

    def test_a_definition_that_changes_is_followed(self, host: FunctionsHost, world: World) -> None:
        """A listener that is disabled takes no more events, and events that no listener takes are kept."""
        listen(world)
        path = world.folder / "syncs" / "customers.yaml"
        path.write_text(path.read_text() + "  status: disabled\n")
        applied(host, {"op": "c", "number": "A"})
        assert world.accounts() == {}
        assert [letter.error for letter in world.app.state.dead_letters()] == ["Unclaimed"]

    def test_an_event_is_kept_for_a_definition_that_cannot_be_read(self, host: FunctionsHost, world: World) -> None:
        """Also if another listener takes it. When the file is corrected, `replay` gives it to the listener of the file."""
        listen(world)
        listen(world, "others", records="$.other")
        path = world.folder / "syncs" / "others.yaml"
        text = path.read_text()
        path.write_text(text.replace("listener:", "listenr:"))
        applied(host, {"op": "c", "number": "A", "name": "one", "other": {"number": "B", "name": "two"}})
        assert world.accounts() == {"A": "one"}
        assert [letter.error for letter in world.app.state.dead_letters()] == ["Unclaimed"]
        path.write_text(text)
        current.cache_clear()  # as after a start of another instance
        assert replay(world.app.state.dead_letters(), world.app.listeners(), world.app.event_tools).settled == 1
        assert (world.accounts(), world.app.state.dead_letters()) == ({"A": "one", "B": "two"}, ())


class TestBeginning:
    def _latest(self, world: World) -> None:
        listen(world)
        path = world.folder / "syncs" / "customers.yaml"
        path.write_text(path.read_text().replace("auto_offset_reset: earliest", "auto_offset_reset: latest"))

    def test_events_from_before_the_tick_that_saw_the_listener_are_skipped(
        self, host: FunctionsHost, world: World
    ) -> None:
        """The host reads the hub from its start; the timer's moment decides, also in another process."""
        self._latest(world)
        assert host.fire("batch_sync", timer()).succeeded
        seen = datetime.fromisoformat(world.app.state.watermark("listener/customers") or "")
        before, after = seen - timedelta(seconds=1), seen + timedelta(seconds=1)
        current.cache_clear()  # as after a start of another instance
        applied(host, {"op": "c", "number": "A"}, {"op": "c", "number": "B"}, enqueued=before)
        applied(host, {"op": "c", "number": "C"}, b"", first=2, enqueued=after)
        assert set(world.accounts()) == {"C"}
        assert [letter.sequence for letter in world.app.state.dead_letters()] == [3]
        counted = Counter[str]()
        for run in world.app.state.runs("customers"):  # a new hour has a row of its own
            counted.update({name: run.counts.get(name, 0) for name in ("before_listening", "insert")})
        assert counted == {"before_listening": 2, "insert": 1}

    def test_without_a_tick_the_first_invocation_sees_the_listener(self, host: FunctionsHost, world: World) -> None:
        """What the hub has by then is skipped, and what comes later is taken."""
        self._latest(world)
        now = datetime.now(UTC)
        applied(host, {"op": "c", "number": "A"}, enqueued=now - timedelta(minutes=1))
        assert datetime.fromisoformat(world.app.state.watermark("listener/customers") or "") >= now
        applied(host, {"op": "c", "number": "B"}, first=1, enqueued=datetime.now(UTC) + timedelta(seconds=1))
        assert set(world.accounts()) == {"B"}

    @pytest.mark.parametrize("compressed", [False, True])
    def test_avro_is_read_as_the_host_gives_it(self, host: FunctionsHost, world: World, *, compressed: bool) -> None:
        """The bodies' bytes are unchanged, and AMQP's content encoding is among the system properties."""
        listen(world, format="avro")
        schema = {"type": "record", "name": "R", "fields": [
            {"name": each, "type": "string"} for each in ("op", "number", "name")]}  # fmt: skip
        body_ = container(
            schema, [{"op": "c", "number": "A", "name": "one"}, {"op": "c", "number": "B", "name": "two"}]
        )
        system = {"content-encoding": "deflate"} if compressed else {}
        event = Event(body=zlib.compress(body_) if compressed else body_, system=system)
        invocation = host.fire("event_sync", events([event]))
        assert invocation.succeeded, invocation.trace
        assert world.accounts() == {"A": "one", "B": "two"}


class TestPoison:
    @pytest.mark.parametrize(
        "poison",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
            pytest.param(b"{", id="not JSON"),
            pytest.param(b"[1, 2]", id="wrong shape"),
            pytest.param(b"x" * 1_048_576, id="a megabyte"),
            pytest.param({"op": "c", "number": "P" * 101}, id="refused row"),
        ],
    )
    def test_a_poison_message_is_kept_with_its_reason(self, host: FunctionsHost, world: World, poison: Any) -> None:
        """The function returns, the rest of the batch takes effect, and the event waits in the store as it came."""
        listen(world)
        applied(host, {"op": "c", "number": "A"}, poison, {"op": "c", "number": "B"})
        assert set(world.accounts()) == {"A", "B"}
        letters = world.app.state.dead_letters()
        assert {letter.sequence for letter in letters} == {1}
        assert letters[0].body == body(poison)
        assert letters[0].message


class TestAway:
    def test_dataverse_away_fails_the_invocation_and_the_retry_takes_effect_once(
        self, host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only then does the function throw; nothing is lost and nothing doubled."""
        listen(world)
        monkeypatch.setattr("shared.clock.time.sleep", lambda _: None)
        world.emulator.faults({"action": "status", "status": 503, "times": 10_000})
        batch = ({"op": "c", "number": "A", "name": "one"}, b"")
        assert "RetryLater" in fire(host, *batch).trace
        assert world.app.state.dead_letters() == ()
        world.emulator.clear_faults()
        applied(host, *batch)
        applied(host, *batch)
        assert world.accounts() == {"A": "one"}
        assert len(world.app.state.dead_letters()) == 1

    def test_an_identity_without_a_token_now_fails_the_invocation(
        self, host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The events are as they should be, so none is a dead letter; they come again."""
        listen(world)
        sync = world.folder / "syncs" / "customers.yaml"
        by_identity = sync.read_text().replace("client_secret: {env: DATAVERSE_SECRET}", "auth: managed_identity")
        sync.write_text(by_identity)
        replies = [Reply(status=500, body={"statusCode": 500, "message": "busy"})]
        with serving(lambda _: replies[0]) as endpoint:
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/token")
            monkeypatch.setenv("IDENTITY_HEADER", "header")
            monkeypatch.setattr("shared.clock.time.sleep", lambda _: None)
            assert "answered 500" in fire(host, {"op": "c", "number": "A"}).trace
            assert world.app.state.dead_letters() == ()
            token = {"access_token": world.emulator.token(), "expires_on": "4102444800", "token_type": "Bearer"}
            replies[:] = [Reply(body=token)]
            current.cache_clear()  # msal repeats the answer of an endpoint in trouble for a minute
            applied(host, {"op": "c", "number": "A"})
        assert set(world.accounts()) == {"A"}

    def test_an_instance_without_room_for_a_workspace_fails_the_invocation(
        self, host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No event is the cause: none is a dead letter, and they take effect as soon as there is room."""
        listen(world)
        room = world.folder / "workspaces"
        room.mkdir()
        monkeypatch.setenv("WORKSPACE_TEMP", str(room))
        current.cache_clear()
        assert world.app.runnable()
        room.rmdir()
        batch = ({"op": "c", "number": "A"}, {"op": "c", "number": "B"})
        assert "no temporary folder can be made" in fire(host, *batch).trace
        assert world.app.state.dead_letters() == ()
        room.mkdir()
        applied(host, *batch)
        assert set(world.accounts()) == {"A", "B"}

    def test_the_state_store_away_fails_the_invocation(
        self, host: FunctionsHost, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What cannot be remembered is not settled."""
        listen(world)
        store = StoreInFront(world.app.state)
        monkeypatch.setattr("shared.app.process.open_app", lambda: App(Settings.load(), state=store))
        current.cache_clear()
        with store.acting(add_dead_letters=failing(RetryLater("the state store is unavailable", retry_after=5))):
            assert not fire(host, b"", {"op": "c", "number": "A"}).succeeded
            assert store.calls["add_dead_letters"]
        applied(host, b"", {"op": "c", "number": "A"})
        assert (set(world.accounts()), len(world.app.state.dead_letters())) == ({"A"}, 1)


class TestReceiving:
    class HostEvent:
        """An event whose host says as little as it can."""

        sequence_number = 3
        offset = None
        partition_key = None
        enqueued_time: datetime | None = None
        metadata: Mapping[str, Any] | None = None

        def get_body(self) -> bytes:
            return b"{}"

    def test_an_event_without_metadata_is_processed(self) -> None:
        """A host that sends none still delivers bodies and numbers."""
        (message,) = received([self.HostEvent()])
        assert (message.body, message.sequence, message.offset, message.stream) == (b"{}", 3, "", "")

    def test_times_without_a_zone_are_utc(self) -> None:
        """The host writes .NET times of unspecified kind."""
        event = self.HostEvent()
        event.enqueued_time = datetime(2026, 1, 1, 12)  # noqa: DTZ001 - as the host gives it
        assert received([event])[0].enqueued == datetime(2026, 1, 1, 12, tzinfo=UTC)
        event.enqueued_time = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(hours=1)
        assert received([event])[0].enqueued == datetime(2026, 1, 1, 13, tzinfo=UTC)

    def test_metadata_is_read_by_index(self) -> None:
        """Hub, partition, properties and content type stand beside the bodies."""
        event = self.HostEvent()
        event.metadata = {
            "PartitionContext": {"PartitionId": "4", "EventHubName": "hub"},
            "PropertiesArray": [{"a": 1, "Content-Type": "text/plain"}, "odd"],
            "SystemPropertiesArray": [{"content-type": "application/json"}],
        }
        first, second, third = received([event, event, event])
        assert (first.stream, first.properties["a"], first.content_type) == ("hub/4", 1, "application/json")
        assert (second.properties, second.content_type, third.properties) == ({}, "", {})

    def test_no_events_are_no_messages(self) -> None:
        """An empty batch is nothing."""
        assert received([]) == []


def test_tools_outlive_an_invocation(world: World) -> None:
    """Connections, metadata and open workspaces are kept as long as the app is."""
    assert world.app.event_tools is world.app.event_tools


@dataclass(frozen=True)
class Handed:
    """An event as the host's library gives it."""

    sequence_number: int
    enqueued_time: datetime
    offset: str = "-1"
    partition_key: str | None = None
    metadata: Mapping[str, Any] | None = None

    def get_body(self) -> bytes:
        return json.dumps({"op": "c", "number": f"N{self.sequence_number}"}).encode()


def test_the_lag_of_a_batch_is_that_of_its_first_event(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a time without the app, one batch may have all that came in it, and its last event is new."""
    told: list[float] = []
    monkeypatch.setattr(handling, "current", lambda: world.app)
    monkeypatch.setattr(handling, "_keep_what_is_loaded", lambda: None)
    monkeypatch.setattr(handling, "record_events", lambda *_, lag_seconds, **__: told.append(lag_seconds))
    listen(world)
    now = datetime.now(UTC).replace(tzinfo=None)
    handling.handle([Handed(n, now - timedelta(minutes=40 - 20 * n)) for n in range(3)])
    assert told == [pytest.approx(2400, abs=60)]
    assert world.accounts().keys() == {"N0", "N1", "N2"}
