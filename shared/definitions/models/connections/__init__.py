"""The kinds of connection: what several definitions share about one system."""

from shared.definitions.models.connections.base import ConnectionModel
from shared.definitions.models.connections.sql import SqlConnection

__all__ = ["ConnectionModel", "SqlConnection"]
