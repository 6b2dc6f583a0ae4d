"""Parquet files as a source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.definitions.models.base import Text
from shared.definitions.models.sources.base import SelfDescribing

__all__ = ["ParquetSource"]


class ParquetSource(SelfDescribing):
    """Parquet: a file, a pattern, or a partitioned folder (`year=2024/part-0.parquet`); local or remote."""

    type: Literal["parquet"] = Field(description="Parquet files.")
    path: Text = Field(
        description="A local path or fsspec URL (`abfs://`, `s3://`) of a file or folder; globs are allowed. A folder "
        "means all files below it that end in `.parquet`."
    )
