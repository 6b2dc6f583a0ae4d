"""Every kind of source has a class that reads it."""

from __future__ import annotations

from importlib import import_module

import pytest

from shared.definitions.models import EventsSource
from shared.definitions.models.sources import KINDS
from shared.errors import UserError
from shared.sources import SourceContext, open_source
from shared.sources.registry import READERS


def test_every_kind_has_a_reader() -> None:
    """Except events, which the listener gives."""
    assert {*READERS} == {*KINDS.values()} - {EventsSource}
    assert all(callable(getattr(import_module(module), name)) for module, name in READERS.values())


def test_events_are_not_read_by_a_batch() -> None:
    """The message says where they come from."""
    source = EventsSource.model_validate({"type": "events", "columns": [{"name": "a"}]})
    with pytest.raises(UserError, match="gets its rows from the listener"):
        open_source(source, SourceContext())
