"""Files that are written whole or not at all, on a disk that may be full."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import NoReturn

import pytest

from shared.app.definition_files.whole import write_first_free, write_whole


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


def no_links(file: Path, path: Path) -> NoReturn:
    """Refuse a link, as file systems without links do."""
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.fixture(params=["with links", "without links"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not there yet, on each kind of file system."""
    if request.param == "without links":
        monkeypatch.setattr(os, "link", no_links)
    return tmp_path / "data"


def test_files_of_one_name_that_come_at_once_get_paths_of_their_own(folder: Path) -> None:
    """Each has its own content, and nothing else stays in the folder."""
    writers = 8
    for turn in range(25):
        start = Barrier(writers)

        def written(content: bytes, turn: int = turn, start: Barrier = start) -> Path | None:
            start.wait()
            return write_first_free(folder, (f"{turn}-{number}.csv" for number in count()), content)

        contents = [bytes([number]) * 10_000 for number in range(writers)]
        with ThreadPoolExecutor(writers) as pool:
            paths = [path for path in pool.map(written, contents) if path]
        assert len(set(paths)) == writers
        assert [path.read_bytes() for path in paths] == contents
    assert len(list(folder.iterdir())) == 25 * writers


def test_a_file_of_the_same_content_is_taken_as_it_is(folder: Path) -> None:
    """It is not written again; other files, folders and links to nothing keep their names."""
    folder.mkdir()
    (folder / "a").mkdir()
    (folder / "b").symlink_to(folder / "nothing")
    (folder / "c").write_bytes(b"other")
    (folder / "d").write_bytes(b"content")
    (folder / "d").chmod(0o444)
    assert write_first_free(folder, ["a", "b", "c"], b"content") is None
    assert write_first_free(folder, ["a", "b", "c", "d", "e"], b"content") == folder / "d"
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "c", "d"]
    assert (folder / "c").read_bytes() == b"other"


def test_a_new_file_on_a_full_disk_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is free afterwards."""
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_first_free(folder, ["a"], b"content")
    assert list(folder.iterdir()) == []


def test_a_copy_on_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without links, the file gets its name before its content."""

    def no_space(content: object, made: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr("shutil.copyfileobj", no_space)
    with pytest.raises(OSError, match="No space"):
        write_first_free(tmp_path, ["a"], b"content")
    assert list(tmp_path.iterdir()) == []
