"""The state store of the deployed app: Azure Tables, and blobs for what is too large for a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.errors import UserError
from shared.settings import Settings
from shared.state.azure._retention import Retention

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["AzureStateStore", "open_azure"]


class AzureStateStore(Retention):
    """Keeps state in the app's storage account; every instance of the app may use it at once.

    Races are settled by ETags: of two writers who read the same row one is refused, and reads again.
    """


def open_azure(settings: Settings, credential: Callable[[], TokenCredential]) -> AzureStateStore:
    """Open the account of `AzureWebJobsStorage`, by connection string where there is one, else by identity.

    Args:
        settings: Names the account.
        credential: Makes the identity's credential where it is needed.

    Raises:
        UserError: The settings name no account.
    """
    if settings.storage_connection:
        return AzureStateStore.by_connection_string(settings.storage_connection)
    if not (settings.table_endpoint and settings.blob_endpoint):
        raise UserError(
            "STATE_STORE is 'azure', but no storage account is set: set AzureWebJobsStorage to a connection string, or "
            "AzureWebJobsStorage__accountName to the name of an account that this app's identity may use"
        )
    return AzureStateStore.by_identity(
        tables=settings.table_endpoint, blobs=settings.blob_endpoint, credential=credential()
    )
