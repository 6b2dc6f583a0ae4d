"""How far a source has been read: what a definition says of it."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from shared.definitions.models.base import NUMBER, Model, WithUnit, seconds
from shared.definitions.models.sources.base import SourceModel

__all__ = ["WATERMARK", "SentWatermark", "Watermark", "WatermarkedSource"]

WATERMARK: Final = "watermark"
"""The parameter that is the watermark in the requests of a source."""

_Overlap = Annotated[
    float,
    Field(ge=0, allow_inf_nan=False),
    BeforeValidator(seconds, json_schema_input_type=Annotated[float, Field(ge=0)] | WithUnit),
]


class Watermark(Model):
    """The column that says how far the source has been read."""

    column: str = Field(
        min_length=1,
        description="Source column that grows with each change, such as the time of the last change. A run reads the "
        "rows from the last value on, and the rows without a value.",
    )
    overlap: _Overlap = Field(
        default=0,
        description="How far before the last value a run reads again, for rows that become visible late: `5m`, `90s`, "
        "`1h`; for a column of numbers a number.",
    )


class SentWatermark(Watermark):
    """The column that says how far the source has been read; requests send its value as the parameter `@watermark`."""

    first: Annotated[str | int | float | dt.datetime | dt.date, NUMBER] = Field(
        description="The value of `@watermark` as long as there is no watermark: in the first run, and after a reset. "
        'It must let the service give all records, such as `"1970-01-01T00:00:00Z"` or `0`.',
    )


class WatermarkedSource(SourceModel):
    """A source that can be read from a place on."""

    watermark: Watermark | None = Field(
        default=None,
        description="Read only what changed since the last run. Needs strategy `upsert`, or `full` with "
        "`dropped: ignore`.",
    )
