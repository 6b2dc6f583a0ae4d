"""The settings of the app. docs/settings.md lists every one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.deployment import is_deployed
from shared.errors import UserError
from shared.settings import values as checked
from shared.settings.environment import environment

__all__ = ["DYNAMICS_CLOUDS", "LOCAL_STATE", "Settings"]

# Commercial and GCC, GCC High, DoD, China: the hosts of Microsoft's discovery samples (Cloud.cs).
DYNAMICS_CLOUDS = (
    "*.crm.dynamics.com",
    "*.crm#.dynamics.com",
    "*.crm.microsoftdynamics.us",
    "*.crm.appsplatform.us",
    "*.crm.dynamics.cn",
)
DEPLOYED_ROOT = "syncs/data"
LOCAL_STATE = "sqlite:///.dynamics-sync/state.db"

# The secret parts of a connection string; others, such as AccountName, are known anyway.
_KEYS = re.compile(r"(?:Key|Signature|Password)=([^;]+)", re.IGNORECASE)


class Settings(BaseModel):
    """The settings of the app; a field is its environment variable's name in lower case unless it has an alias."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=str.upper, populate_by_name=True)

    sync_definitions: str = Field(
        default="syncs",
        description="Folder of the definitions: a path or an fsspec URL such as `abfs://container/syncs`.",
    )
    state_store: str = Field(
        default=LOCAL_STATE,
        description="`azure` (tables and blobs of `AzureWebJobsStorage`) or `sqlite:///path`. "
        "When deployed the default is `azure`.",
    )
    key_vault_url: str = Field(default="", description="The vault that `{key_vault: name}` refers to.")
    console_secrets_vault: str = Field(
        default="",
        description="A Key Vault of its own, by its URL, into which the [console](console.md#secrets) writes secrets. "
        "Empty: the console writes none.",
    )
    batch_sync_schedule: str = Field(
        default="0 * * * * *", description="When the timer checks which syncs are due: NCRONTAB, seconds first."
    )
    event_hub_name: str = Field(default="dynamics-sync", description="The event hub from which events are read.")
    event_hub_consumer_group: str = Field(default="$Default", description="The consumer group of this app.")
    workspace_memory: str = Field(
        default="512MB",
        description="Memory limit of one run's DuckDB; above it, DuckDB uses the disk. For example `512MB` or `2GB`.",
    )
    workspace_temp: str = Field(
        default="",
        description="Folder that runs keep their tables in and spill to. Empty: the system's temporary folder.",
    )
    workspace_disk: str = Field(
        default="",
        description="How much of that folder's disk all runs of an instance may use together, such as `750MB`. "
        "Empty: what is free.",
    )
    jobs_per_user: int = Field(
        default=2,
        ge=1,
        le=20,
        description="How many jobs run at the same time with the same environment and application users. More jobs of "
        "one user share its limits.",
    )
    daily_requests: int = Field(
        default=500_000,
        ge=1,
        description="How many requests Dataverse allows the app in 24 hours, for the "
        "[forecast](lifecycle.md#forecast) of a plan. The default is the base of a tenant with Dynamics 365 Enterprise "
        "or Professional; with Power Apps alone it is 25,000.",
    )
    retention_days: int = Field(
        default=90,
        ge=1,
        le=36_500,
        description="How many days the app keeps dead letters, runs with their errors and files, and "
        "[ledgers](ledger.md#the-ledger) and [mirrors](mirror.md) that no run or event uses. Of the last run of each "
        "sync, and of its last success, the row in the log is always kept.",
    )
    journal_days: int = Field(
        default=30,
        ge=0,
        le=36_500,
        description="How many days the app keeps the journals of runs, which [`undo`](undo.md) and `history` need. "
        "With 0 no journals are written.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=DYNAMICS_CLOUDS,
        description="Hosts that may get a token, separated by commas; `*.` means any labels, `#` means digits. "
        "Loopback is always allowed.",
    )
    source_hosts: tuple[str, ...] = Field(
        default=(),
        description="Hosts that sources may read from when deployed, separated by commas; `*.` means any labels. A "
        "host with an internal address must be listed by its whole name. On a laptop hosts are not limited.",
    )
    post_sync_hosts: tuple[str, ...] = Field(
        default=(),
        description="Hosts that HTTP steps after the sync may send to when deployed, separated by commas; `*.` means "
        "any labels. A host with an internal address must be listed by its whole name. On a laptop hosts are not "
        "limited.",
    )
    source_roots: tuple[str, ...] = Field(
        default=(),
        description="Folders that sources may read local files from, separated by commas; links are followed first. "
        "Empty: no limit. When deployed the default is `syncs/data`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The lowest level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`."
    )
    applicationinsights_connection_string: str = Field(
        default="", repr=False, description="The Application Insights resource for spans, metrics and logs."
    )
    azure_client_id: str = Field(default="", description="Client id of the app's user-assigned identity in Azure.")
    functions_admin_key: str = Field(
        default="",
        repr=False,
        description="The deployed app's master key. Only `dynamics-sync start --app` uses it; do not set it in the "
        "app.",
    )
    # The names with two underscores are those that the Functions host itself reads for an identity-based connection.
    storage_connection: str = Field(
        default="",
        alias="AzureWebJobsStorage",
        repr=False,
        description="Connection string of the app's storage account. Leave it out if the app uses its identity.",
    )
    storage_account: str = Field(
        default="",
        alias="AzureWebJobsStorage__accountName",
        description="Name of the storage account, if the app uses its identity.",
    )
    storage_blob_uri: str = Field(
        default="",
        alias="AzureWebJobsStorage__blobServiceUri",
        description="URL of the blob service, if the app uses its identity and the URL cannot be built from the "
        "account's name.",
    )
    storage_table_uri: str = Field(
        default="",
        alias="AzureWebJobsStorage__tableServiceUri",
        description="URL of the table service, if the app uses its identity and the URL cannot be built from the "
        "account's name.",
    )

    storage_queue_uri: str = Field(
        default="",
        alias="AzureWebJobsStorage__queueServiceUri",
        description="URL of the queue service, if the app uses its identity and the URL cannot be built from the "
        "account's name.",
    )

    event_hub_connection: str = Field(
        default="",
        alias="EventHubConnection",
        repr=False,
        description="Connection string of the Event Hubs namespace. Leave it out if the app uses its identity.",
    )
    event_hub_namespace: str = Field(
        default="",
        alias="EventHubConnection__fullyQualifiedNamespace",
        description="The Event Hubs namespace, such as `my-namespace.servicebus.windows.net`, if the app uses its "
        "identity.",
    )

    @field_validator("allowed_hosts", "source_hosts", "post_sync_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        return checked.hosts(value) if isinstance(value, str) else value

    @field_validator("source_roots", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        return checked.folders(value) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("batch_sync_schedule")
    @classmethod
    def _schedule(cls, value: str) -> str:
        return checked.schedule(value)

    @field_validator("workspace_temp")
    @classmethod
    def _folder(cls, value: str) -> str:
        return checked.folder(value)

    @field_validator("workspace_memory", "workspace_disk")
    @classmethod
    def _size(cls, value: str) -> str:
        return checked.size(value)

    @field_validator("state_store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value != "azure" and not re.fullmatch(r"sqlite:///.+", value):
            raise ValueError("write 'azure' or 'sqlite:///path/to/state.db'")
        return value

    @field_validator("key_vault_url", "console_secrets_vault")
    @classmethod
    def _vault(cls, value: str) -> str:
        return checked.vault(value)

    @field_validator("event_hub_name", "event_hub_consumer_group")
    @classmethod
    def _hub(cls, value: str) -> str:
        return checked.hub_name(value)

    @field_validator("event_hub_namespace")
    @classmethod
    def _namespace(cls, value: str) -> str:
        return checked.namespace(value)

    @field_validator("applicationinsights_connection_string")
    @classmethod
    def _insights(cls, value: str) -> str:
        return checked.insights(value)

    @field_validator("storage_account")
    @classmethod
    def _account(cls, value: str) -> str:
        return checked.account(value)

    @field_validator("storage_blob_uri", "storage_table_uri", "storage_queue_uri")
    @classmethod
    def _service(cls, value: str) -> str:
        return checked.service_url(value)

    @property
    def workspace_disk_bytes(self) -> int | None:
        """`workspace_disk` in bytes; None where it is not set."""
        return checked.size_bytes(self.workspace_disk) if self.workspace_disk else None

    @property
    def blob_endpoint(self) -> str:
        """URL of the blob service for a connection by identity; empty where neither account nor URI is set."""
        return self.storage_blob_uri or self._endpoint("blob")

    @property
    def table_endpoint(self) -> str:
        """URL of the table service for a connection by identity; empty where neither account nor URI is set."""
        return self.storage_table_uri or self._endpoint("table")

    @property
    def queue_endpoint(self) -> str:
        """URL of the queue service for a connection by identity; empty where neither account nor URI is set."""
        return self.storage_queue_uri or self._endpoint("queue")

    def _endpoint(self, service: str) -> str:
        return f"https://{self.storage_account}.{service}.core.windows.net" if self.storage_account else ""

    @classmethod
    def load(cls, values: Mapping[str, str] | None = None, *, folder: Path | None = None) -> Settings:
        """Read the settings.

        Args:
            values: What to read instead of the environment; names as in the environment; empty counts as unset.
            folder: The folder of `local.settings.json`; the working folder if not given.

        Raises:
            UserError: A value cannot be used, or the local file cannot be read; all problems at once.
        """
        found = environment(folder) if values is None else values
        chosen: dict[str, Any] = {name: found[name] for name in cls.names() if found.get(name)}
        if is_deployed(found):
            chosen.setdefault("STATE_STORE", "azure")
            chosen.setdefault("SOURCE_ROOTS", DEPLOYED_ROOT)
        try:
            return cls.model_validate(chosen)
        except ValidationError as error:
            raise UserError("\n".join(_said(problem) for problem in error.errors(include_input=False))) from None

    @classmethod
    def secret_names(cls) -> tuple[str, ...]:
        """The environment variables that hold secrets of the app itself; they are left out of its `repr`."""
        return tuple(field.alias or name for name, field in cls.model_fields.items() if not field.repr)

    def secrets(self) -> tuple[str, ...]:
        """Their values, whole and by their parts: a message may repeat the key of a connection string alone."""
        values = (getattr(self, name) for name, field in type(self).model_fields.items() if not field.repr)
        return tuple(secret for value in values for secret in (value, *_KEYS.findall(value)))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The environment variables that are read, in order of declaration."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())


def _said(problem: Mapping[str, Any]) -> str:
    """One problem as pydantic reports it, in the words of the environment; the value itself is not repeated."""
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    return f"{name}: {_wanted(problem['type'], problem.get('ctx', {}))}"


def _wanted(kind: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"write one of {context['expected']}"
        case "less_than_equal":
            return f"write a number of at most {context['le']}"
        case "greater_than_equal":
            return f"write a number of at least {context['ge']}"
        case "int_parsing" | "int_from_float" | "int_type":
            return "write a whole number, as in 90"
    return "this value cannot be used"
