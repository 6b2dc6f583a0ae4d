"""Files that change while they are read: the run ends, in every kind of source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # it ships no types
from fsspec.implementations.local import LocalFileSystem  # type: ignore[import-untyped]

from shared.errors import UserError
from shared.sources import SourceContext, open_source
from shared.sources.files import find_files
from shared.workspace import Workspace
from tests.contract.source_kinds import FILES, KINDS, Kind, rows
from tests.contract.test_sources import defined

CHANGED = r"changed while it was read.*nothing is written"


class Changing(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A storage in which another program rewrites or removes a file as soon as it is opened."""

    protocol = "changing"
    cachable = False

    def __init__(self, action: str) -> None:
        super().__init__()
        self._action = action

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        opened = super().open(path, mode, **options)
        if self._action == "remove":
            Path(path).unlink()
        elif self._action == "write":
            before = Path(path).stat()
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
        return opened


@pytest.fixture(params=FILES)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.mark.parametrize("action", ["write", "remove"])
def test_a_remote_file_that_changes_ends_the_run(kind: Kind, tmp_path: Path, action: str) -> None:
    """By its version (ETag, size or time) in its storage."""
    path = tmp_path / f"source{kind.ending}"
    kind.write(path, rows(3))
    definition = defined(kind, path)
    source = definition.source.model_copy(update={"path": f"changing://{path}"})
    opened = open_source(
        source, SourceContext(open_url=lambda url: (Changing(action), url.removeprefix("changing://")))
    )
    with Workspace.open() as workspace, pytest.raises(UserError, match=rf"{CHANGED}|does not exist|No such file"):
        opened.load(workspace)


class Calling(Changing):
    """The same, which calls the time of a file something else."""

    protocol = "calling"

    def __init__(self, action: str, name: str) -> None:
        super().__init__(action)
        self._name = name

    def info(self, path: str, **options: Any) -> Any:
        told = super().info(path, **options)
        return {"name": told["name"], "size": told["size"], "type": told["type"], self._name: told["mtime"]}


@pytest.mark.parametrize("name", ["modify", "modificationTime", "last_write_time", "updated"])
def test_each_driver_calls_the_time_of_a_file_by_its_own_name(tmp_path: Path, name: str) -> None:
    """FTP, WebHDFS, SMB and Google Cloud Storage: a file may be replaced by another one of the same size."""
    kind, path = KINDS["delimited"], tmp_path / "source.csv"
    kind.write(path, rows(3))
    source = defined(kind, path).source.model_copy(update={"path": f"calling://{path}"})

    def open_url(url: str) -> tuple[Any, str]:
        return Calling("write", name), url.removeprefix("calling://")

    opened = open_source(source, SourceContext(open_url=open_url))
    with Workspace.open() as workspace, pytest.raises(UserError, match=CHANGED):
        opened.load(workspace)


def test_a_remote_file_that_stays_is_read(kind: Kind, tmp_path: Path) -> None:
    """The same storage without a change."""
    path = tmp_path / f"source{kind.ending}"
    kind.write(path, rows(3))
    source = defined(kind, path).source.model_copy(update={"path": f"changing://{path}"})
    opened = open_source(source, SourceContext(open_url=lambda url: (Changing(""), url.removeprefix("changing://"))))
    with Workspace.open() as workspace:
        opened.load(workspace)
        assert workspace.query("SELECT count(*) FROM source_raw") == [(3,)]


@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_that_changes_between_its_description_and_its_reading_ends_the_run(
    tmp_path: Path, *, in_place: bool
) -> None:
    """The schema of Parquet files is read before the rows: another program may write them in between."""
    kind = KINDS["parquet"]
    path = tmp_path / "source.parquet"
    kind.write(path, rows(3))
    source = open_source(defined(kind, path).source, SourceContext())
    with Workspace.open(readable=source.readable if in_place else ()) as workspace:
        source.columns(workspace)
        kind.write(path, rows(4))
        with pytest.raises(UserError, match=CHANGED):
            source.load(workspace)


class Busy(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A storage that does not answer when it is asked for one file; its `isfile` takes this for no, as adlfs does."""

    protocol = "busy"
    cachable = False

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        if str(path).endswith("b.csv"):
            raise OSError("503 the server is busy")
        return dict(super().info(path, **options))

    def isfile(self, path: str) -> bool:
        try:
            return bool(self.info(path)["type"] == "file")
        except OSError:
            return False

    def glob(self, path: str, **options: Any) -> list[str]:
        return [str(each) for each in LocalFileSystem().glob(path, **options)]


def test_a_file_that_the_storage_is_too_busy_to_tell_of_is_not_left_out(tmp_path: Path) -> None:
    """The records of its rows would be dropped."""
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text("number\n1\n")
    (tmp_path / "folder.csv").mkdir()

    def found(system: LocalFileSystem) -> list[str]:
        files = find_files("busy:///*.csv", lambda _: (system, f"{tmp_path}/*.csv"))
        return [Path(file.path).name for file in files]

    assert found(LocalFileSystem()) == ["a.csv", "b.csv", "c.csv"]
    with pytest.raises(UserError, match="cannot be reached: 503 the server is busy"):
        found(Busy())


class Closed(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A storage in which one folder cannot be listed, and another one goes away while it is looked for."""

    protocol = "closed"
    cachable = False

    def ls(self, path: str, detail: bool = False, **options: Any) -> list[Any]:  # noqa: FBT001, FBT002 - as the driver has it
        if str(path).endswith("2025"):
            raise PermissionError("the folder is for others")
        if str(path).endswith("gone"):
            raise FileNotFoundError(path)
        return list(super().ls(path, detail=detail, **options))

    glob, find = AbstractFileSystem.glob, AbstractFileSystem.find  # as those of FTP and SFTP


@pytest.mark.parametrize(
    ("folder", "said"),
    [("2025", "cannot be reached: the folder is for others"), ("gone", "matches no file")],
)
def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(tmp_path: Path, folder: str, said: str) -> None:
    """Only one that is gone has no files."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.csv").write_text("number\n1\n")
    with pytest.raises(UserError, match=said):
        find_files("closed:///*.csv", lambda _: (Closed(), f"{tmp_path}/{folder}/*.csv"))


class Listing(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A storage whose driver keeps what it has listed, as those of Azure and S3 do."""

    protocol = "listing"
    cachable = False

    def ls(self, path: str, detail: bool = False, **options: Any) -> list[Any]:  # noqa: FBT001, FBT002 - as the driver has it
        if path not in self.dircache:
            self.dircache[path] = super().ls(path, detail=True, **options)
        return [each if detail else each["name"] for each in self.dircache[path]]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.dircache.clear()

    glob, find = AbstractFileSystem.glob, AbstractFileSystem.find


def test_a_file_that_is_new_since_the_last_run_is_found(tmp_path: Path) -> None:
    """The file system is that of the whole process."""
    system = Listing()
    for number, name in enumerate(("a.csv", "b.csv"), start=1):
        (tmp_path / name).write_text("number\n1\n")
        assert len(find_files("listing:///*.csv", lambda _: (system, f"{tmp_path}/*.csv"))) == number
