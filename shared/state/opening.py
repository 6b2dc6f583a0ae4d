"""The state store that the settings name."""

from __future__ import annotations

from pathlib import Path

from shared.errors import UserError
from shared.settings import Settings
from shared.state.store import StateStore

__all__ = ["open_state"]


def open_state(settings: Settings) -> StateStore:
    """Open the state store.

    Raises:
        UserError: The settings don't say where it is, or it cannot be opened.
    """
    if settings.state_store == "azure":
        return _open_azure(settings)
    from shared.state.sqlite import SqliteStateStore  # noqa: PLC0415 - not needed in Azure

    return SqliteStateStore(Path(settings.state_store.removeprefix("sqlite:///")))


def _open_azure(settings: Settings) -> StateStore:
    from shared.state.azure import AzureStateStore  # noqa: PLC0415 - a third of a second that SQLite does without

    if settings.storage_connection:
        return AzureStateStore.by_connection_string(settings.storage_connection)
    if not (settings.table_endpoint and settings.blob_endpoint):
        raise UserError(
            "STATE_STORE is 'azure', but no storage account is set: set AzureWebJobsStorage to a connection string, or "
            "AzureWebJobsStorage__accountName to the name of an account that this app's identity may use"
        )
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - see above

    credential = DefaultAzureCredential(managed_identity_client_id=settings.azure_client_id or None)
    return AzureStateStore.by_identity(
        tables=settings.table_endpoint, blobs=settings.blob_endpoint, credential=credential
    )
