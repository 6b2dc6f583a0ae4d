"""Reader and writer against a real server under random faults: in the end the service has the requested records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.testing import RunningEmulator, running
from shared.dataverse import (
    Applied,
    Change,
    ChangeAction,
    ClientCredentials,
    ClientSecret,
    Connection,
    Dataverse,
    HttpTransport,
)
from tests.integration.dataverse.tables import read_accounts
from tests.quick_clock import QuickClock

FAULTS = st.fixed_dictionaries(
    {"action": st.just("status"), "retry_after": st.just(0.05), "times": st.integers(1, 2)}
    | {"status": st.sampled_from([429, 503, 502]), "match": st.just({"method": "POST"})}
) | st.fixed_dictionaries(
    {
        "action": st.sampled_from(["drop_before", "drop_after"]),
        "times": st.integers(1, 2),
        "match": st.sampled_from([{"method": "POST"}, {"path": "$batch"}, {"path": "Multiple"}, {"method": "GET"}]),
    }
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[RunningEmulator]:
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def client(emulator: RunningEmulator) -> Iterator[Dataverse]:
    transport = HttpTransport()
    tokens = [
        ClientCredentials(emulator.client_id, ClientSecret(lambda: emulator.client_secret), transport=transport)
        for _ in range(2)
    ]
    made = Dataverse(
        Connection(service_url=emulator.service_url), tokens=tokens, transport=transport, clock=QuickClock()
    )
    yield made
    made.close()


def change(number: int, action: ChangeAction, name: str, record: str | None = None) -> Change:
    key = {"accountnumber": f"A{number}"}
    return Change(
        number=number, action=action, id=record, key=json.dumps(key), payload=json.dumps({**key, "name": name})
    )


def applied(client: Dataverse, changes: list[Change]) -> dict[int, str | None]:
    outcomes = list(client.write(client.entity("account"), changes))
    assert sorted(outcome.number for outcome in outcomes) == sorted(change.number for change in changes)
    assert all(isinstance(outcome, Applied) for outcome in outcomes)
    return {outcome.number: outcome.id for outcome in outcomes if isinstance(outcome, Applied)}


@settings(max_examples=8)
@given(
    count=st.integers(1, 150),
    kept=st.integers(0, 150),
    before=st.lists(FAULTS, max_size=2),
    after=st.lists(FAULTS, max_size=2),
)
def test_records_are_created_and_deleted_as_planned(
    emulator: RunningEmulator,
    client: Dataverse,
    count: int,
    kept: int,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
) -> None:
    """Inserts, then upserts and deletes, each under random faults, leave exactly the requested records."""
    emulator.reset()
    emulator.faults(before)
    ids = applied(client, [change(n, ChangeAction.INSERT, "first") for n in range(count)])
    emulator.faults(after)
    kept = min(kept, count)
    changes = [change(n, ChangeAction.UPSERT, "second") for n in range(kept)]
    applied(client, changes + [change(n, ChangeAction.DELETE, "", ids[n]) for n in range(kept, count)])
    emulator.clear_faults()
    found = {number: (account.id, account.name) for number, account in read_accounts(client).items()}
    assert found == {f"A{n}": (ids[n], "second") for n in range(kept)}
