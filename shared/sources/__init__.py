"""The sources of rows: each source fills `source_raw` with values and row numbers, and does nothing else."""

from shared.sources.context import SourceContext
from shared.sources.registry import completed, first_lines, open_source
from shared.sources.source import KnowsLines, Source

__all__ = ["KnowsLines", "Source", "SourceContext", "completed", "first_lines", "open_source"]
