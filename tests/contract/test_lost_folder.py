"""What is laid into the folder of a workspace, where that cannot be written: the disk is full, or the folder is gone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shared.dataverse.read.reader import laid_out
from shared.errors import UserError
from shared.memory.journal import Journal
from shared.memory.parts import fetched
from shared.state.sqlite import SqliteStateStore
from shared.workspace import Workspace

Lay = Callable[[Workspace, SqliteStateStore], object]


def page(workspace: Workspace, _: SqliteStateStore) -> object:
    """A page of records of Dataverse."""
    with laid_out(workspace, b"[]") as path:
        return path


def part_of_a_ledger(workspace: Workspace, store: SqliteStateStore) -> object:
    """What a sync remembers of its records."""
    store.put_ledger_part("customers", "a", b"rows")
    return fetched(store, "customers", "a", workspace.folder)


def part_of_a_journal(workspace: Workspace, store: SqliteStateStore) -> object:
    """What a run has changed."""
    run = uuid.uuid4().hex
    store.put_journal_part(run, "changes-0", b"rows")
    with Journal(store, run).reading(workspace) as files:
        return files


@pytest.mark.parametrize("lay", [page, part_of_a_ledger, part_of_a_journal])
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, lay: Lay) -> None:
    """With the setting that names another one; it is no unexpected error."""
    with closing(SqliteStateStore(tmp_path / "state.db")) as store, Workspace.open() as workspace:
        assert lay(workspace, store)
        shutil.rmtree(workspace.folder)
        with pytest.raises(UserError, match=r"folder .* cannot be written: No such file.*WORKSPACE_TEMP"):
            lay(workspace, store)
