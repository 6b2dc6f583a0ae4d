"""The settings of the process: the only module that reads environment variables.

On a laptop the `Values` of `local.settings.json` (the file that the Functions Core Tools use) count as environment
variables with lower precedence: a real one of the same name is used first. docs/settings.md lists every setting.
"""

from __future__ import annotations

import json
import os
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from shared.deployment import is_deployed
from shared.errors import UserError

__all__ = [
    "DYNAMICS_CLOUDS",
    "LOCAL_SETTINGS_FILE",
    "LOCAL_STATE",
    "Settings",
    "environment",
    "function_time_limit",
    "reach_directly",
]

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
LOCAL_SETTINGS_FILE = "local.settings.json"

# The secret parts of a connection string; others, such as AccountName, are known anyway.
_KEYS = re.compile(r"(?:Key|Signature|Password)=([^;]+)", re.IGNORECASE)

# As DuckDB takes them: MB are millions of bytes, MiB are 2^20.
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT])(i?)B", re.IGNORECASE)

# Without a `functionTimeout` the host gives an app on Flex Consumption 30 minutes.
DEFAULT_TIME_LIMIT = timedelta(minutes=30)


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
        "[ledgers](ledger.md#the-ledger) and [mirrors](mirror.md) that no run or event uses. The last run of each sync "
        "is always kept.",
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
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator("source_roots", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("workspace_memory", "workspace_disk")
    @classmethod
    def _size(cls, value: str) -> str:
        if not _SIZE.fullmatch(value):
            raise ValueError("write a size such as 512MB or 2GB")
        return value

    @field_validator("state_store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value != "azure" and not re.fullmatch(r"sqlite:///.+", value):
            raise ValueError("write 'azure' or 'sqlite:///path/to/state.db'")
        return value

    @field_validator("key_vault_url", "console_secrets_vault")
    @classmethod
    def _vault(cls, value: str) -> str:
        if value and not value.startswith("https://"):
            raise ValueError("write the vault's URL, such as https://my-vault.vault.azure.net")
        return value.rstrip("/")

    @property
    def workspace_disk_bytes(self) -> int | None:
        """`workspace_disk` in bytes; None where it is not set."""
        if not (size := _SIZE.fullmatch(self.workspace_disk)):
            return None
        number, unit, binary = size.groups()
        return int(float(number) * (1024 if binary else 1000) ** (1 + "KMGT".index(unit.upper())))

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


def environment(folder: Path | None = None) -> Mapping[str, str]:
    """The environment variables, and under them the `Values` of `local.settings.json` in `folder`.

    Raises:
        UserError: The file is there and is not what the Functions Core Tools write.
    """
    return ChainMap(dict(os.environ), _local_values((folder or Path.cwd()) / LOCAL_SETTINGS_FILE))


def reach_directly(hosts: Iterable[str]) -> None:
    """Let libraries reach hosts without the environment's proxy, in addition to its existing exceptions."""
    added = tuple(hosts)
    for name in ("NO_PROXY", "no_proxy"):  # both are read, the lower case first where it is set
        known = [each.strip() for each in os.environ.get(name, "").split(",") if each.strip()]
        if name in os.environ or name.isupper():
            os.environ[name] = ",".join(dict.fromkeys([*known, *added]))


def function_time_limit(values: Mapping[str, str], folder: Path) -> timedelta | None:
    """How long one invocation may take: `functionTimeout` of the host's configuration.

    Args:
        values: The environment; `AzureFunctionsJobHost__functionTimeout` overrides the file, as in the host.
        folder: The folder of `host.json`.

    Returns:
        The limit, or None where the host sets none (`-1`).

    Raises:
        UserError: The value is not a time span.
    """
    text = values.get("AzureFunctionsJobHost__functionTimeout") or _host_value(folder / "host.json", "functionTimeout")
    if not text:
        return DEFAULT_TIME_LIMIT
    if text == "-1":
        return None
    if not (span := re.fullmatch(r"(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})", text)):
        raise UserError(
            f"functionTimeout is {text!r}: write hours:minutes:seconds, such as 00:30:00, or -1 for no limit"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in span.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _local_values(file: Path) -> dict[str, str]:
    values = _json_object(file).get("Values", {})
    if not isinstance(values, dict):
        raise UserError(f'{file}: "Values" must be an object of names and texts')
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _host_value(file: Path, name: str) -> str:
    return str(_json_object(file).get(name, ""))


def _json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file."""
    try:
        found = json.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{file}: is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{file}: must contain a JSON object")
    return found


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
