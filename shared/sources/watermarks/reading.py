"""One read of a source from its watermark on, and how far it gets."""

from __future__ import annotations

from shared.definitions.models import Column, WatermarkedSource
from shared.sources.watermarks.marks import Mark, Scale
from shared.sources.watermarks.reached import reached_value
from shared.workspace import Workspace

__all__ = ["ReadsPastWatermark", "WatermarkReading"]


class ReadsPastWatermark:
    """The part of a source that reads past a watermark; see `Watermarked`.

    Attributes:
        _watermark: The watermark of one read.
    """

    _watermark: WatermarkReading

    @property
    def began_anew(self) -> bool:
        """See `Watermarked.began_anew`."""
        return self._watermark.began_anew

    def start_at(self, mark: Mark | None, identity: str) -> None:
        """See `Watermarked.start_at`."""
        self._watermark.start_at(mark, identity)

    def reached(self, workspace: Workspace, unfinished: str) -> Mark | None:
        """See `Watermarked.reached`."""
        return self._watermark.reached(workspace, unfinished)


class WatermarkReading:
    """What every source with a watermark does alike.

    Args:
        source: The definition's source.
    """

    def __init__(self, source: WatermarkedSource) -> None:
        self._source = source
        self._kept: Mark | None = None
        self._identity = ""
        self._column: tuple[Column, Scale] | None = None
        self.began_anew = False
        self.within = "true"
        """Which rows can be reached; see `reached_value`."""

    @property
    def overlap(self) -> float:
        """How far before the watermark a read starts."""
        return self._source.watermark.overlap if self._source.watermark else 0

    def start_at(self, mark: Mark | None, identity: str) -> None:
        """Take what the state store has; None for nothing."""
        self._kept, self._identity = mark, identity

    def begin(self, column: Column, scale: Scale) -> Mark | None:
        """Note what is read; gives the watermark to start at, and None where all rows are read."""
        self._column, mark = (column, scale), self._kept
        if mark is not None and mark.identity == self._identity and mark.scale in {"", scale}:
            return mark
        self.began_anew = mark is not None
        return None

    def reached(self, workspace: Workspace, unfinished: str) -> Mark | None:
        """How far the source has been read; see `Watermarked.reached`."""
        if self._column is None:
            return None
        column, scale = self._column
        value = reached_value(workspace, column, scale, unfinished, within=self.within)
        return None if value is None else Mark(value=value, scale=scale, identity=self._identity)
