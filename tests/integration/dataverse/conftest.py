"""A running emulator, empty for each test, and clients for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from emulator.testing import RunningEmulator, running
from shared.clock import Clock
from shared.dataverse import ClientCredentials, ClientSecret, Connection, Dataverse, HttpTransport, MetadataCache

Connect = Callable[..., Dataverse]
CACHE = MetadataCache()


@pytest.fixture(scope="session")
def one_emulator() -> Iterator[RunningEmulator]:
    with running() as emulator:
        yield emulator


@pytest.fixture
def emulator(one_emulator: RunningEmulator) -> RunningEmulator:
    one_emulator.reset()
    return one_emulator


@pytest.fixture
def connect() -> Iterator[Callable[..., Dataverse]]:
    """Makes clients, and closes them at the end."""
    with ExitStack() as stack:

        def make(
            to: RunningEmulator,
            *,
            users: int = 1,
            secret: str | None = None,
            clock: Clock | None = None,
            **options: object,
        ) -> Dataverse:
            transport = HttpTransport()
            tokens = [
                ClientCredentials(to.client_id, ClientSecret(lambda: secret or to.client_secret), transport=transport)
                for _ in range(users)
            ]
            connection = Connection(service_url=to.service_url, **options)  # type: ignore[arg-type]  # a test's choice
            client = Dataverse(connection, tokens=tokens, transport=transport, cache=CACHE, clock=clock)
            stack.callback(client.close)
            return client

        yield make
