"""Events into a hub through Microsoft's client: by key, in order, and in batches that the hub takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.eventhub import EventDataBatch
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventDataSendError, EventHubError
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.app.event_hub.sending import EventHub
from shared.errors import AbortRun, RetryLater, UserError
from shared.jobs.real_time.intake import AcceptedEvent

MOST = 3_000  # bytes of a batch


class Client:
    """The client's two methods, with the SDK's own batches; what was sent is kept by partition key."""

    def __init__(self, fails: Callable[[], None] = lambda: None) -> None:
        self.sent: list[tuple[str | None, list[str]]] = []
        self._fails = fails

    def create_batch(self, *, partition_key: str | None) -> EventDataBatch:
        self._fails()
        return EventDataBatch(max_size_in_bytes=MOST, partition_key=partition_key)

    def send_batch(self, batch: EventDataBatch) -> None:
        events: list[Any] = list(batch._internal_events)
        key: Any = batch._partition_key
        self.sent.append((key, [event.properties["event_id"] for event in events]))


def hub(client: Client) -> EventHub:
    made: Any = client
    return EventHub(made)


@settings(max_examples=30)
@given(events=st.lists(st.tuples(st.sampled_from(["", "a", "b"]), st.integers(0, 2_000)), max_size=20))
def test_each_event_is_sent_once_and_those_of_a_key_keep_their_order(events: list[tuple[str, int]]) -> None:
    """However many batches they take."""
    sent = [AcceptedEvent(id=str(number), key=key, body=b"x" * size) for number, (key, size) in enumerate(events)]
    client = Client()
    hub(client).send(sent)
    for key in ("", "a", "b"):
        got = [name for found, names in client.sent if found == (key or None) for name in names]
        assert got == [each.id for each in sent if each.key == key]


def test_an_event_that_no_batch_takes_is_refused() -> None:
    """With its size."""
    with pytest.raises(UserError, match="an event of 5,000 bytes is larger"):
        hub(Client()).send([AcceptedEvent(id="1", key="a", body=b"x" * 5_000)])


def test_a_hub_that_is_unavailable_is_tried_later() -> None:
    """Without the SDK's own words, which may name the host."""

    def fail() -> None:
        raise ConnectError("no route to my-namespace")

    with pytest.raises(RetryLater, match="not available: ConnectError"):
        hub(Client(fail)).send([AcceptedEvent(id="1", key="a", body=b"x")])


def of_service(kind: type[EventHubError], condition: str) -> EventHubError:
    """An error as the SDK makes it of the service's answer."""
    error = kind("said by my-namespace")
    error.error = condition
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            of_service(AuthenticationError, "unauthorized-access"),
            "give its identity the role Azure Event Hubs Data Send",
        ),
        (of_service(EventDataSendError, "unauthorized-access"), "or the key of EventHubConnection the right Send"),
        (of_service(ConnectError, "not-found"), "no event hub of this name: check EVENT_HUB_NAME"),
        (ClientAuthenticationError("no token"), "the identity of the app cannot sign in"),
    ],
)
def test_what_the_hub_refuses_for_good_is_no_outage(error: Exception, said: str) -> None:
    """Whoever sends again would do so without end; the message says what to do."""

    def fail() -> None:
        raise error

    with pytest.raises(AbortRun, match=said):
        hub(Client(fail)).send([AcceptedEvent(id="1", key="a", body=b"x")])


def test_an_answer_that_did_not_come_is_no_refusal() -> None:
    """The SDK has the same class for it."""

    def fail() -> None:
        raise of_service(AuthenticationError, "internal-error")

    with pytest.raises(RetryLater):
        hub(Client(fail)).send([AcceptedEvent(id="1", key="a", body=b"x")])


def test_a_long_message_key_is_a_partition_key_too() -> None:
    """A hub takes keys of a bounded length; events of one key still follow each other, and others are apart."""
    client = Client()
    keys = ["x" * 300 + end for end in ("a", "b", "a")]
    hub(client).send([AcceptedEvent(id=str(number), key=key, body=b"x") for number, key in enumerate(keys)])
    assert [names for _, names in client.sent] == [["0", "2"], ["1"]]
    assert len({key for key, _ in client.sent}) == 2
    assert all(key and len(key) <= 128 for key, _ in client.sent)
