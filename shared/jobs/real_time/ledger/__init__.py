"""What events read from the ledger of their sync, and what they add to it."""

from __future__ import annotations

from shared.jobs.real_time.ledger.in_process import EventLedgers, open_reader
from shared.jobs.real_time.ledger.wave_ledger import BUSY, ChangedMeanwhileError, WaveLedger

__all__ = ["BUSY", "ChangedMeanwhileError", "EventLedgers", "WaveLedger", "open_reader"]
