"""The files of patterns and folders: as a shell finds them, and an error where some cannot be found."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.sources.files import find_files
from shared.sources.places.matching import below, matching

FILES = ("a.csv", "b.txt", ".hidden.csv", "x/a.csv", "x/y/a.csv", "x/y/[1].csv", ".dot/a.csv", "z/b.csv")


@pytest.mark.parametrize("path", ["a\0b.csv", "x/*\0/a.csv", "a\ud800b.csv", "file:///a\0b", "memory://a\0b"])
def test_what_cannot_be_a_path_is_refused_as_such(path: str) -> None:
    """Parameters may have any character."""
    with pytest.raises(UserError, match="cannot be a path: it has a character that no path has"):
        find_files(path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "linked").symlink_to("x", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "pattern",
    [
        "*.csv", "./*.csv", "a.csv", "no.csv", "x", "a.csv/b", "*/a.csv", "*/*/*.csv", "**/*.csv", "**/a.csv", "x/**",
        "**/y/*", "x/**/y/**/*.csv", "[ab].*", "?.csv", ".*.csv", "*/a.csv/*", "x/y/[[]1].csv", "a**.csv", "no/*.csv",
    ],
)  # fmt: skip
@pytest.mark.parametrize("absolute", [False, True])
def test_patterns_find_what_a_shell_finds(folder: Path, pattern: str, *, absolute: bool) -> None:
    shown = f"{folder}/{pattern}" if absolute else pattern
    expected = {name for name in glob.glob(shown, recursive=True) if not Path(name).is_dir()}  # noqa: PTH207 - a peer
    assert {name for name in matching(shown) if not Path(name).is_dir()} == expected
    assert matching(shown) == sorted(matching(shown))


def test_a_link_to_a_folder_around_it_is_followed_once(folder: Path) -> None:
    (folder / "x" / "around").symlink_to(folder, target_is_directory=True)
    (folder / "x" / "here").symlink_to(".", target_is_directory=True)
    assert matching("x/**/b.txt") == ["x/around/b.txt"]
    assert matching("x/**/a.csv") == ["x/a.csv", "x/around/a.csv", "x/y/a.csv"]


def test_a_folder_is_searched_at_any_depth(folder: Path) -> None:
    assert below(str(folder / "x"), ".csv") == [str(folder / name) for name in ("x/a.csv", "x/y/[1].csv", "x/y/a.csv")]
    assert [Path(file.name).name for file in find_files(str(folder / "x"), ending="a.csv")] == ["a.csv", "a.csv"]


def nothing(folder: Path) -> None:
    """A link whose share is away."""
    folder.symlink_to("/no such share", target_is_directory=True)


def circle(folder: Path) -> None:
    """What cannot be listed, by anybody."""
    folder.symlink_to(folder.name)


@pytest.mark.parametrize("pattern", ["**/*.csv", "*/a.csv", "*/*.csv", "x/*/a.csv", "x/**"])
@pytest.mark.parametrize("damage", [nothing, circle])
def test_a_folder_that_cannot_be_listed_is_an_error(folder: Path, pattern: str, damage: Callable[[Path], None]) -> None:
    """Without it the rows of its files would be missing."""
    damage(folder / ("x/away" if pattern.startswith("x") else "away"))
    with pytest.raises(UserError, match=r"away cannot be read: .*may name files in it, and their records"):
        find_files(f"{folder}/{pattern}")


@pytest.mark.parametrize("pattern", ["*.csv", "x/*.csv", "*/away.csv", "x"])
def test_a_file_that_is_a_link_to_nothing_is_an_error(folder: Path, pattern: str) -> None:
    for place in (folder, folder / "x"):
        (place / "away.csv").symlink_to("/no such share/a.csv")
    with pytest.raises(UserError, match=r"away\.csv cannot be read: No such file"):
        find_files(f"{folder}/{pattern}", ending=".csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_may_not_be_entered_is_an_error(folder: Path) -> None:
    (folder / "z").chmod(0)
    with pytest.raises(UserError, match="z cannot be read: Permission denied"):
        find_files(f"{folder}/*/b.csv")
