"""What is odd about listeners together."""

from __future__ import annotations

from shared.definitions import SyncDefinition, load_definition
from shared.definitions.reference.example import EXAMPLE
from shared.views.listeners import listener_warnings

LOADED = load_definition(EXAMPLE)


def sync(name: str, **match: str) -> SyncDefinition:
    assert LOADED.listener is not None
    topic = LOADED.listener.topic.model_copy(update={"match": match})
    listener = LOADED.listener.model_copy(update={"topic": topic})
    return LOADED.model_copy(update={"name": name, "listener": listener})


def test_a_listener_that_takes_the_events_of_others_is_warned_of() -> None:
    """It has no `match`, and another sync listens to the hub; alone it may take all."""
    silent = LOADED.model_copy(update={"name": "batch", "listener": None})
    assert listener_warnings([sync("all"), silent]) == ()
    assert listener_warnings([sync("a", type="a"), sync("b", type="b")]) == ()
    (warning,) = listener_warnings([sync("all"), sync("b", type="b"), silent])
    assert warning.startswith("all: its listener has no `match`")
    assert "also those for b." in warning
