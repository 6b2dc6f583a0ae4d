"""The audit log as a person may see it, page by page."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from console.audit.differences import Line, differences, lines_of_diff
from shared.state import AuditEntry, StateStore

__all__ = ["ON_A_PAGE", "Page", "ShownEntry", "page_of"]

ON_A_PAGE: Final = 25
_ASKED_APART: Final = 8  # syncs whose entries are asked for one by one; of more, the log of all is looked through
_LOOKED_THROUGH: Final = 500  # entries of all syncs
_SHORT: Final = 200  # characters of a text that is shown as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """One thing that a person did.

    Attributes:
        lines: What it changed, where that is more than a few words.
    """

    entry: AuditEntry
    lines: tuple[Line, ...]

    @property
    def is_short(self) -> bool:
        """Whether before and after are a few words each."""
        return not self.lines

    @property
    def job(self) -> Mapping[str, Any]:
        """The job that was asked for: its id as `job`, its `parameters`, and `force`; empty for other entries."""
        try:
            found: Any = json.loads(self.entry.after)
        except ValueError:
            return {}
        # What people save is kept as they wrote it: it may look like this, with anything in it.
        is_job = isinstance(found, dict) and isinstance(found.get("job"), str)
        return found if is_job and isinstance(found.get("parameters", {}), dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the audit log.

    Attributes:
        entries: The newest first.
        older: Before which moment the next page begins; None where there are no older entries.
    """

    entries: tuple[AuditEntry, ...]
    older: datetime | None

    def shown(self) -> tuple[ShownEntry, ...]:
        """The entries with what they changed."""
        return tuple(ShownEntry(entry=entry, lines=_changed(entry)) for entry in self.entries)


def page_of(state: StateStore, syncs: Collection[str] | None, before: datetime | None) -> Page:
    """A page of the log.

    Args:
        state: The state store.
        syncs: The only syncs whose entries are shown; None for everything.
        before: Only entries from before it; None for the latest.

    Raises:
        RetryLater: The state store is away.
    """
    if syncs is None:
        return _cut(state.audit(None, ON_A_PAGE + 1, before=before))
    if len(syncs) <= _ASKED_APART:
        found = [entry for sync in syncs for entry in state.audit(sync, ON_A_PAGE + 1, before=before)]
        return _cut(sorted(found, key=lambda entry: entry.at, reverse=True))
    searched = state.audit(None, _LOOKED_THROUGH, before=before)
    page = _cut([entry for entry in searched if entry.sync in syncs])
    if page.older is None and len(searched) == _LOOKED_THROUGH:
        return Page(entries=page.entries, older=searched[-1].at)
    return page


def _cut(entries: Collection[AuditEntry]) -> Page:
    first = tuple(entries)[:ON_A_PAGE]
    return Page(entries=first, older=first[-1].at if len(entries) > ON_A_PAGE else None)


def _changed(entry: AuditEntry) -> tuple[Line, ...]:
    if max(len(entry.before), len(entry.after)) <= _SHORT and "\n" not in entry.before + entry.after:
        return ()
    noted = lines_of_diff(entry.after)
    return differences(entry.before, entry.after) if noted is None else noted
