"""What is kept of a target between runs: the ledger."""

from __future__ import annotations

from shared.memory.ledger import Ledger, LedgerConflictError

__all__ = ["Ledger", "LedgerConflictError"]
