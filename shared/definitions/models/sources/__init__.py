"""The kinds of source: what a definition says of each."""

from collections.abc import Mapping
from typing import Annotated, Final, get_args

from pydantic import Discriminator

from shared.definitions.models.sources.base import SelfDescribing, SourceModel
from shared.definitions.models.sources.delimited import DelimitedSource
from shared.definitions.models.sources.dynamics import DynamicsSource
from shared.definitions.models.sources.events import EventsSource
from shared.definitions.models.sources.excel import ExcelSource
from shared.definitions.models.sources.fixed_width import FixedColumn, FixedWidthSource, ShortLines
from shared.definitions.models.sources.json_text import JsonSource
from shared.definitions.models.sources.parquet import ParquetSource
from shared.definitions.models.sources.rest import RestColumn, RestSource
from shared.definitions.models.sources.sql import SqlSource
from shared.definitions.models.sources.watermark import Watermark, WatermarkedSource

__all__ = [
    "KINDS",
    "DelimitedSource",
    "DynamicsSource",
    "EventsSource",
    "ExcelSource",
    "FixedColumn",
    "FixedWidthSource",
    "JsonSource",
    "ParquetSource",
    "RestColumn",
    "RestSource",
    "SelfDescribing",
    "ShortLines",
    "Source",
    "SourceModel",
    "SqlSource",
    "Watermark",
    "WatermarkedSource",
]

Source = Annotated[
    DelimitedSource
    | DynamicsSource
    | EventsSource
    | ExcelSource
    | FixedWidthSource
    | JsonSource
    | ParquetSource
    | RestSource
    | SqlSource,
    Discriminator("type"),
]
KINDS: Final[Mapping[str, type[SourceModel]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(Source)[0])
}
"""What `type` says -> the model of this kind."""
