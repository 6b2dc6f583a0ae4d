"""Secrets in Azure Key Vault, read by name (the app needs no permission to list)."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.errors import SDK_MISREADS, AbortRun, UserError
from shared.secrets.vaults import SECRET_NAME, VaultRequest, Vaults, explained

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["CACHE_SECONDS", "KeyVaultSecrets"]

# A rotated secret is used ten minutes later at the latest, without a restart.
CACHE_SECONDS = 600.0
# https://{vault}/secrets/{name}[/{version}]
SECRET_URI = re.compile(r"(https://[^/]+)/secrets/([0-9A-Za-z-]{1,127})(?:/([0-9a-fA-F]{32}))?/?")
_READ = VaultRequest(verb="read", doing="reading", role="the role 'Key Vault Secrets User'")


@dataclass(frozen=True, slots=True, kw_only=True)
class _SecretAddress:
    """The address of a secret; an empty version means the current one."""

    vault: str
    name: str
    version: str = ""

    def same_secret(self, other: _SecretAddress) -> bool:
        """Whether both name one secret: the service does not tell upper and lower case apart."""
        mine, theirs = (f"{each.vault}/{each.name}".casefold() for each in (self, other))
        return mine == theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    value: str = field(repr=False)
    until: float


class KeyVaultSecrets:
    """Reads secrets from Key Vault and keeps them for at most ten minutes, in memory only.

    Args:
        vault_url: The vault that plain names refer to; empty where only full secret URIs are used.
        credential: Makes the credential at first use: a managed identity in Azure, the developer's sign-in locally.
        monotonic: Gives seconds, for the age of cached values.
        client_options: Passed to every `SecretClient`.
    """

    def __init__(
        self,
        vault_url: str,
        credential: Callable[[], TokenCredential],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._vault_url = vault_url.rstrip("/")
        self._vaults = Vaults(credential, client_options)
        self._monotonic = monotonic
        self._kept: dict[_SecretAddress, _Kept] = {}
        self._lock = threading.Lock()

    def get(self, name: str, *, fresh: bool = False) -> str:
        """See `SecretStore.get`; `name` is a secret's name or its full URI."""
        address = self._address(name)
        with self._lock:  # one request for many threads that ask at once
            kept = self._kept.get(address)
            if kept is None or fresh or kept.until <= self._monotonic():
                kept = _Kept(value=self._fetch(address), until=self._monotonic() + CACHE_SECONDS)
                self._kept[address] = kept
            return kept.value

    def forget(self, name: str) -> None:
        """Ask the vault again at the next use of a secret: it was written anew.

        Args:
            name: As for `get`.
        """
        address = self._address(name)
        with self._lock:
            for kept in [each for each in self._kept if each.same_secret(address)]:
                del self._kept[kept]

    def _address(self, name: str) -> _SecretAddress:
        if found := SECRET_URI.fullmatch(name):
            return _SecretAddress(vault=found[1].lower(), name=found[2], version=found[3] or "")
        if not SECRET_NAME.fullmatch(name):
            raise UserError(
                f"{{key_vault: {name}}} is neither a secret's name (letters, digits and hyphens) nor a secret's URI "
                "(https://my-vault.vault.azure.net/secrets/my-secret)"
            )
        if not self._vault_url:
            raise UserError(
                f"The secret {{key_vault: {name}}} needs a vault: set KEY_VAULT_URL to the vault's URL, such as "
                "https://my-vault.vault.azure.net, or write the secret's full URI"
            )
        return _SecretAddress(vault=self._vault_url, name=name)

    def _fetch(self, address: _SecretAddress) -> str:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - 0.2 s of import that a cold start does without

        try:
            value = self._vaults.client(address.vault).get_secret(address.name, address.version or None).value
        except AzureError as error:
            raise explained(error, _READ, address.name, address.vault) from error
        except SDK_MISREADS as error:
            raise AbortRun(f"{address.vault} did not return a secret: check that it is a Key Vault") from error
        if not isinstance(value, str) or not value:
            raise UserError(f"The secret {address.name!r} in {address.vault} has no value")
        return value
