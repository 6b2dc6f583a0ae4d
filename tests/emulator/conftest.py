"""What tests of the emulator over HTTP share: an emulator for each module, and a client of the empty emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.testing import RunningEmulator, running
from tests.emulator.http_client import Client


@pytest.fixture(scope="module")
def emulator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEmulator]:
    """An emulator with the tables that the module describes in `SCHEMA`, if it does."""
    schema = getattr(request.module, "SCHEMA", "")
    files = [tmp_path_factory.mktemp("schema") / "tables.yaml"] if schema else []
    for file in files:
        file.write_text(schema, encoding="utf-8")
    with running(in_thread=True, limits="none", schema=files) as made:
        yield made


@pytest.fixture
def client(emulator: RunningEmulator) -> Iterator[Client]:
    """A client with a token; the emulator has no rows of other tests."""
    emulator.reset()
    with Client(emulator) as made:
        yield made
