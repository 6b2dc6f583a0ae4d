"""A Dataverse environment."""

from __future__ import annotations

from shared.definitions.models.connections.base import ConnectionModel
from shared.definitions.models.dynamics_environment import DynamicsEnvironment, Options, WriteOptions

__all__ = ["DynamicsConnection"]


# Both describe `type`; the description of the environment is used.
class DynamicsConnection(DynamicsEnvironment, ConnectionModel):
    """A Dataverse environment that several definitions share."""

    options: Options = WriteOptions()
