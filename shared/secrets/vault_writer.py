"""Secrets that people write into a vault: their values are set, and never read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from shared.errors import SDK_MISREADS, AbortRun, UserError
from shared.redaction import register_secret
from shared.secrets.vaults import SECRET_NAME, VaultRequest, Vaults, explained

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.secrets import SecretProperties

__all__ = ["MOST_BYTES", "KnownSecret", "VaultWriter"]

MOST_BYTES: Final = 25_000
"""Bytes of a value that Key Vault keeps.
https://learn.microsoft.com/azure/key-vault/secrets/about-secrets"""
_OWNER: Final = "dynamics-sync"  # the tag with the sync that a secret was written for
_MOST_VERSIONS: Final = 1000
# Data actions of Azure roles.
# https://learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault
_ACTION: Final = "Microsoft.KeyVault/vaults/secrets"
_LOOK: Final = VaultRequest(
    verb="look for", doing="looking for", role=f"a role with the data action {_ACTION}/readMetadata/action"
)
_WRITE: Final = VaultRequest(
    verb="write", doing="writing", role=f"a role with the data action {_ACTION}/setSecret/action"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSecret:
    """What is known of a secret without its value.

    Attributes:
        owner: The sync that it was written for; empty where it was made by other means.
        at: When its newest version was made.
    """

    owner: str
    at: datetime | None


class VaultWriter:
    """Writes secrets into one vault. May be used from any thread.

    Args:
        vault: URL of the vault.
        credential: Makes the credential at first use.
        written: Is told the reference of each secret that was written.
        client_options: Passed to the `SecretClient`.
    """

    def __init__(
        self,
        vault: str,
        credential: Callable[[], TokenCredential],
        written: Callable[[str], None],
        *,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.vault = vault.rstrip("/")
        self._vaults = Vaults(credential, client_options)
        self._written = written

    def reference(self, name: str) -> str:
        """The URI by which definitions refer to a secret, whatever its version."""
        return f"{self.vault}/secrets/{name}"

    @staticmethod
    def check(name: str, value: str) -> None:
        """Look at a name and a value without asking the vault.

        Raises:
            UserError: One of them is not possible.
        """
        _check_name(name)
        _check_value(value)

    def known(self, name: str) -> KnownSecret | None:
        """Look for a secret; its value is not asked for.

        Args:
            name: Of the secret.

        Returns:
            What is known of it; None where there is none.

        Raises:
            UserError: The name cannot be one of a secret.
            AbortRun: The app may not look.
            RetryLater: The vault is unavailable.
        """
        from azure.core.exceptions import AzureError, ResourceNotFoundError  # noqa: PLC0415 - see Vaults

        _check_name(name)
        try:
            listed = self._vaults.client(self.vault).list_properties_of_secret_versions(name)
            return _known([*islice(listed, _MOST_VERSIONS)])
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise explained(error, _LOOK, name, self.vault) from error
        except SDK_MISREADS as error:
            raise AbortRun(f"{self.vault} did not list a secret: check that it is a Key Vault") from error

    def write(self, name: str, value: str, owner: str) -> str:
        """Write a secret, as a new version where there is one of this name.

        Args:
            name: Of the secret.
            value: What is kept: up to 25,000 bytes.
            owner: The sync that it is for.

        Returns:
            The URI by which definitions refer to it.

        Raises:
            UserError: The name or the value is not possible, or the vault refuses it.
            AbortRun: The app may not write.
            RetryLater: The vault is unavailable.
        """
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - see Vaults

        self.check(name, value)
        register_secret(value)
        try:
            # The answer repeats the value; nothing of it is used.
            self._vaults.client(self.vault).set_secret(name, value, tags={_OWNER: owner})
        except AzureError as error:
            raise explained(error, _WRITE, name, self.vault) from error
        except SDK_MISREADS as error:
            raise AbortRun(f"{self.vault} did not take a secret: check that it is a Key Vault") from error
        reference = self.reference(name)
        self._written(reference)
        return reference


def _check_name(name: str) -> None:
    if not SECRET_NAME.fullmatch(name):
        raise UserError("the name of a secret has 1 to 127 letters, digits and hyphens")


def _check_value(value: str) -> None:
    if not value:
        raise UserError("the value of the secret is empty")
    if len(value.encode()) > MOST_BYTES:
        raise UserError(f"the value of the secret is too long: a vault keeps up to {MOST_BYTES:,} bytes")
    if "-----BEGIN " in value and "\n" not in value.strip():
        raise UserError(
            "the value is a PEM file without its line breaks: give the certificate as base64 of a PFX file, or send it "
            "to the API of the console"
        )


def _known(versions: list[SecretProperties]) -> KnownSecret | None:
    if not versions:
        return None
    newest_last = sorted(versions, key=lambda each: each.created_on.timestamp() if each.created_on else 0.0)
    owners = [owner for each in newest_last if (owner := (each.tags or {}).get(_OWNER))]
    return KnownSecret(owner=owners[-1] if owners else "", at=newest_last[-1].created_on)
