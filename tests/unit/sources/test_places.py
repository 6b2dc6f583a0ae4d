"""Places that no source is read from."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.sources.files import find_files


@pytest.mark.parametrize(
    "path",
    [
        "/proc/self/environ",
        pytest.param(f"/proc/{os.getpid()}/environ", id="the number of the process"),
        "/proc/*/environ",
        "/proc/self/../self/environ",
        "file:///proc/self/environ",
        "local:///proc/self/environ",
        "simplecache::file:///proc/self/environ",
        "filecache::local:///proc/self/environ",
        "blockcache::file:///proc/self/environ",
        "dir://self/environ::file:///proc",
        "/proc/self/cmdline",
        "/dev/null",
    ],
)
def test_files_of_the_system_are_refused(path: str) -> None:
    """The environment of a process holds its secrets."""
    with pytest.raises(UserError, match=r"refused|pipe|only the path"):
        find_files(path)


def test_links_are_followed_before_they_are_judged(tmp_path: Path) -> None:
    """An ordinary name may lead there."""
    (tmp_path / "data.csv").symlink_to("/proc/self/environ")
    (tmp_path / "folder").symlink_to("/proc/self")
    for path in (tmp_path / "data.csv", tmp_path / "*.csv", tmp_path / "folder" / "environ"):
        with pytest.raises(UserError, match="refused"):
            find_files(str(path))


def test_a_pipe_and_a_socket_are_refused(tmp_path: Path) -> None:
    """Reading them might never end."""
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.csv"))
        for name in ("pipe.csv", "socket.csv", "p*.csv"):
            with pytest.raises(UserError, match="write the data to a regular file"):
                find_files(str(tmp_path / name))


def test_the_local_settings_are_refused(tmp_path: Path) -> None:
    """Their values hold the secrets of a laptop."""
    (tmp_path / "local.settings.json").write_text("{}")
    with pytest.raises(UserError, match="settings"):
        find_files(str(tmp_path / "local.settings.json"))


def test_ordinary_files_are_found(tmp_path: Path) -> None:
    """Links among them too."""
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    assert len(find_files(str(tmp_path / "*.csv"))) == 2
    assert len(find_files(f"simplecache::file://{tmp_path}/a.csv")) == 1
