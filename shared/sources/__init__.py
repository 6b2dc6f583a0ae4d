"""The sources of rows: each source fills `source_raw` with text and row numbers, and does nothing else."""

from shared.sources.source import Source, open_source

__all__ = ["Source", "open_source"]
