"""What the tests of `rest` sources share: a way to read one from a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from shared.definitions.models import EnvironmentSecret, RestSource
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace
from tests.api_server import ApiServer, Received, Reply, serving
from tests.quick_clock import QuickClock

Rows = list[tuple[Any, ...]]
Serve = Callable[[Callable[[Received], Reply]], ApiServer]


class Waits(QuickClock):
    """A clock that only waiting moves forward, and that records the waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = 0.0

    def monotonic(self) -> float:
        return self.waited

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.waited += seconds


def context(**parts: Any) -> SourceContext:
    """A context in which a secret's value is its name, in lower case."""

    def secret(reference: Any) -> str:
        assert isinstance(reference, EnvironmentSecret)
        return reference.env.lower()

    return SourceContext(**{"clock": QuickClock(), "secret": secret, **parts})


def read(url: str, given: SourceContext | None = None, **keys: Any) -> tuple[Rows, Rows]:
    """Rows of the column `id` (or of `columns`) and errors, in order."""
    described = {"type": "rest", "url": url, "columns": [{"name": "id"}], **keys}
    source = open_source(RestSource.model_validate(described), given or context())
    with Workspace.open() as workspace:
        source.load(workspace)
        rows = workspace.query("SELECT * EXCLUDE (_row) FROM source_raw ORDER BY _row")
        return rows, workspace.query("SELECT _row, message FROM source_errors ORDER BY _row")


def ids(url: str, given: SourceContext | None = None, **keys: Any) -> list[str]:
    """The ids that are read; there is no error."""
    rows, errors = read(url, given, **keys)
    assert errors == []
    return [row[0] for row in rows]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers, which end with the test."""
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serving(answer))
