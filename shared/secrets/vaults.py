"""Key vaults as Microsoft's SDK reaches them, and what their refusals mean for a person."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shared.errors import AbortRun, RetryLater, SyncError, UserError, first_line

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretClient

__all__ = ["SECRET_NAME", "VaultRequest", "Vaults", "explained"]

SECRET_NAME: Final = re.compile(r"[0-9A-Za-z-]{1,127}")
RETRY_AFTER: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultRequest:
    """What was asked of a vault, in the words of messages.

    Attributes:
        verb: Such as `read`.
        doing: Such as `reading`.
        role: What the identity needs for it.
    """

    verb: str
    doing: str
    role: str


class Vaults:
    """Clients of vaults, each made at first use. May be used from any thread.

    Args:
        credential: Makes the credential at first use: a managed identity in Azure, the developer's sign-in locally.
        options: Passed to every `SecretClient`.
    """

    def __init__(self, credential: Callable[[], TokenCredential], options: Mapping[str, Any] | None = None) -> None:
        self._make_credential = credential
        self._credential: TokenCredential | None = None
        self._options = dict(options or {})
        self._clients: dict[str, SecretClient] = {}
        self._lock = threading.Lock()

    def client(self, vault: str) -> SecretClient:
        """The client of a vault, by its URL."""
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415 - 0.2 s of import that a cold start does without

        with self._lock:
            if self._credential is None:
                self._credential = self._make_credential()
            if vault not in self._clients:
                # The caller retries: the ten tries of the SDK would take longer than a tick of the timer.
                options = {"retry_total": 3, "retry_backoff_factor": 0.2, "connection_timeout": 10, "read_timeout": 20}
                self._clients[vault] = SecretClient(vault, self._credential, **options | self._options)
            return self._clients[vault]


def explained(error: Exception, asked: VaultRequest, name: str, vault: str) -> SyncError:
    """What the SDK raised, as what to do next.

    Args:
        error: An error of the SDK.
        asked: What was asked of the vault.
        name: Of the secret.
        vault: URL of the vault.
    """
    from azure.core.exceptions import (  # noqa: PLC0415 - see Vaults
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
        ServiceResponseError,
    )

    from shared.http.azure_tokens import TokensUnavailableError  # noqa: PLC0415 - see Vaults

    where = f"the secret {name!r} in {vault}"
    unavailable = partial(RetryLater, retry_after=RETRY_AFTER)
    match error:
        case ResourceNotFoundError():
            return UserError(f"There is no {where.removeprefix('the ')}: create it or correct the reference")
        case TokensUnavailableError():
            return unavailable(f"No token to {asked.verb} {where}: {first_line(error)}")
        case ClientAuthenticationError():
            return AbortRun(
                f"Not signed in to {asked.verb} {where}: {first_line(error)}. In Azure, give the app an identity; on "
                f"a laptop, sign in with 'az login'"
            )
        case HttpResponseError(status_code=403):
            return _forbidden(error, asked, where)
        case HttpResponseError(status_code=409) if "deleted" in str(error):
            return UserError(
                f"{where[0].upper()}{where[1:]} was deleted, and its name is kept until it is purged: choose another "
                f"name, or take it back with 'az keyvault secret recover'"
            )
        case HttpResponseError(status_code=400 | 405 | 409):
            return UserError(f"Key Vault refused {where}: {first_line(error)}")
        case ServiceRequestError() | ServiceResponseError() | HttpResponseError():
            return unavailable(f"Key Vault was not available when {asked.doing} {where}: {first_line(error)}")
        case _:
            return AbortRun(f"Cannot {asked.verb} {where}: {first_line(error)}")


def _forbidden(error: Exception, asked: VaultRequest, where: str) -> SyncError:
    text = str(error)
    if "SecretDisabled" in text or "disabled secret" in text:
        return UserError(
            f"{where[0].upper()}{where[1:]} is disabled or not valid at this time: enable it or set a new one"
        )
    if "ForbiddenByFirewall" in text:
        return AbortRun(f"The vault's firewall blocks access to {where}: allow this network or use a private endpoint")
    return AbortRun(f"No permission to {asked.verb} {where}: give this identity {asked.role} on the vault")
