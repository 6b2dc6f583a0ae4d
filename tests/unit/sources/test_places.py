"""Paths that no source may read."""

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


def test_links_are_followed_before_the_check(tmp_path: Path) -> None:
    """The target of an ordinary name may be such a file."""
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
    """They have the secrets of a developer's machine."""
    (tmp_path / "local.settings.json").write_text("{}")
    with pytest.raises(UserError, match="settings"):
        find_files(str(tmp_path / "local.settings.json"))


def test_ordinary_files_are_found(tmp_path: Path) -> None:
    """Also through links."""
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    assert len(find_files(str(tmp_path / "*.csv"))) == 2
    assert len(find_files(f"simplecache::file://{tmp_path}/a.csv")) == 1


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """Files in a root, beside it, and links from one to the other."""
    for name in ("root/a.csv", "root/deep/b.csv", "other/c.csv", "root-2/d.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "root" / "link.txt").symlink_to(tmp_path / "other" / "c.csv")
    (tmp_path / "root" / "folder").symlink_to(tmp_path / "other")
    (tmp_path / "in").symlink_to(tmp_path / "root" / "deep")
    return tmp_path


ALLOWED = {"root/a.csv": 1, "root/*.csv": 1, "root/deep/../*.csv": 1, "in/b.csv": 1, "root/deep/**/*.csv": 1}
OUTSIDE = [
    *("other/c.csv", "root/../other/c.csv", "*/c.csv", "root/link.txt", "root/*.txt", "root/folder/c.csv"),
    *("root-2/d.csv", "nothing/at/all.csv", "root/deep/*/../../../other/*"),
]


@pytest.mark.parametrize("name", ALLOWED)
@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}"])
def test_files_in_a_root_are_read(places: Path, name: str, form: str) -> None:
    """Also by a pattern, by a link from outside, and as a URL."""
    found = find_files(form.format(places / name), roots=(str(places / "root"),))
    assert len(found) == ALLOWED[name]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("form", ["{}", "file://{}", "local://{}", "simplecache::file://{}"])
def test_files_outside_all_roots_are_refused(places: Path, name: str, form: str) -> None:
    """The message does not say whether they exist; it names the setting."""
    with pytest.raises(UserError, match=r"is refused: this app reads local files only from .*SOURCE_ROOTS"):
        find_files(form.format(places / name), roots=(str(places / "root"), str(places / "no")))


def test_a_link_in_a_root_gives_no_access_outside_it(places: Path) -> None:
    """Nor does a pattern over all folders."""
    with pytest.raises(UserError, match="refused"):
        find_files(f"{places}/root/**/c.csv", roots=(str(places / "root"),))


def test_a_relative_root_is_below_the_working_folder(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the folder of the definitions is."""
    monkeypatch.chdir(places)
    assert len(find_files("root/a.csv", roots=("root",))) == 1
    with pytest.raises(UserError, match="refused"):
        find_files("other/c.csv", roots=("root",))
