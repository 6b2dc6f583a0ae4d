"""The hub that the settings name, and its client."""

from __future__ import annotations

import pytest
from azure.eventhub import EventHubProducerClient

from shared.app.event_hub.client import hub_address
from shared.app.event_hub.opening import open_event_hub
from shared.app.event_hub.sending import EventHub
from shared.errors import UserError
from shared.settings import Settings

KEY = "SharedAccessKeyName=k;SharedAccessKey=eA=="
CONNECTION = f"Endpoint=sb://n.servicebus.windows.net/;{KEY}"


def test_without_a_namespace_there_is_no_hub() -> None:
    """A laptop applies events itself; with one, Microsoft's client is opened at the first event."""
    refused = pytest.fail
    assert open_event_hub(Settings.load({}), refused, refused) is None
    opened = open_event_hub(Settings.load({"EventHubConnection": CONNECTION}), refused, refused)
    assert opened is not None
    assert isinstance(opened.sender, EventHub)
    assert isinstance(opened.sender._client, EventHubProducerClient)


@pytest.mark.parametrize(
    ("values", "namespace", "hub"),
    [
        ({"EventHubConnection__fullyQualifiedNamespace": "n.example"}, "n.example", "dynamics-sync"),
        ({"EventHubConnection": CONNECTION, "EVENT_HUB_NAME": "mine"}, "n.servicebus.windows.net", "mine"),
        ({"EventHubConnection": f"{CONNECTION};EntityPath=theirs"}, "n.servicebus.windows.net", "theirs"),
        ({"EventHubConnection": f"endpoint=sb://localhost:5672;{KEY};UseDevelopmentEmulator=true;"}, "localhost",
         "dynamics-sync"),
    ],
)  # fmt: skip
def test_the_hub_is_the_one_that_the_host_reads(values: dict[str, str], namespace: str, hub: str) -> None:
    """A hub in the connection string comes first."""
    settings = Settings.load(values)
    found = hub_address(settings)
    assert found is not None
    assert (found.namespace, found.hub) == (namespace, hub)
    opened = open_event_hub(settings, object, pytest.fail)  # type: ignore[arg-type]  # a credential is not used here
    assert opened is not None
    assert isinstance(opened.sender, EventHub)
    assert opened.sender._client.eventhub_name == hub


@pytest.mark.parametrize(
    "text",
    [
        "no-connection-string",
        "Endpoint=",
        "Endpoint=sb://n.example",
        "Endpoint=sb://[n.example",
        "SharedAccessKey=secret",
    ],
)
def test_what_is_no_connection_string_is_said(text: str) -> None:
    """Without the text, which may have a key."""
    with pytest.raises(UserError, match="EventHubConnection is not a connection string") as caught:
        open_event_hub(Settings.load({"EventHubConnection": text}), pytest.fail, pytest.fail)
    assert text not in caught.value.message
