"""What the environment says."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.errors import UserError
from shared.settings import DYNAMICS_CLOUDS, LOCAL_STATE, Settings, environment, function_time_limit

ROOT = Path(__file__).parents[3]
INSIGHTS_KEY = "0a1b2c3d-0000-4444-8888-0123456789ab"


class TestValues:
    def test_every_setting_has_a_default(self) -> None:
        """A laptop needs no configuration at all."""
        settings = Settings.load({})
        assert settings == Settings()
        assert settings.state_store == LOCAL_STATE
        assert settings.allowed_hosts == DYNAMICS_CLOUDS

    def test_values_come_by_their_names(self) -> None:
        """Each variable ends in its field."""
        settings = Settings.load(
            {
                "SYNC_DEFINITIONS": "abfs://definitions/syncs",
                "KEY_VAULT_URL": "https://v.vault.azure.net/",
                "ALLOWED_HOSTS": " A.example , *.b.example,",
                "SOURCE_HOSTS": "Api.example,*.c.example",
                "POST_SYNC_HOSTS": "Hooks.example",
                "LOG_LEVEL": "debug",
                "AzureWebJobsStorage__accountName": "acct",
                "UNKNOWN": "ignored",
            }
        )
        assert settings.sync_definitions == "abfs://definitions/syncs"
        assert settings.key_vault_url == "https://v.vault.azure.net"
        assert settings.allowed_hosts == ("a.example", "*.b.example")
        assert settings.source_hosts == ("api.example", "*.c.example")
        assert settings.post_sync_hosts == ("hooks.example",)
        assert settings.log_level == "DEBUG"
        assert settings.table_endpoint == "https://acct.table.core.windows.net"
        assert settings.blob_endpoint == "https://acct.blob.core.windows.net"

    def test_an_empty_value_counts_as_unset(self) -> None:
        """Azure keeps settings whose value was removed."""
        assert Settings.load({"LOG_LEVEL": "", "STATE_STORE": ""}) == Settings()

    @pytest.mark.parametrize(
        ("values", "store"),
        [
            ({"WEBSITE_SITE_NAME": "app"}, "azure"),
            ({"WEBSITE_SITE_NAME": "app", "STATE_STORE": "sqlite:///x.db"}, "sqlite:///x.db"),
            ({"WEBSITE_SITE_NAME": "app", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}, LOCAL_STATE),
        ],
    )
    def test_a_deployed_app_keeps_state_in_its_storage_account(self, values: dict[str, str], store: str) -> None:
        """The default depends on where the app runs, and a setting wins over it."""
        assert Settings.load(values).state_store == store

    def test_a_deployed_app_reads_files_only_from_its_own_folder(self) -> None:
        """Others are named, separated by commas; elsewhere there is no limit."""
        assert Settings.load({"WEBSITE_SITE_NAME": "app"}).source_roots == ("syncs/data",)
        named = {"WEBSITE_SITE_NAME": "app", "SOURCE_ROOTS": " /mounts/a , syncs/data,"}
        assert Settings.load(named).source_roots == ("/mounts/a", "syncs/data")
        assert Settings.load({}).source_roots == ()

    def test_all_problems_are_reported_together_without_values(self) -> None:
        """A mistyped connection string could hold a key."""
        with pytest.raises(UserError) as caught:
            Settings.load(
                {
                    "STATE_STORE": "s3cr3t",
                    "WORKSPACE_MEMORY": "s3cr3t",
                    "LOG_LEVEL": "s3cr3t",
                    "KEY_VAULT_URL": "s3cr3t",
                }
            )
        lines = caught.value.message.splitlines()
        assert [line.partition(":")[0] for line in lines] == [
            "STATE_STORE",
            "KEY_VAULT_URL",
            "WORKSPACE_MEMORY",
            "LOG_LEVEL",
        ]
        assert "s3cr3t" not in caught.value.message

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("LOG_LEVEL", "loud", "write one of 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
            ("RETENTION_DAYS", "long", "write a whole number, as in 90"),
            ("RETENTION_DAYS", "1.5", "write a whole number, as in 90"),
            ("RETENTION_DAYS", "0", "write a number of at least 1"),
            ("WORKSPACE_MEMORY", "much", "write a size such as 512MB or 2GB"),
        ],
    )
    def test_a_problem_says_what_to_write(self, name: str, value: str, message: str) -> None:
        """In our words, and not in those of the library that checks the settings."""
        with pytest.raises(UserError) as caught:
            Settings.load({name: value})
        assert caught.value.message == f"{name}: {message}"

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("BATCH_SYNC_SCHEDULE", "every minute", "write six fields (second minute hour day month day-of-week)"),
            ("BATCH_SYNC_SCHEDULE", "0 61 * * * *", "this is no schedule; write six fields"),
            ("BATCH_SYNC_SCHEDULE", "0 0 0 31 2 *", "this schedule never occurs"),
            ("BATCH_SYNC_SCHEDULE", "0 0 6 * * 7", "the Functions host knows the days of the week from 0 to 6"),
            ("BATCH_SYNC_SCHEDULE", "0 * * * * 1-07", "the Functions host knows the days of the week from 0 to 6"),
            ("ALLOWED_HOSTS", "a.example,https://b.example", "entry 2 is no host: write names of hosts"),
            ("ALLOWED_HOSTS", "a.example/path", "entry 1 is no host"),
            ("ALLOWED_HOSTS", "a.example:443", "entry 1 is no host"),
            ("ALLOWED_HOSTS", "*", "entry 1 is no host"),
            ("ALLOWED_HOSTS", "a.*.example", "entry 1 is no host"),
            ("ALLOWED_HOSTS", "a.example b.example", "entry 1 is no host"),
            ("ALLOWED_HOSTS", " , ", "write names of hosts"),
            ("SOURCE_HOSTS", ".example", "entry 1 is no host"),
            ("POST_SYNC_HOSTS", "http://hooks.example/", "entry 1 is no host"),
            ("SOURCE_ROOTS", ",", "write folders separated by commas"),
            ("KEY_VAULT_URL", "https://v.vault.azure.net/secrets/a", "write the vault's URL without a path"),
            ("KEY_VAULT_URL", "https://", "write the vault's URL"),
            ("KEY_VAULT_URL", "http://v.vault.azure.net", "write the vault's URL"),
            ("KEY_VAULT_URL", "https://v.vault.azure.net?a=b", "write the vault's URL"),
            ("CONSOLE_SECRETS_VAULT", "https://u@v.vault.azure.net", "write the vault's URL"),
            ("CONSOLE_SECRETS_VAULT", "https://v:99999", "write the vault's URL"),
            ("WORKSPACE_MEMORY", "0MB", "write a size from 16MB to 1000TB"),
            ("WORKSPACE_MEMORY", "99999999TB", "write a size from 16MB to 1000TB"),
            ("WORKSPACE_TEMP", " ", "write the path of a folder that exists"),
            ("WORKSPACE_TEMP", "/not/there", "write the path of a folder that exists"),
            ("WORKSPACE_TEMP", __file__, "write the path of a folder that exists"),
            ("WORKSPACE_TEMP", "/proc\0", "write the path of a folder that exists"),
            ("WORKSPACE_DISK", "1KB", "write a size from 16MB to 1000TB"),
            *(
                ("APPLICATIONINSIGHTS_CONNECTION_STRING", value, "copy the connection string from the overview page")
                for value in (
                    "garbage",
                    " ",
                    "InstrumentationKey=abc",
                    f"InstrumentationKey={INSIGHTS_KEY.upper()}",
                    f"InstrumentationKey={INSIGHTS_KEY};",
                    f"InstrumentationKey={INSIGHTS_KEY}\n",
                    f"InstrumentationKey={INSIGHTS_KEY};IngestionEndpoint=https://a.example/?a=b",
                    f"InstrumentationKey={INSIGHTS_KEY};IngestionEndpoint=a.example",
                    f"InstrumentationKey={INSIGHTS_KEY};LiveEndpoint=a.example",
                    f"InstrumentationKey={INSIGHTS_KEY};Authorization=AAD",
                    "IngestionEndpoint=https://a.example/",
                )
            ),
            ("EVENT_HUB_NAME", "my hub", "write the name alone"),
            ("EVENT_HUB_CONSUMER_GROUP", "$Other", "write the name alone"),
            ("EventHubConnection__fullyQualifiedNamespace", "sb://n.example/", "write the namespace's host"),
            ("AzureWebJobsStorage__accountName", "My Account", "write the account's name alone"),
            ("AzureWebJobsStorage__blobServiceUri", "account.blob.core.windows.net", "write the URL of the service"),
            ("AzureWebJobsStorage__tableServiceUri", "https://a.example/?sig=x", "write the URL of the service"),
            ("AzureWebJobsStorage__queueServiceUri", "https:// a.example", "write the URL of the service"),
        ],
    )
    def test_what_cannot_work_is_refused_at_the_start(self, name: str, value: str, message: str) -> None:
        """And not by the first run that needs it; the value is not repeated."""
        with pytest.raises(UserError) as caught:
            Settings.load({name: value})
        assert caught.value.message.startswith(f"{name}: {message}")
        assert "\n" not in caught.value.message

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("BATCH_SYNC_SCHEDULE", "*/30 * 6-20 * * Mon-Fri"),
            ("BATCH_SYNC_SCHEDULE", "*/5 * * * *"),
            ("BATCH_SYNC_SCHEDULE", "0 0 7 * 7 0/7"),
            ("ALLOWED_HOSTS", "*.crm#.dynamics.com,10.0.0.4,fd00::1,münchen.example,my_host"),
            ("KEY_VAULT_URL", "https://127.0.0.1:8443/"),
            ("WORKSPACE_TEMP", "."),
            ("WORKSPACE_MEMORY", "16MB"),
            ("WORKSPACE_MEMORY", "1.5 GiB"),
            ("EVENT_HUB_CONSUMER_GROUP", "$default"),
            ("AzureWebJobsStorage__blobServiceUri", "http://127.0.0.1:10000/devstoreaccount1"),
        ],
    )
    def test_what_can_work_is_taken(self, name: str, value: str) -> None:
        """Also what is rare."""
        Settings.load({name: value})

    def test_connection_strings_are_not_shown(self) -> None:
        """Settings may be printed."""
        insights = f"InstrumentationKey={INSIGHTS_KEY}"
        settings = Settings.load({"AzureWebJobsStorage": "s3cr3t", "APPLICATIONINSIGHTS_CONNECTION_STRING": insights})
        assert settings.storage_connection == "s3cr3t"
        assert "s3cr3t" not in repr(settings)
        assert INSIGHTS_KEY not in repr(settings)

    @pytest.mark.parametrize(
        "value",
        [
            f"InstrumentationKey={INSIGHTS_KEY}",
            f"instrumentationkey={INSIGHTS_KEY};Authorization=ikey;EndpointSuffix=ai.contoso.com;Location=westeurope",
            (
                f"InstrumentationKey={INSIGHTS_KEY};"
                "IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;"
                f"LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/;ApplicationId={INSIGHTS_KEY}"
            ),
            f"InstrumentationKey={INSIGHTS_KEY};IngestionEndpoint=",
        ],
    )
    def test_an_application_insights_resource_is_taken_where_the_exporter_takes_it(
        self, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is taken at the start does not stop a function later."""
        exporter = pytest.importorskip("azure.monitor.opentelemetry.exporter._connection_string_parser")
        monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", value)
        assert Settings.load({"APPLICATIONINSIGHTS_CONNECTION_STRING": value}).applicationinsights_connection_string
        assert exporter.ConnectionStringParser(value).instrumentation_key == INSIGHTS_KEY


