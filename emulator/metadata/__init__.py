"""The metadata part of the Web API: table, column, key, option set and relationship definitions."""

from emulator.metadata.service import METADATA_ROOTS, Metadata

__all__ = ["METADATA_ROOTS", "Metadata"]
