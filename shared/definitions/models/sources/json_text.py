"""JSON as a source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.definitions.models.base import Json, Text
from shared.definitions.models.sources.base import SourceModel

__all__ = ["JsonSource"]


class JsonSource(SourceModel):
    """JSON: an object on each line (NDJSON), a list of objects, or a document that holds them; plain or gzip."""

    type: Literal["json"] = Field(description="JSON files.")
    path: Text = Field(description="A local path or fsspec URL (`abfs://`, `s3://`); globs are allowed.")
    records: Json | None = Field(
        default=None,
        description="Where the records of a document are, such as `$.data.items[*]`. Without it, the records are the "
        "objects of the list, the object on each line, or the document itself.",
    )
