"""Files that are written whole or not at all, on a disk that may be full."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from shared.app.definition_files.whole import write_whole


def full(self: Path, data: bytes) -> NoReturn:
    """Write half of the content, as a full disk does."""
    with self.open("wb") as file:
        file.write(data[: len(data) // 2])
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_and_its_folder_are_made(tmp_path: Path) -> None:
    """Nothing else stays in the folder."""
    write_whole(tmp_path / "new" / "plan.json", b"plan")
    assert (tmp_path / "new" / "plan.json").read_bytes() == b"plan"
    assert os.listdir(tmp_path / "new") == ["plan.json"]  # noqa: PTH208 - names


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file is not there, and an earlier one is whole."""
    before = tmp_path / "before.csv"
    before.write_bytes(b"whole")
    monkeypatch.setattr(Path, "write_bytes", full)
    for path in (before, tmp_path / "new.csv"):
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"content")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["before.csv"]
    assert before.read_bytes() == b"whole"


def test_a_link_stays_one_and_rights_stay(tmp_path: Path) -> None:
    """What is behind the link is written."""
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"1")
    file.chmod(0o640)
    link.symlink_to(file)
    write_whole(link, b"2")
    assert link.is_symlink()
    assert file.read_bytes() == b"2"
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_device_is_written_as_it_is() -> None:
    """`--out /dev/null` makes no file in `/dev`."""
    write_whole(Path(os.devnull), b"text")
    assert not Path(os.devnull).is_file()


def test_a_file_that_is_mounted_on_its_own_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be replaced."""

    def busy(self: Path, target: Path) -> NoReturn:
        raise OSError(errno.EBUSY, "Device or resource busy")

    (tmp_path / "file").write_bytes(b"1")
    monkeypatch.setattr(Path, "replace", busy)
    write_whole(tmp_path / "file", b"2")
    assert (tmp_path / "file").read_bytes() == b"2"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
