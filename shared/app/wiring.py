"""The composition root: settings become wired objects. The only place that names adapters.

Adapters are imported where they are wired: a cold start pays for what it uses.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.app.once import made_once
from shared.clock import SystemClock
from shared.dataverse import (
    ClientAssertion,
    ClientCertificate,
    ClientCredentials,
    ClientSecret,
    Connection,
    CredentialTokens,
    Dataverse,
    HttpTransport,
    MetadataCache,
    RetryPolicy,
    TokenProvider,
    write_headers,
)
from shared.dataverse.http.authority import authority_of
from shared.dataverse.http.connection import service_url_of
from shared.dataverse.http.identities import DEVELOPER
from shared.dataverse.http.proofs import ClientProof
from shared.dataverse.http.service import Meter, throttles_for
from shared.dataverse.http.workloads import identity_token, issuer_of
from shared.definitions import (
    ApplicationUser,
    DynamicsEnvironment,
    EnvironmentSecret,
    KeyVaultSecret,
    ParameterValue,
    Repository,
    SecretReference,
    SyncDefinition,
    in_text,
)
from shared.definitions.models import DynamicsSource
from shared.deployment import is_deployed
from shared.errors import UserError
from shared.http.guarded_files import GuardedFiles
from shared.http.reach import ReachableHosts
from shared.remote import OpenUrl, RemoteFiles
from shared.secrets import SecretStore
from shared.settings import Settings
from shared.sources import SourceContext
from shared.state import JobQueue, StateStore

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

    from shared.app.definition_files import DefinitionFiles
    from shared.app.event_hub.opening import OpenedHub
    from shared.app.uploads.addresses import Uploads
    from shared.app.uploads.source_files import SourceContainer
    from shared.secrets.key_vault import KeyVaultSecrets
    from shared.secrets.vault_writer import VaultWriter

__all__ = ["Wiring"]


class Wiring:
    """Makes state stores, secret stores and clients.

    Args:
        settings: The settings of the environment.
        read_environment: Gives the environment as it is now; what `{env: NAME}` reads.
        open_dataverse: Makes the client of an environment, from the arguments `connection`, `tokens` and `cache` of
            `Dataverse`.
        clock: Monotonic seconds: when the folder of definitions is looked at again.

    Attributes:
        patience: How long and how often failed requests are sent again where the caller does not say it.
    """

    def __init__(
        self,
        settings: Settings,
        read_environment: Callable[[], Mapping[str, str]],
        open_dataverse: Callable[..., Dataverse] = Dataverse,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._environment = read_environment
        self._open_dataverse = open_dataverse
        self._metadata = MetadataCache()
        self.open_url: OpenUrl = RemoteFiles.of(settings).open
        self.patience = RetryPolicy()

    @made_once
    def repository(self) -> Repository:
        """The folder of definitions and connections that the settings name."""
        return Repository(self._settings.sync_definitions, clock=self._clock, open_url=self.open_url)

    @made_once
    def definition_files(self) -> DefinitionFiles:
        """The files of that folder, for people who edit them; see `opened` for what it raises."""
        from shared.app.definition_files.opening import opened  # noqa: PLC0415 - runs do without it

        return opened(self, self._settings, self._environment())

    def open_state(self) -> StateStore:
        """Open the state store that the settings name."""
        if self._settings.state_store == "azure":
            from shared.state.azure import open_azure  # noqa: PLC0415 - the Azure SDKs load slowly

            return open_azure(self._settings, self._azure_credential)
        from shared.state.sqlite import SqliteStateStore  # noqa: PLC0415 - loaded where it is used

        return SqliteStateStore(Path(self._settings.state_store.removeprefix("sqlite:///")))

    @made_once
    def event_hub(self) -> OpenedHub | None:
        """The event hub that the settings name, None where they name none; see `open_event_hub` for what it raises."""
        from shared.app.event_hub.opening import open_event_hub  # noqa: PLC0415 - runs do without it

        return open_event_hub(self._settings, self._azure_credential, self.open_blobs)

    def open_blobs(self, endpoint: str) -> BlobServiceClient:
        """Open a storage account.

        Args:
            endpoint: URL of its blob service; for that of the settings, a connection string is used where there is one.

        Raises:
            UserError: The settings name no account.
        """
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - the Azure SDKs load slowly

        if self._settings.storage_connection and endpoint == self._settings.blob_endpoint:
            try:
                return BlobServiceClient.from_connection_string(self._settings.storage_connection)
            except ValueError as error:
                raise UserError("AzureWebJobsStorage is not a connection string of a storage account") from error
        if not endpoint:
            raise UserError("no storage account is set: set AzureWebJobsStorage__accountName to its name")
        return BlobServiceClient(endpoint, credential=self._azure_credential())

    @made_once
    def uploads(self) -> Uploads | None:
        """Addresses to which browsers send files; None where the state is not in a storage account.

        Raises:
            UserError: The settings name no account.
        """
        if self._settings.state_store != "azure":
            return None
        from shared.app.uploads.addresses import Uploads  # noqa: PLC0415 - the Azure SDKs load slowly

        return Uploads(self.open_blobs(self._settings.blob_endpoint))

    @made_once
    def source_container(self) -> SourceContainer | None:
        """Where files of sources are kept beside definitions in a container; None where these are not changed there."""
        location = self._settings.sync_definitions
        if "://" not in location or self.definition_files.read_only:
            return None
        from shared.app.uploads.source_files import SourceContainer  # noqa: PLC0415 - the Azure SDKs load slowly

        return SourceContainer.of(location, self.open_blobs, self._settings.blob_endpoint)

    def open_queue(self) -> JobQueue | None:
        """Open the queue of jobs beside the state store; a file has none."""
        if self._settings.state_store != "azure":
            return None
        from shared.state.azure.job_queue import open_queue  # noqa: PLC0415 - the Azure SDKs load slowly

        return open_queue(self._settings, self._azure_credential)

    @made_once
    def _vault(self) -> KeyVaultSecrets:
        from shared.secrets.key_vault import KeyVaultSecrets  # noqa: PLC0415 - the Azure SDKs load slowly

        return KeyVaultSecrets(self._settings.key_vault_url, self._azure_credential)

    @made_once
    def secret_writer(self) -> VaultWriter | None:
        """Writes secrets for people; None where the settings name no vault for that."""
        vault = self._settings.console_secrets_vault
        if not vault:
            return None
        from shared.secrets.vault_writer import VaultWriter  # noqa: PLC0415 - only the console writes secrets

        return VaultWriter(vault, self._azure_credential, self._vault.forget)

    @made_once
    def _environment_secrets(self) -> SecretStore:
        from shared.secrets.environment import EnvironmentSecrets  # noqa: PLC0415 - loaded where it is used

        return EnvironmentSecrets(self._environment)

    def _azure_credential(self) -> Any:
        """Who the app is in Azure: its managed identity, or the developer who signed in."""
        from shared.http.azure_tokens import app_credential  # noqa: PLC0415 - the Azure SDKs load slowly

        return app_credential(self._settings.azure_client_id or None)

    def secret(self, reference: SecretReference, *, fresh: bool = False) -> str:
        """The value behind a reference; see `SecretStore.get` for what it raises."""
        match reference:
            case KeyVaultSecret(key_vault=name):
                return self._vault.get(name, fresh=fresh)
            case EnvironmentSecret(env=name):
                return self._environment_secrets.get(name, fresh=fresh)

    @made_once
    def _reach(self) -> ReachableHosts:
        return ReachableHosts(hosts=self._settings.source_hosts, limited=is_deployed(self._environment()))

    @made_once
    def _source_files(self) -> GuardedFiles:
        """One for all runs: fsspec keeps the file systems that it made, by what they were made with."""
        return GuardedFiles(RemoteFiles.of(self._settings), self._reach)

    def source_context(
        self,
        values: Mapping[str, ParameterValue],
        rows: int | None = None,
        counted: Callable[[Meter], None] = lambda _meter: None,
    ) -> SourceContext:
        """What a source may need: `values` of parameters, `rows` for its first rows; `counted` gets its meters."""

        def open_tables(source: DynamicsSource) -> closing[Dataverse]:
            client = self._client(source, values, place="source")
            counted(client.service.meter)
            return closing(client)

        return SourceContext(
            parameters=values,
            open_url=self._source_files.open,
            roots=self._settings.source_roots,
            connection=self.repository.connection,
            secret=self.secret,
            renew_secret=self._fetch_anew,
            reach=self._reach,
            open_tables=open_tables,
            throttled=throttles_for(counted),
            clock=SystemClock(),
            rows=rows,
        )

    def step_context(self, values: Mapping[str, ParameterValue]) -> SourceContext:
        """What steps after the sync may need of other systems: that of a source, with hosts of their own."""
        reach = ReachableHosts(
            hosts=self._settings.post_sync_hosts,
            limited=is_deployed(self._environment()),
            setting="POST_SYNC_HOSTS",
            what="a request",
            does="sends requests after the sync only to",
        )
        return replace(self.source_context(values), reach=reach)

    def _fetch_anew(self, reference: SecretReference) -> None:
        """A secret was refused: it may have been rotated since it was cached."""
        self.secret(reference, fresh=True)

    def connected(
        self,
        definition: SyncDefinition,
        values: Mapping[str, ParameterValue],
        *,
        retry_policy: RetryPolicy | None = None,
        bulk_delete_from: int | None = None,
    ) -> Dataverse:
        """A client for a definition's environment, signed in as its application users.

        Args:
            definition: Names the environment.
            values: Values of the definition's parameters.
            retry_policy: How long and how often failed requests are sent again; the default for None.
            bulk_delete_from: From how many deletes on a job of the service makes them; None for never.

        Raises:
            UserError: The address of the service cannot be used.
        """
        destination = definition.destination
        return self._client(
            destination,
            values,
            retry_policy=retry_policy,
            bulk_delete_from=bulk_delete_from,
            write_headers=write_headers(destination.options, values),
            key_match=definition.sync_behaviour.key_match,
        )

    def environment(self, environment: DynamicsEnvironment, **settings: Any) -> Dataverse:
        """A client for an environment without a definition; `settings` are those of `Connection`.

        Raises:
            UserError: The address of the service cannot be used.
        """
        return self._client(environment, {}, place="connection", **settings)

    def lane(self, environment: DynamicsEnvironment, values: Mapping[str, ParameterValue]) -> str:
        """A name that environments share where they have the same address and application users."""
        url = service_url_of(environment.service_url, values, place="destination")
        users = sorted(str(self._client_id(user)) for user in environment.application_users)
        return hashlib.sha256("\n".join((url, *users)).encode()).hexdigest()[:32]

    def _client_id(self, user: ApplicationUser) -> str | None:
        """The id of an application user; None for the system-assigned managed identity."""
        return user.client_id if isinstance(user.client_id, str | None) else self.secret(user.client_id)

    def _client(
        self,
        environment: DynamicsEnvironment,
        values: Mapping[str, ParameterValue],
        *,
        place: str = "destination",
        retry_policy: RetryPolicy | None = None,
        **settings: Any,
    ) -> Dataverse:
        """A client for an environment; `settings` are those of `Connection`, and `place` is the key with its keys."""
        retry_policy = retry_policy or self.patience
        connection = Connection(
            service_url=service_url_of(environment.service_url, values, place=place),
            timeout=min(environment.timeout, retry_policy.seconds),
            retry_policy=retry_policy,
            allowed_hosts=self._settings.allowed_hosts,
            **settings,
        )
        authority = authority_of(
            environment.tenant_id and in_text(environment.tenant_id, values), connection.service_url
        )
        users = [self._application_user(user, authority) for user in environment.application_users]
        return self._open_dataverse(connection=connection, tokens=users, cache=self._metadata)

    def _application_user(self, user: ApplicationUser, authority: str | None) -> TokenProvider:
        client_id = self._client_id(user)
        proof = self._proof(user)
        if client_id is None or user.auth == "managed_identity":
            return CredentialTokens(self._managed_identity(client_id))
        if proof is None:
            return CredentialTokens(self._developer(authority), named=DEVELOPER)
        return ClientCredentials(client_id, proof, transport=HttpTransport(), authority=authority)

    def _proof(self, user: ApplicationUser) -> ClientProof | None:
        """What proves to Entra ID that the app is an application; None where there is no need, or nothing."""
        if user.client_secret is not None:
            return ClientSecret(partial(self.secret, user.client_secret), self._renewing(user.client_secret))
        if user.client_certificate is not None:
            password = user.certificate_password
            return ClientCertificate(
                partial(self.secret, user.client_certificate),
                self._renewing(user.client_certificate, password),
                partial(self.secret, password) if password else None,
            )
        return self._workload() if user.auth == "federated" else None

    def _workload(self) -> ClientAssertion | None:
        """The token that says which workload this is; None on the machine of a developer."""
        variables = self._environment()
        if (issue := issuer_of(variables, HttpTransport())) is not None:
            return ClientAssertion(issue)
        if is_deployed(variables) or variables.get("IDENTITY_ENDPOINT"):
            return ClientAssertion(partial(identity_token, self._managed_identity(None)))
        return None

    def _renewing(self, *references: SecretReference | None) -> Callable[[], None]:
        """What reads secrets anew: they were refused."""

        def renew() -> None:
            for each in references:
                if each is not None:
                    self._fetch_anew(each)

        return renew

    def _managed_identity(self, client_id: str | None) -> Any:
        from shared.http.azure_tokens import managed_identity  # noqa: PLC0415 - the Azure SDKs load slowly

        # An app with only user-assigned identities has none without a name.
        return managed_identity(client_id or self._settings.azure_client_id or None)

    def _developer(self, authority: str | None) -> Any:
        """Who is signed in on this machine with Microsoft's tools."""
        from azure.identity import (  # noqa: PLC0415 - takes half a second to load
            AzureCliCredential,
            AzureDeveloperCliCredential,
            ChainedTokenCredential,
        )

        tenant = authority.rpartition("/")[2] if authority else ""
        return ChainedTokenCredential(
            AzureCliCredential(tenant_id=tenant), AzureDeveloperCliCredential(tenant_id=tenant)
        )
