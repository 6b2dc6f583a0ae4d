"""What is kept of a target between runs: the ledger, and the mirror of its records."""

from __future__ import annotations

from shared.memory.ledger import Ledger, LedgerConflictError
from shared.memory.mirror import Manifest, Mirror, MirrorLostError
from shared.memory.mirror_tables import MirrorTables
from shared.memory.mirrorable import mirror_obstacle

__all__ = [
    "Ledger",
    "LedgerConflictError",
    "Manifest",
    "Mirror",
    "MirrorLostError",
    "MirrorTables",
    "mirror_obstacle",
]
