"""The event hub's function: thin, and quick to import."""

from __future__ import annotations

from typing import List  # noqa: UP035 - the runtime's loader takes `list[...]` for no type at all

import azure.functions as func

__all__ = ["blueprint"]

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped


# Data type binary: with none the host parses each body as JSON, and one bad body loses the batch before this code runs.
# The retry policy holds the partition; it is reached only when Dataverse or the state store is unavailable.
@blueprint.function_name("event_sync")
@blueprint.event_hub_message_trigger(
    arg_name="events",
    event_hub_name="%EVENT_HUB_NAME%",
    consumer_group="%EVENT_HUB_CONSUMER_GROUP%",
    connection="EventHubConnection",
    cardinality=func.Cardinality.MANY,
    data_type=func.DataType.BINARY,
)
@blueprint.retry(
    strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:05", maximum_interval="00:05:00"
)
def event_sync(events: List[func.EventHubEvent]) -> None:  # noqa: UP006 - see the import
    """Apply a batch of one partition's events, in order."""
    # A cold start does not load the core until the first event.
    from event_sync.handling import handle  # noqa: PLC0415 - see above

    handle(events)
