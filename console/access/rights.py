"""What a person may do with a sync."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from console.access.person import ADMIN, Person
from shared.definitions.models import Permissions

__all__ = ["Level", "levels_of"]


class Level(StrEnum):
    """The levels of `permissions`."""

    ADMIN = "admin"
    EXECUTE = "execute"
    WRITE = "write"
    READ = "read"


_ALL: Final = frozenset(Level)


def levels_of(person: Person, permissions: Permissions | None) -> frozenset[Level]:
    """What a person may do; empty where the sync does not exist for them.

    Args:
        person: Who asks.
        permissions: Of the definition; None where its definition cannot be read.
    """
    if person.has(ADMIN):
        return _ALL
    found = frozenset(_entered(person, permissions)) if permissions else frozenset[Level]()
    return _ALL if Level.ADMIN in found else found


def _entered(person: Person, permissions: Permissions) -> Iterator[Level]:
    for level in Level:
        entries: tuple[str, ...] = getattr(permissions, level.value)
        if any(person.has(entry) for entry in entries):
            yield level
