"""References to secrets. A definition never holds a secret, so a text where one belongs is refused and not repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo

from shared.definitions.base import Model

__all__ = ["REFERENCE_REMEDY", "SECRET_PLACE", "EnvironmentSecret", "KeyVaultSecret", "SecretPlace", "SecretReference"]

REFERENCE_REMEDY: Final = (
    "a secret is never written here: write {key_vault: name}, {env: NAME} or the @name of a parameter"
    " whose formula is SECRET('name') (what stands here is not shown)"
)


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Marks a field that a secret belongs to: nothing at or below it is ever repeated in a message."""


SECRET_PLACE: Final = SecretPlace()

# Key Vault names: 1 to 127 letters, digits and hyphens.
# https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name
_VAULT_NAME = r"[0-9A-Za-z-]{1,127}"
_VAULT_URI = rf"https://[0-9A-Za-z.-]+(?::[0-9]+)?/secrets/{_VAULT_NAME}(?:/[0-9A-Za-z]*)?/?"
_LOOPBACK_URI = rf"http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?/secrets/{_VAULT_NAME}(?:/[0-9A-Za-z]*)?/?"


class KeyVaultSecret(Model):
    """A secret in Key Vault."""

    key_vault: str = Field(
        pattern=rf"^(?:{_VAULT_NAME}|{_VAULT_URI}|{_LOOPBACK_URI})$",
        description="A secret's name in the vault of `KEY_VAULT_URL`, or a full secret URI.",
    )


class EnvironmentSecret(Model):
    """A secret in an environment variable, for work on a laptop."""

    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The environment variable's name.")


def _kind(value: object) -> str:
    wants_env = isinstance(value, EnvironmentSecret) or (isinstance(value, dict) and "env" in value)
    return "env" if wants_env else "key_vault"


def _reference(value: object, info: ValidationInfo) -> object:
    """Turn the `@name` of a SECRET parameter into the reference that its formula holds; refuse any other text."""
    if not isinstance(value, str):
        return value
    known = cast("dict[str, str]", (info.context or {}).get("secrets", {}))
    if (found := re.fullmatch(r"@([A-Za-z_][A-Za-z0-9_]*)", value)) and found[1] in known:
        return {"key_vault": known[found[1]]}
    raise ValueError(REFERENCE_REMEDY)


_Reference = Annotated[KeyVaultSecret, Tag("key_vault")] | Annotated[EnvironmentSecret, Tag("env")]
_ParameterName = Annotated[str, Field(pattern=r"^@[A-Za-z_][A-Za-z0-9_]*$")]

SecretReference = Annotated[
    Annotated[_Reference, Discriminator(_kind)],
    BeforeValidator(_reference, json_schema_input_type=KeyVaultSecret | EnvironmentSecret | _ParameterName),
    SECRET_PLACE,
]
