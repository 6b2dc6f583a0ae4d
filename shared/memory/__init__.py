"""What is kept of a target between runs: the ledger."""

from __future__ import annotations

from shared.memory.entries import NOTHING, Known
from shared.memory.event_ledger import EventLedger, Remembered
from shared.memory.ledger import Ledger, LedgerConflictError

__all__ = ["NOTHING", "EventLedger", "Known", "Ledger", "LedgerConflictError", "Remembered"]
