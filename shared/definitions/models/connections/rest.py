"""An API."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.definitions.models.base import Seconds
from shared.definitions.models.connections.api import ApiAuth, ApiUrl, Headers, RateLimit
from shared.definitions.models.connections.base import ConnectionModel

__all__ = ["RestConnection"]


class RestConnection(ConnectionModel):
    """An API that answers in JSON over HTTP."""

    type: Literal["rest"] = Field(description="An API.")
    url: ApiUrl = Field(description="Its address, such as `https://api.example.com/v1`; sources add their path to it.")
    headers: Headers = Field(
        default_factory=dict, description="Headers of each request: texts, or references to secrets."
    )
    auth: ApiAuth | None = Field(default=None, description="How requests are signed in.")
    timeout: Seconds | None = Field(
        default=None, le=3600, description="Seconds to wait for a connection and for each piece of an answer."
    )
    rate_limit: RateLimit | None = Field(default=None, description="How many requests are sent at most.")
