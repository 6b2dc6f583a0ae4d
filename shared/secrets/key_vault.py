"""Secrets in Azure Key Vault, read by name (the app needs no permission to list)."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.errors import SDK_MISREADS, AbortRun, RetryLater, SyncError, UserError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient

__all__ = ["CACHE_SECONDS", "KeyVaultSecrets"]

# A rotated secret is used ten minutes later at the latest, without a restart.
CACHE_SECONDS = 600.0
RETRY_AFTER = 30.0
# https://{vault}/secrets/{name}[/{version}]
SECRET_URI = re.compile(r"(https://[^/]+)/secrets/([0-9A-Za-z-]{1,127})(?:/([0-9a-fA-F]{32}))?/?")
SECRET_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _SecretAddress:
    """The address of a secret; an empty version means the current one."""

    vault: str
    name: str
    version: str = ""


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
        self._make_credential = credential
        self._credential: TokenCredential | None = None
        self._monotonic = monotonic
        self._options = dict(client_options or {})
        self._clients: dict[str, SecretClient] = {}
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
            value = self._client(address.vault).get_secret(address.name, address.version or None).value
        except AzureError as error:
            raise _explained(error, address) from error
        except SDK_MISREADS as error:
            raise AbortRun(f"{address.vault} did not return a secret: check that it is a Key Vault") from error
        if not isinstance(value, str) or not value:
            raise UserError(f"The secret {address.name!r} in {address.vault} has no value")
        return value

    def _client(self, vault: str) -> SecretClient:
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415 - see _fetch

        if self._credential is None:
            self._credential = self._make_credential()
        if vault not in self._clients:
            # The caller retries: the ten tries of the SDK would take longer than a tick of the timer.
            options = {"retry_total": 3, "retry_backoff_factor": 0.2, "connection_timeout": 10, "read_timeout": 20}
            self._clients[vault] = SecretClient(vault, self._credential, **options | self._options)
        return self._clients[vault]


def _explained(error: Exception, address: _SecretAddress) -> SyncError:
    """What the SDK raised, as what to do next."""
    from azure.core.exceptions import (  # noqa: PLC0415 - see _fetch
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
        ServiceResponseError,
    )

    where = f"the secret {address.name!r} in {address.vault}"
    away = partial(RetryLater, retry_after=RETRY_AFTER)
    match error:
        case ResourceNotFoundError():
            return UserError(f"There is no {where.removeprefix('the ')}: create it or correct the reference")
        case ClientAuthenticationError():
            return AbortRun(
                f"Not signed in to read {where}: {_first_line(error)}. In Azure, give the app an identity; on a "
                f"laptop, sign in with 'az login'"
            )
        case HttpResponseError(status_code=403):
            return _forbidden(error, where)
        case HttpResponseError(status_code=400 | 405 | 409):
            return UserError(f"Key Vault refused {where}: {_first_line(error)}")
        case ServiceRequestError() | ServiceResponseError() | HttpResponseError():
            return away(f"Key Vault was not available when reading {where}: {_first_line(error)}")
        case _:
            return AbortRun(f"Cannot read {where}: {_first_line(error)}")


def _forbidden(error: Exception, where: str) -> SyncError:
    text = str(error)
    if "SecretDisabled" in text or "disabled secret" in text:
        return UserError(
            f"{where[0].upper()}{where[1:]} is disabled or not valid at this time: enable it or set a new one"
        )
    if "ForbiddenByFirewall" in text:
        return AbortRun(f"The vault's firewall blocks access to {where}: allow this network or use a private endpoint")
    return AbortRun(f"No permission to read {where}: give this identity the role 'Key Vault Secrets User' on the vault")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
