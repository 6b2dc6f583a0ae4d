"""A database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.definitions.models.connections.base import ConnectionModel
from shared.definitions.models.secrets import SecretReference

__all__ = ["SqlConnection"]


class SqlConnection(ConnectionModel):
    """A database that SQLAlchemy can read."""

    type: Literal["sql"] = Field(description="A database.")
    url: SecretReference = Field(
        description="Reference to the URL of the database, such as `postgresql+pg8000://user:password@host/database`."
    )
