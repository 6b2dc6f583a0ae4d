from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.workspace import Workspace


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """An empty workspace in memory."""
    with Workspace.open() as opened:
        yield opened
