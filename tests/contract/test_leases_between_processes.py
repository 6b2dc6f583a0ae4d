"""Leases where they matter: between processes, and when one dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.state import Lease, StateStore
from shared.state.machine import since_boot
from tests.contract.lease_worker import HELD_SECONDS, NAME, TURNS, opened
from tests.waiting import until_true

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", pytest.param("azure", marks=pytest.mark.azurite)])
def store_name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store that several processes can open."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    return str(request.getfixturevalue("storage_account"))


@pytest.fixture
def store(store_name: str) -> Iterator[StateStore]:
    state = opened(store_name)
    yield state
    state.close()


def start(store_name: str, folder: Path, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contract.lease_worker", store_name, str(folder), mode]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_processes_never_hold_a_lease_at_once(store_name: str, tmp_path: Path) -> None:
    """Each turn is seen by the next, and every turn has a fencing number of its own."""
    (tmp_path / "counter").write_text("0")
    workers = [start(store_name, tmp_path, "count") for _ in range(2)]
    said = [worker.communicate(timeout=100)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert int((tmp_path / "counter").read_text()) == 2 * TURNS
    fences = sorted(int(fence) for line in said for fence in line.split())
    assert fences == list(range(fences[0], fences[0] + 2 * TURNS))


def test_a_killed_holder_loses_its_lease_when_it_expires(store: StateStore, store_name: str, tmp_path: Path) -> None:
    """Not before, and what the dead one might still send is refused by its fencing number."""
    with start(store_name, tmp_path, "hold") as holder:
        assert holder.stdout is not None
        fence, asked = holder.stdout.readline().split()
        holder.kill()
    got: list[Lease] = []

    def taken() -> bool:
        got.extend(filter(None, [store.acquire_lease(NAME, holder="next", seconds=3000)]))
        return bool(got)

    until_true(taken)
    assert since_boot() - float(asked) >= HELD_SECONDS
    (lease,) = got
    assert lease.fence == int(fence) + 1
    assert store.set_watermark("contended", "mine", fence=lease.fence)
    assert not store.set_watermark("contended", "from the dead", fence=int(fence))
    assert store.watermark("contended") == "mine"


def test_a_process_killed_while_it_writes_leaves_a_store_that_works(
    store: StateStore, tmp_path: Path, store_name: str
) -> None:
    """Whatever moment it dies at, others go on at once with what was committed."""
    (tmp_path / "counter").write_text("0")
    worker = start(store_name, tmp_path, "count")
    until_true(lambda: (tmp_path / "counter").read_text() not in ("", "0"))
    worker.kill()
    worker.communicate()
    store.set_watermark("other", "still here", fence=1)
    assert store.watermark("other") == "still here"
    assert store.acquire_lease("sync/other", holder="me", seconds=1) is not None
