"""The state stores for the contract tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.state import StateStore
from shared.state.azure import AzureStateStore
from shared.state.sqlite import SqliteStateStore


@pytest.fixture(params=["sqlite", pytest.param("azure", marks=pytest.mark.azurite)])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], StateStore]]:
    """Opens the same store again and again, as other processes would."""
    opened: list[StateStore] = []

    def open_() -> StateStore:
        if request.param == "sqlite":
            opened.append(SqliteStateStore(tmp_path / "state.db"))
        else:
            opened.append(AzureStateStore.by_connection_string(request.getfixturevalue("storage_account")))
        return opened[-1]

    yield open_
    for store in opened:
        store.close()
