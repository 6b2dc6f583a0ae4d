"""The keys of a Dataverse environment: where it is and how the app signs in. Destinations and connections have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, Field, Tag

from shared.definitions.models.base import WHOLE, Model, Seconds, Text
from shared.definitions.models.names import names_in
from shared.definitions.models.secrets import (
    ONE_OR_MANY,
    ClientId,
    EnvironmentSecret,
    KeyVaultSecret,
    SecretReference,
)
from shared.definitions.models.service_url import checked_service_url

__all__ = ["CONNECTION", "ApplicationUser", "ConnectionName", "DynamicsEnvironment", "Options", "WriteOptions"]

_Value = TypeVar("_Value")
ConnectionName = Text
CONNECTION: Final = (
    "Name of a connection, which has the keys of the environment; keys that are written here replace its keys. A "
    'parameter can choose it: `"@environment"`.'
)


def _user_id(text: str) -> str:
    """Refuse text that is not an id and not a parameter that could be one."""
    if not names_in(text):
        try:
            UUID(text)
        except ValueError:
            raise ValueError("an object id such as 00000000-0000-0000-0000-000000000000 is required here") from None
    return text


class WriteOptions(Model):
    """Options of the writes."""

    bypass_custom_logic: tuple[Literal["sync", "async"], ...] = Field(
        default=(),
        description="Plug-ins and workflows that the writes do not start (`MSCRM.BypassBusinessLogicExecution`).",
    )
    suppress_flows: bool = Field(
        default=False,
        description="The writes do not start Power Automate flows (`MSCRM.SuppressCallbackRegistrationExpanderJob`).",
    )
    detect_duplicates: bool = Field(
        default=False,
        description="Dataverse applies its duplicate detection rules (`MSCRM.SuppressDuplicateDetection`).",
    )
    run_as: Annotated[Text, AfterValidator(_user_id)] | None = Field(
        default=None, description="Entra object id of the user on whose behalf the app writes (`CallerObjectId`)."
    )
    bulk_delete_from: Annotated[int, Field(ge=1), WHOLE] | None = Field(
        default=None,
        description="A run that deletes at least this number of records uses the `BulkDelete` jobs of Dataverse. "
        "They need no request for each row, but they can wait in a queue. Plug-ins run; the other options do not "
        "apply to these jobs. Without this key they are not used; elastic tables never use them.",
    )


Auth = Literal["client_secret", "client_certificate", "managed_identity", "federated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationUser:
    """One set of credentials.

    Attributes:
        client_id: Application id, or where to find it; None for the system-assigned managed identity.
        client_secret: Where to find the secret; None where there is none.
        client_certificate: Where to find the certificate with its key; None where there is none.
        certificate_password: Where to find the password of the certificate's file or key.
        auth: How it signs in.
    """

    client_id: str | KeyVaultSecret | EnvironmentSecret | None
    client_secret: KeyVaultSecret | EnvironmentSecret | None = None
    client_certificate: KeyVaultSecret | EnvironmentSecret | None = None
    certificate_password: KeyVaultSecret | EnvironmentSecret | None = None
    auth: Auth = "client_secret"


Options = Annotated[WriteOptions, Field(description="Options of the writes.")]


class DynamicsEnvironment(Model):
    """Where a Dataverse environment is, and how the app signs in."""

    type: Literal["dynamics"] = Field(description="Microsoft Dynamics 365 / Dataverse.")
    service_url: Annotated[Text, AfterValidator(checked_service_url)] | None = Field(
        default=None,
        description="URL of the Web API: `https://org.api.crm.dynamics.com/api/data/v9.2/`. Required; in a definition "
        "only without `connection`.",
    )
    tenant_id: Text | None = Field(
        default=None, description="Id or domain of the Entra tenant; without it the app asks the service."
    )
    auth: Auth = Field(
        default="client_secret",
        description="How the app signs in: as an application user with a secret, with a certificate, with its managed "
        "identity, or by a token that a federated credential of the application trusts.",
    )
    client_id: (
        Annotated[Annotated[ClientId, Tag("one")] | Annotated[tuple[ClientId, ...], Tag("many")], ONE_OR_MANY] | None
    ) = Field(
        default=None,
        description="Application id, or a reference to it; with a list, requests are distributed over several "
        "application users. With"
        " `auth: managed_identity` the id of a user-assigned identity.",
    )
    client_secret: (
        Annotated[
            Annotated[SecretReference, Tag("one")] | Annotated[tuple[SecretReference, ...], Tag("many")], ONE_OR_MANY
        ]
        | None
    ) = Field(default=None, description="Reference to the application's secret; a list if `client_id` is a list.")
    client_certificate: (
        Annotated[
            Annotated[SecretReference, Tag("one")] | Annotated[tuple[SecretReference, ...], Tag("many")], ONE_OR_MANY
        ]
        | None
    ) = Field(
        default=None,
        description="With `auth: client_certificate`: reference to the application's certificate with its private key, "
        "as PEM or as base64 of a PFX file; for a certificate in Key Vault its name. A list if `client_id` is a list.",
    )
    certificate_password: SecretReference | None = Field(
        default=None, description="Reference to the password of the PFX file or of the key, if it has one."
    )
    timeout: Seconds = Field(
        default=100,
        description="Seconds to wait for the next part of an answer; also `90s`, `2m`. A whole answer may take three "
        "times as long.",
    )

    @property
    def application_users(self) -> tuple[ApplicationUser, ...]:
        """The credentials to sign in with, at least one; several share the work."""
        ids = _several(self.client_id)
        if self.auth in ("managed_identity", "federated"):
            return tuple(ApplicationUser(client_id=each, auth=self.auth) for each in ids)
        if self.auth == "client_secret":
            pairs = zip(ids, _several(self.client_secret), strict=True)
            return tuple(ApplicationUser(client_id=each, client_secret=secret) for each, secret in pairs)
        return tuple(
            ApplicationUser(
                client_id=each,
                client_certificate=certificate,
                certificate_password=self.certificate_password,
                auth=self.auth,
            )
            for each, certificate in zip(ids, _several(self.client_certificate), strict=True)
        )


def _several(value: _Value | tuple[_Value, ...]) -> tuple[_Value, ...]:
    return value if isinstance(value, tuple) else (value,)
