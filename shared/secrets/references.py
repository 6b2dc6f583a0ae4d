"""Secrets by the references that definitions hold."""

from __future__ import annotations

from typing import assert_never

from shared.definitions import EnvironmentSecret, KeyVaultSecret
from shared.secrets.store import SecretStore

__all__ = ["Secrets"]


class Secrets:
    """Finds the store that a reference names and asks it.

    Args:
        key_vault: Answers `{key_vault: name}`.
        environment: Answers `{env: NAME}`.
    """

    def __init__(self, *, key_vault: SecretStore, environment: SecretStore) -> None:
        self._key_vault = key_vault
        self._environment = environment

    def get(self, reference: KeyVaultSecret | EnvironmentSecret, *, fresh: bool = False) -> str:
        """The secret's current value; see `SecretStore.get` for `fresh` and what it raises."""
        match reference:
            case KeyVaultSecret():
                return self._key_vault.get(reference.key_vault, fresh=fresh)
            case EnvironmentSecret():
                return self._environment.get(reference.env, fresh=fresh)
            case _:
                assert_never(reference)
