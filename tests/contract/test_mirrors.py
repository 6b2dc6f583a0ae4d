"""What every state store promises of mirrors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.entities import MirrorHead
from shared.jobs.summary import MirrorFigures
from shared.state import StateStore
from tests.mirror_world import TEXT, Sync, edit, transport

SYNC = "customers"


@pytest.fixture
def store(open_store: Callable[[], StateStore]) -> StateStore:
    return open_store()


class Files:
    """Parts of a mirror as files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, store: StateStore, name: str, sync: str = SYNC) -> None:
        file = self._folder / name
        file.write_bytes(name.encode() * 1000)
        store.put_mirror_part(sync, name, file)
        file.unlink()

    def got(self, store: StateStore, name: str, sync: str = SYNC) -> bytes | None:
        file = self._folder / "got"
        file.unlink(missing_ok=True)
        return file.read_bytes() if store.mirror_part(sync, name, file) else None

    def swapped(
        self, store: StateStore, *parts: str, expected: MirrorHead | None = None, fence: int = 1, sync: str = SYNC
    ) -> MirrorHead:
        """Put parts, and swap."""
        for name in parts:
            self.put(store, name, sync)
        head = store.swap_mirror(sync, f"of {','.join(parts)}", parts, expected=expected, fence=fence)
        assert head is not None
        return head


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "parts"
    folder.mkdir()
    return Files(folder)


def test_a_sync_has_no_mirror_before_the_first_swap(store: StateStore, files: Files) -> None:
    """A part alone is none, and a part that is not there is not found."""
    assert store.mirror(SYNC) is None
    files.put(store, "a")
    assert store.mirror(SYNC) is None
    assert files.got(store, "b") is None


def test_a_swap_is_seen_by_other_processes(
    store: StateStore, open_store: Callable[[], StateStore], files: Files
) -> None:
    """Its manifest, its parts in their order, with their bytes; the mirrors of other syncs are theirs."""
    head = files.swapped(store, "b", "a", fence=3)
    theirs = files.swapped(store, "a", sync="others")
    other = open_store()
    assert other.mirror(SYNC) == head
    assert other.mirror("others") == theirs
    assert (head.manifest, head.parts, head.fence) == ("of b,a", ("b", "a"), 3)
    assert files.got(other, "a") == b"a" * 1000
    assert files.got(other, "b", "others") is None


def test_a_mirror_that_was_swapped_since_it_was_read_is_not_swapped(
    store: StateStore, open_store: Callable[[], StateStore], files: Files
) -> None:
    """The second of two writers is refused, also where there was no mirror, and also if it writes the same."""
    first = files.swapped(store, "a")
    assert store.swap_mirror(SYNC, "of x", ("x",), expected=None, fence=1) is None
    second = files.swapped(open_store(), "a", "b", expected=first)
    third = store.swap_mirror(SYNC, second.manifest, second.parts, expected=second, fence=1)
    assert third is not None
    assert store.swap_mirror(SYNC, "of a", ("a",), expected=second, fence=1) is None
    assert store.mirror(SYNC) == third
    assert files.got(store, "b") == b"b" * 1000


def test_a_holder_of_an_older_lease_cannot_swap(store: StateStore, files: Files) -> None:
    """Its fencing number is lower than that of the last swap."""
    head = files.swapped(store, "a", fence=5)
    assert store.swap_mirror(SYNC, "of x", ("x",), expected=head, fence=4) is None
    assert store.mirror(SYNC) == head
    assert store.swap_mirror(SYNC, "of a", ("a",), expected=head, fence=5) is not None


def test_parts_that_no_longer_count_are_removed(store: StateStore, files: Files) -> None:
    """Those that a swap leaves out, and those that a run had put there before it died."""
    head = files.swapped(store, "a", "b")
    files.put(store, "lost")
    assert store.mirror_parts(SYNC) == ("a", "b", "lost")
    files.swapped(store, "c", expected=head)
    assert [files.got(store, name) is not None for name in ("a", "b", "lost", "c")] == [False, False, False, True]
    assert (store.mirror_parts(SYNC), store.mirror_parts("others")) == (("c",), ())


def test_a_mirror_that_no_run_has_swapped_for_long_is_removed(store: StateStore, files: Files) -> None:
    """With its parts; one that is in use stays, and a new one can be begun."""
    head = files.swapped(store, "a")
    now = datetime.now(UTC)
    assert store.prune(now - timedelta(days=1), limit=10).mirrors == 0
    assert store.mirror(SYNC) == head
    assert store.prune(now + timedelta(days=1), limit=10).mirrors == 1
    assert store.mirror(SYNC) is None
    assert files.got(store, "a") is None
    files.swapped(store, "b")


def test_runs_read_by_way_of_a_mirror(open_store: Callable[[], StateStore]) -> None:
    """Each in a process of its own; what others have changed is read again."""
    transport().reset()
    rows = {str(number): f"text {number}" for number in range(8)}
    for _ in range(2):
        Sync(open_store()).run(rows)
    edit("1", {TEXT: "theirs"})
    edit("2", None)
    done = Sync(open_store()).equal_run(rows)
    assert done.mirror == MirrorFigures(read="changes", kept=True, changed=1, removed=1)
    assert (done.updated.done, done.created.done) == (1, 1)
