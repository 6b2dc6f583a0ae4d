"""A Dataverse environment."""

from __future__ import annotations

from shared.definitions.models.connections.base import ConnectionModel
from shared.definitions.models.dynamics_environment import DynamicsEnvironment, Options, WriteOptions

__all__ = ["DynamicsConnection"]


# Both say what `type` is; the environment's word comes first.
class DynamicsConnection(DynamicsEnvironment, ConnectionModel):
    """A Dataverse environment that several definitions share."""

    options: Options = WriteOptions()
