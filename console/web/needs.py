"""What a person needs for a route."""

from __future__ import annotations

from enum import Enum, auto

from console.access.person import ADMIN, CREATE, SEND_EVENTS, Person
from console.access.rights import Level
from console.web.refusals import Refusal, not_found

__all__ = ["Need", "check"]


class Need(Enum):
    """What a route asks of whoever calls it.

    Attributes:
        NOTHING: Everybody, also without a sign-in: style, script, health.
        SIGNED_IN: Whoever is signed in; what is shown depends on the person.
        EVERYTHING: The app role `Sync.Admin`.
        CREATE: The app role `Sync.Create`, or `Sync.Admin`.
        SEND_EVENTS: The app role `events.send`, or `Sync.Admin`.
        SOME: Any right to the sync that the path names.
        READ: The right to see values of its rows.
        EXECUTE: The right to run it.
        WRITE: The right to change it.
        WRITE_OR_EXECUTE: One of these two rights.
        ADMIN: The right to change all of it.
    """

    NOTHING = auto()
    SIGNED_IN = auto()
    EVERYTHING = auto()
    CREATE = auto()
    SEND_EVENTS = auto()
    SOME = auto()
    READ = auto()
    EXECUTE = auto()
    WRITE = auto()
    WRITE_OR_EXECUTE = auto()
    ADMIN = auto()

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of `permissions`, one of which is enough; none where another rule decides."""
        if self is Need.WRITE_OR_EXECUTE:
            return Level.WRITE, Level.EXECUTE
        return (Level[self.name],) if self.name in Level.__members__ else ()

    @property
    def is_about_a_sync(self) -> bool:
        """Whether the path names a sync, a run or a job."""
        return self is Need.SOME or bool(self.levels)


_ROLES = {Need.EVERYTHING: (ADMIN,), Need.CREATE: (CREATE, ADMIN), Need.SEND_EVENTS: (SEND_EVENTS, ADMIN)}


def check(need: Need, person: Person, levels: frozenset[Level]) -> None:
    """Let a person pass, or refuse.

    Args:
        need: Of the route.
        person: Who calls it.
        levels: What they may do with the sync of the path; empty for a route without one.

    Raises:
        Refusal: They may not.
    """
    if need in _ROLES and not any(person.has(role) for role in _ROLES[need]):
        raise Refusal(403, "Not allowed", f"This needs the app role {_ROLES[need][0]}.")
    if not need.is_about_a_sync:
        return
    if not levels:
        raise _without_groups() if person.groups_missing else not_found()
    if need.levels and levels.isdisjoint(need.levels):
        named = " or ".join(f"`{level}`" for level in need.levels)
        raise Refusal(403, "Not allowed", f"This needs the right {named} to the sync.")


def _without_groups() -> Refusal:
    return Refusal(
        403,
        "Too many groups",
        "You are in more than 200 groups, so the sign-in names none of them. Ask for an app role, and for its entry in "
        "the permissions of the sync.",
    )
