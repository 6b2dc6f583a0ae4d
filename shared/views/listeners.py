"""Warnings about several listeners together; each definition alone has no mistake."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # only named here: `--help` need not wait for the definitions to load
    from shared.definitions import SyncDefinition

__all__ = ["listener_warnings"]


def listener_warnings(definitions: Iterable[SyncDefinition]) -> tuple[str, ...]:
    """Listeners that take every event of a hub that other syncs listen to as well."""
    listening = [each for each in definitions if each.listener is not None and each.listener.enabled]
    if len(listening) < 2:  # noqa: PLR2004 - one sync alone may take every event
        return ()
    return tuple(
        f"{each.name}: its listener has no `match`, so it takes every event of the hub, also those for "
        f"{', '.join(other.name for other in listening if other is not each)}. Set listener.topic.match"
        for each in listening
        if each.listener is not None and not each.listener.topic.match
    )
