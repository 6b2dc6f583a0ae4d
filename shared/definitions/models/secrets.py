"""References to secrets. A definition never holds a secret, so a text where one belongs is refused and not repeated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag, ValidationInfo

from shared.definitions.models.base import Model, Text

__all__ = [
    "ONE_OR_MANY",
    "REFERENCE_REMEDY",
    "VAULT_SECRET",
    "ClientId",
    "EnvironmentSecret",
    "KeyVaultSecret",
    "SecretMarker",
    "SecretReference",
    "TextOrSecret",
]

REFERENCE_REMEDY: Final = (
    "do not write a secret here: write {key_vault: name}, {env: NAME} or the @name of a parameter whose formula is "
    "SECRET('name') (the value is not shown)"
)


@dataclass(frozen=True, slots=True)
class SecretMarker:
    """Marks a field that can contain a secret: messages repeat nothing at or below it.

    Attributes:
        plain: Whether plain text is allowed too, as for an application's id.
    """

    plain: bool = False


# Key Vault names: 1 to 127 letters, digits and hyphens.
# https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name
_VAULT_NAME = r"[0-9A-Za-z-]{1,127}"
_VAULT_URI = rf"https://[0-9A-Za-z.-]+(?::[0-9]+)?/secrets/{_VAULT_NAME}(?:/[0-9A-Za-z]*)?/?"
# http only for a test server on this machine.
_LOOPBACK_URI = rf"http://(?:localhost|127\.0\.0\.1)(?::[0-9]+)?/secrets/{_VAULT_NAME}(?:/[0-9A-Za-z]*)?/?"
VAULT_SECRET: Final = rf"(?:{_VAULT_NAME}|{_VAULT_URI}|{_LOOPBACK_URI})"


class KeyVaultSecret(Model):
    """A secret in Key Vault."""

    key_vault: str = Field(
        pattern=rf"^{VAULT_SECRET}$",
        description="A secret's name in the vault of `KEY_VAULT_URL`, or a full secret URI.",
    )


class EnvironmentSecret(Model):
    """A secret in an environment variable, for work on a laptop."""

    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="The environment variable's name.")


def _kind(value: object) -> str:
    match value:
        case str():
            return "text"
        case EnvironmentSecret():
            return "env"
        case dict() if "env" in value and "key_vault" not in value:
            return "env"
    return "key_vault"


def _referenced(value: object, info: ValidationInfo) -> object:
    """Turn the `@name` of a SECRET parameter into the reference that its formula holds; anything else stays."""
    known = cast("dict[str, str]", (info.context or {}).get("secrets", {}))
    if isinstance(value, str) and (found := re.fullmatch(r"@([A-Za-z_][A-Za-z0-9_]*)", value)) and found[1] in known:
        return {"key_vault": known[found[1]]}
    return value


def _no_text(value: object, info: ValidationInfo) -> object:
    """Refuse text that is not the `@name` of a SECRET parameter."""
    reference = _referenced(value, info)
    if isinstance(reference, str):
        raise ValueError(REFERENCE_REMEDY)  # noqa: TRY004 - pydantic collects ValueErrors
    return reference


_KeyVault = Annotated[KeyVaultSecret, Tag("key_vault")]
_Environment = Annotated[EnvironmentSecret, Tag("env")]
_ParameterName = Annotated[str, Field(pattern=r"^@[A-Za-z_][A-Za-z0-9_]*$")]

SecretReference = Annotated[
    _KeyVault | _Environment,
    Discriminator(_kind),
    BeforeValidator(_no_text, json_schema_input_type=KeyVaultSecret | EnvironmentSecret | _ParameterName),
    SecretMarker(),
]
TextOrSecret = Annotated[
    _KeyVault | _Environment | Annotated[Text, Tag("text")],
    Discriminator(_kind),
    BeforeValidator(_referenced, json_schema_input_type=KeyVaultSecret | EnvironmentSecret | Text),
    SecretMarker(plain=True),
]
ClientId = TextOrSecret
ONE_OR_MANY: Final = Discriminator(lambda value: "many" if isinstance(value, (list, tuple)) else "one")
