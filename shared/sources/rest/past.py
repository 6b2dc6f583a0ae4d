"""Requests for what is past a watermark, and which of their records a watermark can reach.

The pages of an API are separate answers. A record that changes while they are read may be in none of them with its new
value, and records may move from one page to another. What changes after the first answer has at least the values that
this answer has. So the watermark goes as far as the first page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.definitions.models import ColumnType, ParameterValue, RestSource
from shared.definitions.models.sources.watermark import WATERMARK
from shared.sources.context import SourceContext
from shared.sources.watermarks.marks import Mark, Scale, parameter_of, watermark_column
from shared.sources.watermarks.reading import WatermarkReading

__all__ = ["PastWatermark", "with_watermark"]

_SCALES: Final = {ColumnType.NUMBER: Scale.NUMBER, ColumnType.DATE: Scale.TIME}


def with_watermark(source: RestSource, context: SourceContext, value: ParameterValue = None) -> SourceContext:
    """What a source may need, with its watermark as a parameter: a value, or what the definition gives for none."""
    if source.watermark is None:
        return context
    sent = source.watermark.first if value is None else value
    return replace(context, parameters={**context.parameters, WATERMARK: sent})


class PastWatermark:
    """The watermark of one read.

    Args:
        source: The definition's source, with a watermark.
        reading: Has what the state store keeps.
    """

    def __init__(self, source: RestSource, reading: WatermarkReading) -> None:
        self._source = source
        self._reading = reading
        _, self._column = watermark_column(source, {each.name: each for each in source.columns if each.read})
        # Texts are compared by the service, in its own way.
        self._scale = _SCALES.get(self._column.type, Scale.COLLATED)

    def context(self, context: SourceContext) -> SourceContext:
        """The context of the requests.

        Raises:
            UserError: The watermark does not fit the column.
        """
        mark = self._reading.begin(self._column, self._scale)
        return with_watermark(self._source, context, None if mark is None else self.start_of(mark))

    def start_of(self, mark: Mark) -> str | int | float:
        """What the service is asked with.

        Raises:
            UserError: The watermark does not fit the column.
        """
        return parameter_of(mark, self._scale, self._reading.overlap)

    def ended(self, first: int) -> None:
        """Note which rows can be reached: those of the first page, by their number."""
        self._reading.within = f"_row <= {first}"
