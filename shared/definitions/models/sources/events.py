"""Events as a source."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from shared.definitions.models.base import Sql
from shared.definitions.models.columns import Column
from shared.definitions.models.sources.base import SourceModel

__all__ = ["NO_BATCH", "EventsSource"]

NO_BATCH: Final = "a source of type events gets its rows from the listener: this sync cannot run as a batch"
"""Why a sync with such a source is not started."""


class EventsSource(SourceModel):
    """The records that the listener decodes; real time only."""

    type: Literal["events"] = Field(description="Records of events.")
    columns: tuple[Column, ...] = Field(min_length=1, description="Fields of the record, and calculated columns.")
    filter: Sql | None = Field(default=None, description="Condition; only records for which it is true are synced.")
