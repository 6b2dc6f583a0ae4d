"""The ledgers of a process: one for each sync that keeps one, for all waves."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from shared.jobs.real_time.ledger import EventLedgers


def in_wave(ledgers: EventLedgers, name: str, *, keeps: bool = True, environment: str = "org.example") -> Any:
    sync: Any = SimpleNamespace(
        definition=SimpleNamespace(name=name, keeps_ledger=keeps),
        environment=environment,
        entity=SimpleNamespace(logical_name="account"),
    )
    rest: Any = None
    return ledgers.in_wave(sync, rest, rest, lambda: datetime.now(UTC))


def test_the_waves_of_a_sync_share_its_ledger() -> None:
    """So that files are fetched once; a sync that keeps none has none."""
    ledgers = EventLedgers()
    first, second, other = in_wave(ledgers, "a"), in_wave(ledgers, "a"), in_wave(ledgers, "b")
    assert first.ledger is second.ledger
    assert other.ledger is not first.ledger
    assert in_wave(ledgers, "a", environment="copy.example").ledger is not first.ledger
    assert in_wave(ledgers, "c", keeps=False) is None
    ledgers.close()
