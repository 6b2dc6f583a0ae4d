"""What needs a person, with the page where it is dealt with."""

from __future__ import annotations

from dataclasses import dataclass

from shared.views.status import Need, NeedKind

__all__ = ["UNCLAIMED", "ShownNeed", "shown_need"]

UNCLAIMED = "/real-time/_unclaimed"
"""The page of the events that no listener takes; no sync can have its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownNeed:
    """One thing that needs a person.

    Attributes:
        sync: The sync; empty for what is about none.
        text: What it is.
        link: The page that shows more of it.
        label: What a person does there.
    """

    sync: str
    text: str
    link: str
    label: str


def shown_need(need: Need) -> ShownNeed:
    """A need as the pages show it."""
    link, label = _place(need)
    return ShownNeed(sync=need.sync, text=need.text, link=link, label=label)


def _place(need: Need) -> tuple[str, str]:
    match need.kind:
        case NeedKind.RUN:
            return f"/runs/{need.run_id}", "See the run"
        case NeedKind.DEAD_LETTERS:
            return f"/real-time/{need.sync}", "See the dead letters"
        case NeedKind.UNCLAIMED:
            return UNCLAIMED, "See the events"
        case NeedKind.CHECKPOINT:
            return "/real-time", "See the partitions"
        case NeedKind.DEFINITION:
            return f"/syncs/{need.sync}", "See the mistakes"
        case NeedKind.SCHEDULE | NeedKind.PAUSE:
            return f"/syncs/{need.sync}", "See the sync"
