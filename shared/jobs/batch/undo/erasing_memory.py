"""Erasing a record from what is kept of a target between runs: the ledger, the entries of events, and the mirror.

A part that cannot be read may have the record. It is removed whole: a damaged ledger or mirror counts as lost anyway,
and the next run begins a new one. So are parts that do not count any more, which a run has left that died.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import RetryLater
from shared.memory import DamagedError, Manifest, fetched, new_part, parquet_of, reading_parts, renamed
from shared.memory.entries import without_values
from shared.reconcile.undo.erase import in_ledger_query, in_mirror_query, ledger_without, mirror_columns_query
from shared.state import StateStore
from shared.workspace import Workspace

__all__ = ["MemoryEraser"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEraser:
    """Looks for a record in what is kept of the target of a sync.

    Attributes:
        state: What is kept.
        key: The values of the record's key in their order, or its id.
        ids: The ids of the record, as far as they are known.
        workspace: Reads one part after the other.
    """

    state: StateStore
    key: Sequence[str]
    ids: set[str]
    workspace: Workspace

    def keeps(self, sync: str) -> bool:
        """Whether there is a ledger or a mirror of a sync, or what is left of one."""
        if self.state.mirror(sync) is not None or self.state.ledger(sync) is not None:
            return True
        return bool(self.state.mirror_parts(sync) or self.state.ledger_parts(sync))

    def in_ledger(self, sync: str, fence: int, *, apply: bool) -> int:
        """How many records with values a ledger has, and how many parts that cannot be read.

        To be called under the lease of the sync.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us; somebody has changed the ledger.
        """
        if not self.ids:
            return 0
        head = self.state.ledger(sync)
        left = list(head.parts) if head else [new_part("")]  # a name without a part: the ledger counts as lost
        found = 0
        for part in self.state.ledger_parts(sync):
            count, other = self._in_ledger_part(sync, part, apply=apply and part in left)
            found += count
            left = [other if name == part else name for name in left]
        if found and apply:  # this removes the parts that it does not name
            _swapped(sync, self.state.swap_ledger(sync, left, expected=head, fence=fence))
        return found

    def _in_ledger_part(self, sync: str, part: str, *, apply: bool) -> tuple[int, str]:
        """What there is of the record in a part, and the name of the part that takes its place.

        It has the turn of the old one: what events have noted of other records since stays later than their rows.
        """
        ids, other = sorted(self.ids), renamed(part)
        try:
            file = fetched(self.state, sync, part, self.workspace.folder)
            with _removed(file), reading_parts():
                ((count,),) = self.workspace.query(in_ledger_query(file), [ids])
                new = parquet_of(self.workspace, ledger_without(file), [ids, ids]) if count and apply else None
        except DamagedError:
            return 1, other  # nothing is kept under this name: without one of its parts, the ledger counts as lost
        if new is None:
            return count, part
        self.state.put_ledger_part(sync, other, new)
        return count, other

    def in_entries(self, sync: str, *, apply: bool) -> int:
        """How many records have values in what events have noted.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us; events are writing the record.
        """
        entries = self.state.ledger_entries(sync, sorted(self.ids)) if self.ids else {}
        emptied = {
            record: replace(entry, text=text)
            for record, entry in entries.items()
            if (text := without_values(entry.text)) is not None
        }
        if apply and emptied and len(self.state.put_ledger_entries(sync, emptied)) < len(emptied):
            raise RetryLater(f"events of {sync} are writing the record: try again", retry_after=1)
        return len(emptied)

    def in_mirror(self, sync: str, fence: int, *, apply: bool) -> int:
        """Whether a mirror has the record, or a part that cannot be read: 1 or 0; to be called under the lease.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us; somebody has changed the mirror.
        """
        head = self.state.mirror(sync)
        manifest = Manifest.read_text(head.manifest) if head else None
        found = any(self._in_mirror_part(sync, part, manifest) for part in self.state.mirror_parts(sync))
        if found and apply:
            _swapped(sync, self.state.swap_mirror(sync, "", (), expected=head, fence=fence))
        return int(found)

    def _in_mirror_part(self, sync: str, part: str, manifest: Manifest | None) -> bool:
        file = self.workspace.folder / f"{uuid.uuid4().hex}.parquet"
        try:
            with _removed(file), reading_parts():
                if not self.state.mirror_part(sync, part, file):
                    return False
                if manifest is not None and not manifest.is_as_written(part, file):
                    return True
                columns = {str(name): str(kind) for name, kind in self.workspace.query(mirror_columns_query(file))}
                query, wanted = in_mirror_query(file, columns), [list(self.key), sorted(self.ids)]
                return bool(self.workspace.query(query, wanted)[0][0])
        except DamagedError:
            return True


@contextmanager
def _removed(file: Path) -> Iterator[None]:
    """Remove a file after the block: the workspace reads many parts."""
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _swapped(sync: str, head: object) -> None:
    """Stop where somebody else was faster: what is left is found by the next call."""
    if head is None:
        raise RetryLater(f"what is kept of {sync} was changed meanwhile: try again", retry_after=1)