class TestLocalFile:
    def test_values_of_the_file_lie_under_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A real variable wins; numbers and flags in the file become text."""
        write(tmp_path, {"Values": {"LOG_LEVEL": "ERROR", "EVENT_HUB_NAME": "mine", "N": 5, "F": True}})
        monkeypatch.setenv("LOG_LEVEL", "WARNING")
        settings = Settings.load(folder=tmp_path)
        assert (settings.log_level, settings.event_hub_name) == ("WARNING", "mine")
        assert (environment(tmp_path)["N"], environment(tmp_path)["F"]) == ("5", "true")

    def test_a_byte_order_mark_is_read_over(self, tmp_path: Path) -> None:
        """Editors on Windows write one."""
        (tmp_path / "local.settings.json").write_text('\ufeff{"Values": {"ONLY_HERE": "x"}}', "utf-8")
        assert environment(tmp_path)["ONLY_HERE"] == "x"

    @pytest.mark.parametrize("text", ["{", "[]", '{"Values": []}'])
    def test_an_invalid_file_is_reported_with_its_name(self, tmp_path: Path, text: str) -> None:
        """The message says which file."""
        (tmp_path / "local.settings.json").write_text(text)
        with pytest.raises(UserError, match=r"local\.settings\.json"):
            Settings.load(folder=tmp_path)

    def test_the_example_holds_usable_values(self) -> None:
        """A copy of the example can be used as it is."""
        Settings.load(json.loads((ROOT / "local.settings.example.json").read_text())["Values"])


class TestTimeLimit:
    @pytest.mark.parametrize(
        ("host", "values", "limit"),
        [
            ({}, {}, timedelta(minutes=30)),
            ({"functionTimeout": "00:10:00"}, {}, timedelta(minutes=10)),
            ({"functionTimeout": "1.02:00:05"}, {}, timedelta(days=1, hours=2, seconds=5)),
            ({"functionTimeout": "-1"}, {}, None),
            (
                {"functionTimeout": "00:10:00"},
                {"AzureFunctionsJobHost__functionTimeout": "00:05:00"},
                timedelta(minutes=5),
            ),
        ],
    )
    def test_the_hosts_time_limit(
        self, tmp_path: Path, host: dict[str, str], values: dict[str, str], limit: timedelta | None
    ) -> None:
        """host.json says it, an app setting overrides it."""
        (tmp_path / "host.json").write_text(json.dumps(host))
        assert function_time_limit(values, tmp_path) == limit

    @pytest.mark.parametrize("text", ["half an hour", "24:00:00", "00:60:00", "00:00:60", "00:00:00", "0.00:00:00"])
    def test_an_invalid_limit_is_refused(self, text: str, tmp_path: Path) -> None:
        """A typing mistake must not become 'no limit', nor a limit that the host does not take."""
        with pytest.raises(UserError, match=f"functionTimeout is '{text}'"):
            function_time_limit({"AzureFunctionsJobHost__functionTimeout": text}, tmp_path)

    def test_the_shipped_host_file_sets_a_limit(self) -> None:
        """Half an hour, as Flex Consumption gives by default."""
        assert function_time_limit({}, ROOT) == timedelta(minutes=30)


class TestDocumentation:
    def test_the_page_lists_every_setting_as_it_is(self) -> None:
        """docs/settings.md and shared/settings/model.py hold the same names, defaults and texts."""
        page = (ROOT / "docs" / "settings.md").read_text("utf-8")
        rows = re.findall(
            r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| (.*) \|$", page.partition("## Read by the Functions")[0], re.MULTILINE
        )
        assert rows == [
            (field.alias, shown(field.default), field.description) for field in Settings.model_fields.values()
        ]

    def test_nothing_else_reads_the_environment(self) -> None:
        """One module reads the settings, and one finds out whether this is Azure; the others get both as arguments."""
        reads = re.compile(r"\bos\.(environ|getenv|putenv)\b|\bfrom os import .*(environ|getenv)")
        code = [*ROOT.glob("shared/**/*.py"), *ROOT.glob("*_sync/**/*.py"), ROOT / "function_app.py"]
        assert sorted(file.relative_to(ROOT) for file in code if reads.search(file.read_text("utf-8"))) == [
            Path("shared/deployment.py"),
            Path("shared/settings/environment.py"),
        ]


def shown(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def write(folder: Path, content: dict[str, Any]) -> None:
    (folder / "local.settings.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("text", "size"), [("750MB", 750_000_000), ("1.5 GiB", 1_610_612_736), ("20000kb", 20_000_000), ("", None)]
)
def test_a_limit_of_the_disk_is_read_as_duckdb_reads_sizes(text: str, size: int | None) -> None:
    """MB are millions of bytes, MiB are 2^20."""
    assert Settings.load({"WORKSPACE_DISK": text}).workspace_disk_bytes == size
