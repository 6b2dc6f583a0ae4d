"""A storage account for every test, in one Azurite for all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.azurite.server import ACCOUNTS, Azurite, AzuriteMissingError

unused = iter(ACCOUNTS)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite for the session; tests are skipped, and say so, where npm cannot give it."""
    try:
        server = Azurite()
    except AzuriteMissingError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def storage_account(azurite: Azurite) -> str:
    """Connection string of an empty storage account."""
    return azurite.connection_string(next(unused))
