"""What a user writes, as values: the models of a sync, its source, destination, listener and secrets."""

from shared.definitions.models.base import Model
from shared.definitions.models.listener import EventFormat, Listener, ListenerStatus, OffsetReset, Topic
from shared.definitions.models.secrets import EnvironmentSecret, KeyVaultSecret, SecretReference
from shared.definitions.models.source import (
    Case,
    Column,
    ColumnType,
    DelimitedSource,
    EventsSource,
    Replacement,
    Source,
)
from shared.definitions.models.sync import (
    ApplicationUser,
    ChangedWhen,
    DynamicsDestination,
    Expire,
    KeyMatch,
    Mapping,
    NullPolicy,
    Parameter,
    ParameterValue,
    Safety,
    Strategy,
    SyncBehaviour,
    SyncDefinition,
    WriteOptions,
)

__all__ = [
    "ApplicationUser",
    "Case",
    "ChangedWhen",
    "Column",
    "ColumnType",
    "DelimitedSource",
    "DynamicsDestination",
    "EnvironmentSecret",
    "EventFormat",
    "EventsSource",
    "Expire",
    "KeyMatch",
    "KeyVaultSecret",
    "Listener",
    "ListenerStatus",
    "Mapping",
    "Model",
    "NullPolicy",
    "OffsetReset",
    "Parameter",
    "ParameterValue",
    "Replacement",
    "Safety",
    "SecretReference",
    "Source",
    "Strategy",
    "SyncBehaviour",
    "SyncDefinition",
    "Topic",
    "WriteOptions",
]
