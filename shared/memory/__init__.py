"""What is kept of a target between runs: the ledger, and the mirror of its records."""

from __future__ import annotations

from shared.memory.damage import DamagedError, is_sound, reading_parts
from shared.memory.entries import NOTHING, KnownRecord
from shared.memory.event_ledger import BeforeReading, EventLedger, RememberedRecord
from shared.memory.ledger import Ledger, LedgerConflictError
from shared.memory.mirror import Manifest, Mirror, MirrorLostError
from shared.memory.mirror_tables import MirrorTables
from shared.memory.mirrorable import mirror_obstacle
from shared.memory.names import new_part, owner_of, renamed
from shared.memory.parts import fetched, ledger_owner, parquet_of

__all__ = [
    "NOTHING",
    "BeforeReading",
    "DamagedError",
    "EventLedger",
    "KnownRecord",
    "Ledger",
    "LedgerConflictError",
    "Manifest",
    "Mirror",
    "MirrorLostError",
    "MirrorTables",
    "RememberedRecord",
    "fetched",
    "is_sound",
    "ledger_owner",
    "mirror_obstacle",
    "new_part",
    "owner_of",
    "parquet_of",
    "reading_parts",
    "renamed",
]
