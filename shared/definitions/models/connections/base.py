"""What every connection has: a name, and a kind of system that it leads to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.definitions.models.base import LONGEST_NAME, SYNC_NAME, Model

__all__ = ["ConnectionModel"]


class ConnectionModel(Model):
    """What several definitions share about one system: written once, in a file of its own."""

    kind: Literal["connection"] = Field(description="Says that this file is a connection and not a sync.")
    name: str = Field(
        pattern=SYNC_NAME, max_length=LONGEST_NAME, description="The connection's name: `a-z`, `0-9`, `-`; unique."
    )
    description: str = Field(default="", description="Description; no effect.")
    type: str = Field(description="Kind of system.")
