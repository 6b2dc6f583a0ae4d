"""Where rows come from: each source fills `source_raw` with text and row numbers, and knows nothing else."""

from shared.sources.source import Source, open_source

__all__ = ["Source", "open_source"]
