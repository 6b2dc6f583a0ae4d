"""A process that was killed leaves its temporary folder behind; the next one removes it, and no other."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from shared.workspace import Workspace
from shared.workspace.folders import PrivateFolder

_AN_HOUR = 3600
_HOLDS_ONE = """
import sys, time
from shared.workspace import Workspace
with Workspace.open(temp_folder=sys.argv[1], on_disk=True) as workspace:
    workspace.execute("CREATE TABLE rows AS SELECT 'a name' AS name")
    print(workspace.folder, flush=True)
    time.sleep(600)
"""


def begun(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has a workspace open, and the folder of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS_ONE, str(parent)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def aged(folder: Path) -> None:
    """Let nothing have happened in a folder for an hour."""
    then = folder.stat().st_mtime - _AN_HOUR
    os.utime(folder, (then, then))


def test_a_killed_process_leaves_nothing_for_long(tmp_path: Path) -> None:
    process, folder = begun(tmp_path)
    with process:
        assert list(folder.iterdir())
        process.send_signal(signal.SIGKILL)
    assert folder.is_dir()
    aged(folder)

    with Workspace.open(temp_folder=tmp_path) as workspace:
        assert list(tmp_path.iterdir()) == [workspace.folder]
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_process_at_work_stays(tmp_path: Path) -> None:
    process, folder = begun(tmp_path)
    try:
        aged(folder)
        with Workspace.open(temp_folder=tmp_path):
            assert list(folder.iterdir())
    finally:
        with process:
            process.kill()


def test_a_folder_that_is_just_being_made_stays(tmp_path: Path) -> None:
    """It is made first and locked then."""
    with PrivateFolder.make("kind", inside=tmp_path) as path:
        beside = path.with_name(path.name + "0")
        beside.mkdir()
        with PrivateFolder.make("kind", inside=tmp_path):
            assert beside.is_dir()


def test_only_folders_of_its_kind_and_machine_are_looked_at(tmp_path: Path) -> None:
    with PrivateFolder.make("kind", inside=tmp_path) as path:
        machine = path.name.split("-")[1]
    others = [tmp_path / name for name in (f"another-{machine}-x", "kind-0000-x", "kind", f"kind-{machine}")]
    for other in others:
        other.mkdir()
        aged(other)
    with PrivateFolder.make("kind", inside=tmp_path):
        assert all(other.is_dir() for other in others)


def test_folders_of_this_process_stay(tmp_path: Path) -> None:
    with PrivateFolder.make("kind", inside=tmp_path) as one, PrivateFolder.make("kind", inside=tmp_path) as other:
        for folder in (one, other):
            aged(folder)
        with PrivateFolder.make("kind", inside=tmp_path):
            assert one.is_dir()
            assert other.is_dir()


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    with PrivateFolder.make("kind", inside=tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRWXU
    folder = PrivateFolder.make("kind", inside=tmp_path)
    folder.close()
    folder.close()
    assert not folder.path.exists()
