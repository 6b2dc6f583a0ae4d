"""The mirror of one sync during one run: its manifest, its files, and the swap under the sync's lease.

A mirror is a cache. It consists of a base, which a read of the whole table made, of the changes since, and of the delta
link that belongs to them. Where many records have changed, the base is written anew.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

import duckdb

from shared.entities import MirrorHead, MirrorStore
from shared.errors import UserError
from shared.memory.mirror_tables import MirrorTables
from shared.workspace import OutOfTimeError, Table, Workspace

__all__ = ["Manifest", "Mirror", "MirrorLostError"]

_FORMAT: Final = 2
_MOST_CHANGES: Final = 8  # files: each is opened in every run
_FEW_ROWS: Final = 10_000
_SHARE: Final = 0.1  # of changed records, from which on the base is written anew


class MirrorLostError(Exception):
    """A part is missing, or cannot be read or written; the message says what."""


@contextmanager
def _usable(trouble: str) -> Iterator[None]:
    """Errors of statements over the files, such as a full disk: the run goes on without them, unless its time is over.

    Raises:
        MirrorLostError: With this text.
    """
    try:
        yield
    except OutOfTimeError:
        raise
    except (duckdb.Error, UserError) as error:
        raise MirrorLostError(trouble) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a mirror is.

    Attributes:
        of: What it belongs to, as a digest: environment, users, table, filter, columns.
        link: The delta link from which its changes go on.
        read: When the whole table was read.
        base: Name of the part with the base.
        changes: Names of the parts with changes, the oldest first.
        rows: How many records it has.
        changed: How many rows the parts with changes have.
        last: The highest `_seq`.
        digests: SHA-256 of each part, in the order of `parts`. A part is read while the run goes on, so one that is
            damaged must be found before.
    """

    of: str
    link: str
    read: datetime
    base: str
    changes: tuple[str, ...] = ()
    rows: int = 0
    changed: int = 0
    last: int = 0
    digests: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of all parts."""
        return (self.base, *self.changes)

    def is_as_written(self, part: str, file: Path) -> bool:
        """Whether a file is the part of this name; of a part that the manifest does not name this is not known."""
        digests = dict(zip(self.parts, self.digests, strict=True))
        return part not in digests or _digest(file) == digests[part]

    def to_text(self) -> str:
        """As the store keeps it."""
        return json.dumps({**asdict(self), "read": self.read.isoformat(), "format": _FORMAT})

    @classmethod
    def read_text(cls, text: str) -> Self | None:
        """The manifest that a text has; None where it has none of this version of the program."""
        try:
            values = json.loads(text)
            if values.pop("format") != _FORMAT:
                return None
            values |= {"read": datetime.fromisoformat(values["read"])}
            values |= {name: tuple(map(str, values[name])) for name in ("changes", "digests")}
            found = cls(**values)
            numbers = (found.rows, found.changed, found.last)
            texts = (found.of, found.link, found.base)
        except (AttributeError, LookupError, TypeError, ValueError):
            return None
        sound = all(isinstance(each, int) for each in numbers) and all(isinstance(each, str) for each in texts)
        sound = sound and len(found.digests) == len(found.parts)
        return found if sound and found.read.tzinfo is not None else None


class Mirror:
    """Reads and writes the mirror of a sync.

    Args:
        store: Keeps it.
        sync: Name of the sync.
        tables: The SQL of its files.
        workspace: The run's database, with the table `current`.
    """

    def __init__(self, store: MirrorStore, sync: str, tables: MirrorTables, workspace: Workspace) -> None:
        self._store = store
        self._sync = sync
        self._tables = tables
        self._workspace = workspace
        self._head: MirrorHead | None = None
        self._files: dict[str, Path] = {}

    def manifest(self) -> Manifest | None:
        """What the mirror is; None where there is none.

        Raises:
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self._head = self._store.mirror(self._sync)
        return Manifest.read_text(self._head.manifest) if self._head else None

    def load(self, manifest: Manifest) -> None:
        """Let `current`, which is an empty table, show the records; it stays as it is where the mirror is lost.

        Raises:
            MirrorLostError: A part is missing or cannot be read.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self._fetch(manifest)
        base, changes = self._paths(manifest)
        with _usable("a part is damaged"):
            ((rows,),) = self._workspace.query(self._tables.count(base, changes))
        if rows != manifest.rows:
            raise MirrorLostError("it does not have the records that its manifest names")
        self._run(self._tables.show(base, changes))

    def show_changes(self, manifest: Manifest) -> None:
        """Let `current` show the table of changes too; see `load`."""
        self._run(self._tables.show(*self._paths(manifest), changed=True))

    def store(self) -> None:
        """Let `current` be a table, from which rows can be removed; see `load`."""
        self._run(self._tables.store())

    def _run(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self._workspace.execute(statement)

    def difference(self, manifest: Manifest) -> int:
        """How many records differ between the mirror and `current`, without those that the service lists as changed.

        Raises:
            MirrorLostError: A part is missing or cannot be read.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        self._fetch(manifest)
        with _usable("a part is damaged"):
            ((found,),) = self._workspace.query(self._tables.difference(*self._paths(manifest)))
        return int(found)

    def keep_whole(self, manifest: Manifest, *, fence: int) -> bool:
        """Let `current` be the base.

        Args:
            manifest: What it is; its parts and figures are filled in here.
            fence: Fencing number of the lease of the sync.

        Returns:
            Whether it was kept: False where another run has swapped the mirror.

        Raises:
            MirrorLostError: A part cannot be written.
            RetryLater, AbortRun: The state store is unavailable, or refuses us.
        """
        base = self._written(self._tables.whole_file)
        ((rows, last),) = self._workspace.query(f"SELECT count(*), coalesce(max(_seq), 0) FROM {Table.CURRENT}")
        digests = (_digest(self._files[base]),)
        whole = replace(manifest, base=base, changes=(), rows=rows, changed=0, last=last, digests=digests)
        return self._swap(whole, [base], fence)

    def keep_changes(self, manifest: Manifest, *, fence: int) -> bool:
        """Add the table of changes, which `current` has already; see `keep_whole`.

        Args:
            manifest: What the mirror was, with the new delta link.
            fence: Fencing number of the lease of the sync.
        """
        ((added, last),) = self._workspace.query(f"SELECT count(*), max(_seq) FROM {Table.MIRROR_CHANGES}")
        if not added:
            return self._swap(manifest, [], fence)
        changed = manifest.changed + added
        if len(manifest.changes) == _MOST_CHANGES or changed > max(_FEW_ROWS, _SHARE * manifest.rows):
            return self.keep_whole(manifest, fence=fence)
        ((rows,),) = self._workspace.query(f"SELECT count(*) FROM {Table.CURRENT}")
        part = self._written(self._tables.changes_file)
        whole = replace(
            manifest,
            changes=(*manifest.changes, part),
            rows=rows,
            changed=changed,
            last=max(manifest.last, last),
            digests=(*manifest.digests, _digest(self._files[part])),
        )
        return self._swap(whole, [part], fence)

    def _written(self, statement: Callable[[Path], str]) -> str:
        name = f"{uuid.uuid4().hex}.parquet"
        self._files[name] = file = self._workspace.folder / name
        with _usable("a part cannot be written"):
            self._workspace.execute(statement(file))
        return name

    def _swap(self, manifest: Manifest, added: Sequence[str], fence: int) -> bool:
        for name in added:
            self._store.put_mirror_part(self._sync, name, self._files[name])
        head = self._store.swap_mirror(self._sync, manifest.to_text(), manifest.parts, expected=self._head, fence=fence)
        self._head = head or self._head
        return head is not None

    def _fetch(self, manifest: Manifest) -> None:
        for name, digest in zip(manifest.parts, manifest.digests, strict=True):
            if name in self._files:
                continue
            file = self._workspace.folder / f"{uuid.uuid4().hex}.parquet"
            if not self._store.mirror_part(self._sync, name, file):
                raise MirrorLostError("a part is missing")
            if _digest(file) != digest:
                raise MirrorLostError("a part is damaged")
            self._files[name] = file

    def _paths(self, manifest: Manifest) -> tuple[Path, list[Path]]:
        return self._files[manifest.base], [self._files[name] for name in manifest.changes]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
