"""The kinds of connection: what several definitions share about one system."""

from collections.abc import Mapping
from typing import Annotated, Final, get_args

from pydantic import Discriminator

from shared.definitions.models.connections.base import ConnectionModel
from shared.definitions.models.connections.dynamics import DynamicsConnection
from shared.definitions.models.connections.rest import RestConnection
from shared.definitions.models.connections.sql import SqlConnection

__all__ = [
    "CONNECTION_KINDS",
    "Connection",
    "ConnectionModel",
    "DynamicsConnection",
    "RestConnection",
    "SqlConnection",
]

Connection = Annotated[
    # One line for each kind.
    DynamicsConnection | RestConnection | SqlConnection,
    Discriminator("type"),
]
CONNECTION_KINDS: Final[Mapping[str, type[ConnectionModel]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(Connection)[0])
}
"""What `type` says -> the model of this kind."""
