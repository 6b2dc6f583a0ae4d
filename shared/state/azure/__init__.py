"""The state store of the deployed app: Azure Tables, and blobs for what is too large for a row."""

from __future__ import annotations

from shared.state.azure._events import EventTables
from shared.state.azure._leases import LeaseTables

__all__ = ["AzureStateStore"]


class AzureStateStore(LeaseTables, EventTables):
    """Keeps state in the app's storage account; every instance of the app may use it at once.

    Races are settled by ETags: of two writers who read the same row one is refused, and reads again.
    """
