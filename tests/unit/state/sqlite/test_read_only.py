"""A folder or a file that cannot be written to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.errors import AbortRun, UserError
from shared.state.sqlite import SqliteStateStore

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can look into; that of the tests is closed to them."""
    with tempfile.TemporaryDirectory() as made:
        SqliteStateStore(Path(made, "first", "state.db")).close()  # the other user may not read Python's own modules
        Path(made).chmod(0o755)
        yield Path(made)
        Path(made).chmod(0o755)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Root may write everywhere, so a test of root is another user for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if before == 0:
            os.seteuid(before)


def said(file: Path) -> str:
    with as_ordinary_user(), pytest.raises(UserError) as caught:
        SqliteStateStore(file)
    return caught.value.message


@pytest.mark.parametrize("used", ["state.db", ""])
@pytest.mark.parametrize("name", ["state.db", "new/state.db"])
def test_a_folder_that_is_read_only_is_named_with_what_to_do(folder: Path, name: str, used: str) -> None:
    """Whether or not a store is there already, and also where a folder would have to be made."""
    if used:
        SqliteStateStore(folder / used).close()
    folder.chmod(0o555)
    message = said(folder / name)
    assert message.startswith(f"STATE_STORE: {folder / name} cannot be used as the state store: ")
    assert f", because the folder {folder} is read-only for this user" in message
    assert message.endswith("let this user write there, or set STATE_STORE to a file in another folder")


def test_a_file_that_is_read_only_is_named(folder: Path) -> None:
    """Its folder may be written to, so the store can be read."""
    file = folder / "state.db"
    SqliteStateStore(file).close()
    folder.chmod(0o777)
    file.chmod(0o444)
    with as_ordinary_user():
        store = SqliteStateStore(file)
        assert store.runs() == ()
        with pytest.raises(AbortRun, match="is read-only for this user; let this user write there"):
            store.resume("accounts")
        store.close()


def test_a_folder_in_place_of_the_file_is_not_called_read_only(folder: Path) -> None:
    """The cause is another one."""
    folder.chmod(0o777)
    (folder / "state.db").mkdir(mode=0o777)
    (folder / "state.db").chmod(0o777)
    assert "read-only" not in said(folder / "state.db")
