"""The names of the columns that the rules for dropped and returning records set."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from shared.definitions.models import Expire, SetColumns, SyncBehaviour, SyncDefinition

__all__ = ["STATE", "STATUS", "both_halves", "mark_names", "readable_names"]

STATE: Final = "statecode"
STATUS: Final = "statuscode"
# The service sets one of the two with the other one.
_HALVES: Final = frozenset({STATE, STATUS})


def both_halves(names: Collection[str]) -> frozenset[str]:
    """The same names, and the state and the status reason if one of the two is among them."""
    return frozenset(names) | (frozenset() if _HALVES.isdisjoint(names) else _HALVES)


def mark_names(behaviour: SyncBehaviour) -> tuple[str, ...]:
    """The columns that the rules for dropped and returning records read or write, each once."""
    behaviour = behaviour.as_written
    return tuple(dict.fromkeys((*_dropped_names(behaviour), *_returned_names(behaviour))))


def readable_names(definition: SyncDefinition) -> list[str]:
    """What a condition or an expression of `set` may read of a record: `target.<column>`, each once."""
    mapped = (mapping.target for mapping in definition.destination.mappings)
    return [f"target.{name}" for name in dict.fromkeys((*mapped, *mark_names(definition.sync_behaviour)))]


def _dropped_names(behaviour: SyncBehaviour) -> tuple[str, ...]:
    """The columns that mark a dropped record; empty where it is deleted or left alone."""
    match behaviour.dropped:
        case "deactivate":
            return (STATE,)
        case Expire(expire=column):
            return (column,)
        case SetColumns(columns=columns):
            return tuple(columns)
    return ()


def _returned_names(behaviour: SyncBehaviour) -> tuple[str, ...]:
    match behaviour.returned:
        case SetColumns(columns=columns):
            return tuple(columns)
        case "reactivate":
            return _dropped_names(behaviour)
    return ()
