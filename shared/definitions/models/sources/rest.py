"""JSON over HTTP as a source."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from shared.definitions.models.base import WHOLE, Json, Model, Seconds, Text
from shared.definitions.models.columns import Column
from shared.definitions.models.connections.api import ApiAuth, Headers, RateLimit
from shared.definitions.models.sources.paging import Pagination
from shared.definitions.models.sources.watermark import SentWatermark, WatermarkedSource

__all__ = ["Method", "RestColumn", "RestSource", "Retry"]


class Method(StrEnum):
    """How the API is asked."""

    GET = "GET"
    POST = "POST"


class Retry(Model):
    """How often a request is sent again if the service is not available, throttles, or does not answer."""

    attempts: Annotated[int, Field(ge=1, le=100), WHOLE] = Field(
        default=8, description="Tries of one request, the first included."
    )
    seconds: Seconds = Field(
        default=600, le=86_400, description="Most seconds for one request, with all tries and the waits between them."
    )


class RestColumn(Column):
    """One column of a `rest` source; besides the keys below, it may be read from a header of the answer."""

    header: str | None = Field(
        default=None,
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$",
        description="Read this header of the answer instead of a field, such as `X-Request-Id`; `name` is then only "
        "the name of the column.",
    )


class RestSource(WatermarkedSource):
    """JSON over HTTP: a list of objects, an object on each line (NDJSON), or a document that holds them; in pages."""

    type: Literal["rest"] = Field(description="JSON over HTTP.")
    connection: Text | None = Field(default=None, description="Name of the connection with the address of the API.")
    url: Text | None = Field(
        default=None, description="The address. With a `connection`, it is relative to the address there."
    )
    method: Method = Field(default=Method.GET, description="`GET`, or `POST` for a service that is asked with a body.")
    headers: Headers = Field(
        default_factory=dict,
        description="Headers of each request: texts, or references to secrets. Added to those of the connection.",
    )
    auth: ApiAuth | None = Field(
        default=None, description="How requests are signed in. Replaces `auth` of the connection."
    )
    body: Text | None = Field(
        default=None,
        description="JSON text that is sent with `POST`. Inside quotes, `@name` becomes escaped text, elsewhere a "
        "JSON value.",
    )
    watermark: SentWatermark | None = Field(
        default=None,
        description="Read only what changed since the last run: `@watermark` in `url`, `headers` or `body` asks the "
        "service for it. Needs strategy `upsert`, or `full` with `dropped: ignore`.",
    )
    columns: tuple[RestColumn, ...] = Field(min_length=1, description="The columns to read and to calculate.")
    records: Json | None = Field(
        default=None,
        description="Where the records of an answer are, such as `$.data.items`. Without it, the records are the "
        "objects of the list, the object on each line, or the answer itself.",
    )
    pagination: Pagination | None = Field(
        default=None, description="How the next page is asked for. Without it, one answer has all records."
    )
    rate_limit: RateLimit | None = Field(
        default=None, description="How many requests are sent at most. Replaces `rate_limit` of the connection."
    )
    retry: Retry = Field(default=Retry(), description="How often a request is sent again.")
    timeout: Seconds | None = Field(
        default=None,
        le=3600,
        description="Seconds to wait for a connection and for each piece of an answer. Default that of the "
        "connection, or 100.",
    )
