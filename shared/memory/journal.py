"""The journal of one run: Parquet files that its workspace writes, and reads when the run is undone or looked at.

What the journal is about is kept last of all that comes before the first write. So a journal without it is one of a run
that changed nothing: its process died, or it was refused something, while it made the journal.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from shared.errors import UserError
from shared.memory.damage import DamagedError, is_sound, reading_parts
from shared.memory.parts import parquet_of
from shared.workspace import Workspace, writing

__all__ = ["ROWS_IN_A_PART", "DamagedJournalError", "Journal", "JournalStore", "of_kinds"]

ROWS_IN_A_PART: Final = 100_000
"""A part is held in memory once: about 10 MB with values of common length."""
_ABOUT: Final = "about.json"
_PARTS: Final = "parts"  # the member that names the parts; journals of earlier versions have none


class DamagedJournalError(UserError):
    """A part of a journal is missing, or cannot be read.

    Attributes:
        parts: The names of such parts, as far as they are known.
    """

    def __init__(self, message: str, *, parts: Sequence[str]) -> None:
        super().__init__(message)
        self.parts = tuple(parts)


class JournalStore(Protocol):
    """Keeps journals; the state stores do."""

    def put_journal_part(self, run_id: str, name: str, data: bytes) -> None:
        """Keep a part. The same name again replaces it."""
        ...

    def journal_part(self, run_id: str, name: str) -> bytes | None:
        """One part; None where it is missing."""
        ...

    def journal_parts(self, run_id: str) -> tuple[str, ...]:
        """The names of the parts, sorted; none where the run has no journal."""
        ...


class Journal:
    """Reads and writes the journal of a run.

    Args:
        store: Keeps it.
        run_id: The run.
        sync: The sync of the run, for messages; empty where nothing is read.
    """

    def __init__(self, store: JournalStore, run_id: str, sync: str = "") -> None:
        self._store = store
        self._run_id = run_id
        self._sync = sync

    @property
    def begun(self) -> bool:
        """Whether the run may have written anything; False also where it has no journal.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        return _ABOUT in self._store.journal_parts(self._run_id)

    def put_about(self, about: Mapping[str, Any]) -> None:
        """Keep what the journal is about, as JSON values, when all that comes before the first write is kept.

        The names of the parts that are kept by now are added: so it is noticed if one of them is lost.
        """
        parts = [name for name in self._store.journal_parts(self._run_id) if name != _ABOUT]
        self._store.put_journal_part(self._run_id, _ABOUT, json.dumps({**about, _PARTS: parts}).encode())

    def check_parts(self, about: Mapping[str, Any]) -> None:
        """Refuse a journal that has lost a part: what its other parts say would be wrong.

        Args:
            about: What the journal is about.

        Raises:
            DamagedJournalError: A part is missing.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        named = about.get(_PARTS)
        kept = self._store.journal_parts(self._run_id)
        if missing := [str(name) for name in named if name not in kept] if isinstance(named, list) else []:
            raise self._damaged(*missing)

    def about(self) -> Mapping[str, Any] | None:
        """What the journal is about; None where the run has no journal.

        Raises:
            DamagedJournalError: It cannot be read.
        """
        data = self._store.journal_part(self._run_id, _ABOUT)
        if data is None:
            return None
        try:
            found = json.loads(data)
        except ValueError as error:
            raise self._damaged(_ABOUT) from error
        if not isinstance(found, dict):
            raise self._damaged(_ABOUT)
        return found

    def put(self, workspace: Workspace, kind: str, number: int, query: str) -> None:
        """Keep the rows of a query as one part, in the place of one that is there; without rows it is a part too.

        Args:
            workspace: The run's database, which writes the file.
            kind: What the rows are, in letters.
            number: Of the part among those of its kind.
            query: SQL; its rows have to fit into one part.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self._store.put_journal_part(self._run_id, f"{kind}-{number:05}.parquet", parquet_of(workspace, query))

    @contextmanager
    def reading(self, workspace: Workspace, *, without: Collection[str] = ()) -> Iterator[Mapping[str, Path]]:
        """Put the parts into the folder of a workspace, for statements over them in the block.

        Args:
            workspace: Reads them; afterwards it can be used for another journal.
            without: Names of parts that are left out.

        Returns:
            The parts by name, in their order.

        Raises:
            DamagedJournalError: A part is missing, or the statements cannot read it.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        files: dict[str, Path] = {}
        try:
            for name in self._store.journal_parts(self._run_id):
                if name != _ABOUT and name not in without:
                    files[name] = workspace.folder / f"{uuid.uuid4().hex}.parquet"
                    self._fetch(name, files[name])
            with reading_parts():
                yield files
        except DamagedError as error:  # only now is each part read for itself: a whole journal is read once
            raise self._damaged(*(name for name, file in files.items() if not is_sound(workspace, file))) from error
        finally:
            for file in files.values():
                file.unlink(missing_ok=True)

    def _fetch(self, name: str, file: Path) -> None:
        data = self._store.journal_part(self._run_id, name)
        if data is None:
            raise self._damaged(name)
        with writing(file.parent):
            file.write_bytes(data)

    def replace(self, name: str, data: bytes) -> None:
        """Put another Parquet file into the place of a part."""
        self._store.put_journal_part(self._run_id, name, data)

    def _damaged(self, *parts: str) -> DamagedJournalError:
        of = f" of {self._sync}" if self._sync else ""
        which = ", ".join(parts) or "one of its parts"
        return DamagedJournalError(
            f"the journal of run {self._run_id}{of} is damaged: {which} is missing or cannot be read. Restore it from "
            "a backup of the state store: without it the run cannot be undone, and its changes cannot be shown",
            parts=parts,
        )


def of_kinds(files: Mapping[str, Path]) -> Mapping[str, Sequence[Path]]:
    """The files of each kind of part, in their order.

    Args:
        files: Parts by name.
    """
    found: dict[str, list[Path]] = {}
    for name, file in files.items():
        found.setdefault(name.partition("-")[0], []).append(file)
    return found
