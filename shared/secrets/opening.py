"""The secret stores that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from shared.secrets.environment import EnvironmentSecrets
from shared.secrets.key_vault import KeyVaultSecrets
from shared.secrets.references import Secrets
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["open_secrets"]


def open_secrets(settings: Settings, environment: Callable[[], Mapping[str, str]]) -> Secrets:
    """Wire both stores; nothing is imported or asked before the first secret is.

    Args:
        settings: Where the vault is, and which identity the app runs as.
        environment: Gives the environment as it is now.
    """

    def credential() -> TokenCredential:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - half a second that most starts do without

        return DefaultAzureCredential(managed_identity_client_id=settings.azure_client_id or None)

    return Secrets(
        key_vault=KeyVaultSecrets(settings.key_vault_url, credential), environment=EnvironmentSecrets(environment)
    )
