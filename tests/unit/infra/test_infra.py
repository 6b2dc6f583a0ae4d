"""What `azd up` makes, checked without Azure."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from shared.app.uploads.addresses import CONTAINER
from shared.settings import Settings
from shared.state import RunState
from shared.telemetry import instruments

ROOT = Path(__file__).parents[3]
INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))


def text(name: str) -> str:
    return (INFRA / name).read_text("utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_parses(file: Path) -> None:
    """The syntax tree holds no error and nothing that the parser had to add."""
    tree_sitter = pytest.importorskip("tree_sitter")
    bicep = pytest.importorskip("tree_sitter_bicep")
    parser = tree_sitter.Parser(tree_sitter.Language(bicep.language()))
    assert not parser.parse(file.read_bytes()).root_node.has_error


def test_every_module_is_used() -> None:
    """main.bicep deploys each module once."""
    used = re.findall(r"^module \w+ '(modules/\w+\.bicep)'", text("main.bicep"), re.MULTILINE)
    assert sorted(used) == sorted(f"modules/{file.name}" for file in (INFRA / "modules").glob("*.bicep"))


def test_azd_finds_its_files_and_parameters() -> None:
    """azure.yaml names the folder and the service's tag, and every value that azd gives is a parameter."""
    azure = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
    assert azure["infra"] == {"provider": "bicep", "path": "infra", "module": "main"}
    assert azure["services"] == {"sync": {"project": ".", "host": "function", "language": "python"}}
    assert "'azd-service-name': 'sync'" in text("main.bicep")
    assert azure["requiredVersions"] == {"azd": ">= 1.20.0"}
    assert "1.20 or newer" in (ROOT / "docs" / "deploy.md").read_text("utf-8")
    given = json.loads(text("main.parameters.json"))["parameters"]
    parameters = dict(re.findall(r"^param (\w+) \w+( =)?", text("main.bicep"), re.MULTILINE))
    assert given.keys() <= parameters.keys()
    assert {name for name, default in parameters.items() if not default} <= given.keys()


def test_the_app_gets_settings_that_it_knows() -> None:
    """Every app setting is read by this program or listed among those of the host, and those of the triggers are set."""
    section = text("modules/app.bicep").partition("name: 'appsettings'")[2].partition("resource signIn")[0]
    options = text("main.bicep").partition("options: {")[2].partition("}")[0]
    console = set(re.findall(r"consoleSettings = .*\{ (\w+):", text("modules/app.bicep")))
    settings = set(re.findall(r"^ {4,6}(\w+): ", section + options, re.MULTILINE)) | console
    documented = set(re.findall(r"`([A-Za-z_]+)`", (ROOT / "docs" / "settings.md").read_text("utf-8")))
    assert settings <= documented | set(Settings.names())
    triggers = {"BATCH_SYNC_SCHEDULE", "EVENT_HUB_NAME", "EVENT_HUB_CONSUMER_GROUP"}
    assert settings >= triggers | {"STATE_STORE", "SYNC_DEFINITIONS", "RETENTION_DAYS", "WORKSPACE_DISK"}


def test_people_sign_in_before_the_console_and_without_a_secret() -> None:
    """The platform asks for a sign-in, keeps no tokens, and has the setting that names the app's identity."""
    section = text("modules/app.bicep").partition("resource signIn")[2]
    assert "if (!empty(consoleClientId))" in section
    assert "requireAuthentication: true" in section
    assert "clientSecretSettingName: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'" in section
    assert "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: identityClientId" in text("modules/app.bicep")
    assert "tokenStore: { enabled: false }" in section


def test_what_is_kept_for_days_is_set_for_the_app_and_to_the_storage_account() -> None:
    """With the same default and no days that the app refuses; the account removes what a stopped app leaves, later."""
    main, parameters = text("main.bicep"), json.loads(text("main.parameters.json"))["parameters"]
    assert parameters["retentionDays"] == {"value": f"${{RETENTION_DAYS={Settings().retention_days}}}"}
    assert f"param retentionDays int = {Settings().retention_days}\n" in main
    assert "RETENTION_DAYS: string(retentionDays)" in main
    assert "    retentionDays: retentionDays\n" in main
    assert "daysAfterModificationGreaterThan: retentionDays + " in text("modules/storage.bicep")
    found = re.search(r"@minValue\((\d+)\)\n@maxValue\((\d+)\)\nparam retentionDays ", main)
    assert found
    for days in found.groups():
        assert Settings.load({"RETENTION_DAYS": days}).retention_days == int(days)


def test_the_runs_of_an_instance_fit_on_its_disk() -> None:
    """Flex Consumption has 0.8 GB of temporary disk, less what the host keeps there."""
    found = re.search(r"WORKSPACE_DISK: '(.+)'", text("modules/app.bicep"))
    assert found
    limit = Settings.load({"WORKSPACE_DISK": found[1]}).workspace_disk_bytes
    assert limit
    assert 500_000_000 < limit < 800_000_000


def test_settings_of_azd_reach_the_app_and_win() -> None:
    """APP_SETTINGS is merged last, so that provisioning again keeps every setting."""
    assert json.loads(text("main.parameters.json"))["parameters"]["appSettings"] == {"value": "${APP_SETTINGS=}"}
    assert "moreSettings: values.outputs.settings" in text("main.bicep")
    assert "}, consoleSettings, options, moreSettings)" in text("modules/app.bicep")


def test_the_hook_after_a_deployment_can_be_run() -> None:
    """Both scripts are there, and the shell's may be executed, also in a clone."""
    hook = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))["hooks"]["postdeploy"]
    assert all((ROOT / hook[system]["run"]).is_file() for system in ("posix", "windows"))
    assert (ROOT / hook["posix"]["run"]).stat().st_mode & 0o111


def test_every_role_is_given_on_one_resource() -> None:
    """No role assignment has a wider scope than its resource."""
    for file in FILES:
        found = re.findall(
            r"roleAssignments@[\d-]+'.*?\n}\n|roleAssignments@[\d-]+'.*?\n]\n", file.read_text("utf-8"), re.DOTALL
        )
        assert all("scope: " in each for each in found), file


def test_the_options_of_a_deployment_are_documented() -> None:
    """Every variable of azd that is ours is in docs/deploy.md."""
    ours = {name for name in re.findall(r"\$\{(\w+)", text("main.parameters.json")) if not name.startswith("AZURE_")}
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    assert ours == set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))


def test_the_page_names_the_consumer_group_of_the_app() -> None:
    """With another one the command would count events that the app has taken."""
    found = re.search(r"consumergroups' = \{\n +name: '([\w-]+)'", text("modules/events.bicep"))
    assert found
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    assert re.findall(r"EVENT_HUB_CONSUMER_GROUP=(.*)", page) == [found[1]]


def test_nothing_is_reached_by_a_key() -> None:
    """Storage and event hub refuse keys, the vault uses roles, and no file reads a key."""
    assert "allowSharedKeyAccess: false" in text("modules/storage.bicep")
    assert "disableLocalAuth: true" in text("modules/events.bicep")
    assert "enableRbacAuthorization: true" in text("modules/vault.bicep")
    assert not any(re.search(r"listKeys\(|AccountKey|SharedAccessKey", file.read_text("utf-8")) for file in FILES)


def test_the_app_sets_secrets_of_the_console_and_reads_them_for_its_runs_and_no_more() -> None:
    """Two roles on the vault: one of our own that only sets, and the built-in one that only reads."""
    section = text("modules/secrets.bicep")
    assert re.findall(r"ataActions: \[(.*)\]", section) == ["'Microsoft.KeyVault/vaults/secrets/setSecret/action'", ""]
    assert "  actions: []\n" in section
    assert "var here = resourceGroup().id\n" in section
    assert "assignableScopes: [here]\n" in section
    both = section + text("modules/vault.bicep")
    given = re.findall(r"resource appMay\w* .*?roleDefinitionId: (.*?)\n", both, re.DOTALL)
    assert given == ["writer.id", "subscriptionResourceId('Microsoft.Authorization/roleDefinitions', secretsUser)"]


def test_the_vault_of_the_console_is_made_on_demand_and_told_to_the_app() -> None:
    """It is off by default; its endpoint uses the zone of the other vault, which is the last target."""
    assert json.loads(text("main.parameters.json"))["parameters"]["consoleSecrets"] == {
        "value": "${CONSOLE_SECRETS=false}"
    }
    assert "module secrets 'modules/secrets.bicep' = if (consoleSecrets) {" in text("main.bicep")
    assert "CONSOLE_SECRETS_VAULT: secretsUrl" in text("modules/app.bicep")
    targets = text("modules/network.bicep").partition("var targets = [")[2].partition("]")[0].strip().splitlines()
    assert "privatelink.vaultcore.azure.net" in targets[-1]
    assert "zones[length(targets) - 1].id" in text("modules/network.bicep")


def test_pages_of_the_console_alone_send_files_to_storage() -> None:
    """By PUT, from the address of the app, and only if there is a console; what is not used is removed after a day."""
    storage, main = text("modules/storage.bicep"), text("main.bicep")
    origin = re.search(r"consoleOrigin: empty\(consoleClientId\) \? '' : 'https://(.+)\.azurewebsites\.net'", main)
    assert origin
    assert f"name: '{origin[1]}'" in text("modules/app.bicep")
    assert "corsRules: empty(consoleOrigin) ? [] : [" in storage
    assert "allowedOrigins: [consoleOrigin]" in storage
    assert "allowedMethods: ['PUT']" in storage
    assert f"var uploads = '{CONTAINER}'\n" in storage
    rule = storage.partition("name: 'uploads'")[2]
    assert "prefixMatch: ['${uploads}/']" in rule
    assert "daysAfterModificationGreaterThan: 1 }" in rule


def test_it_runs_on_flex_consumption_with_the_deployment_target() -> None:
    """FC1 and Python 3.13."""
    assert "'FC1'" in text("modules/app.bicep")
    assert "{ name: 'python', version: '3.13' }" in text("modules/app.bicep")


def test_settings_may_refer_to_secrets_of_the_vault() -> None:
    """Azure reads them with the identity that the app has; by default it takes a system-assigned one.

    https://learn.microsoft.com/azure/app-service/app-service-key-vault-references
    """
    assert "keyVaultReferenceIdentity: identityId" in text("modules/app.bicep")
    assert "app-service-key-vault-references" in (ROOT / "docs" / "deploy.md").read_text("utf-8")


def test_nothing_is_set_that_flex_consumption_refuses() -> None:
    """Azure then refuses the whole app: "... for Flex Consumption sites is invalid" (error 51021).

    https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
    """
    properties = """alwaysOn containerSize ftpsState functionAppScaleLimit functionsRuntimeScaleMonitoringEnabled isReserved
        isXenon javaVersion linuxFxVersion netFrameworkVersion powerShellVersion preWarmedInstanceCount
        use32BitWorkerProcess vnetBackupRestoreEnabled vnetContentShareEnabled vnetImagePullEnabled vnetRouteAllEnabled
        windowsFxVersion"""
    settings = """ENABLE_ORYX_BUILD FUNCTIONS_EXTENSION_VERSION FUNCTIONS_MAX_HTTP_CONCURRENCY
        FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED FUNCTIONS_WORKER_PROCESS_COUNT FUNCTIONS_WORKER_RUNTIME
        FUNCTIONS_WORKER_RUNTIME_VERSION SCM_DO_BUILD_DURING_DEPLOYMENT TZ WEBSITE_CONTENTAZUREFILECONNECTIONSTRING
        WEBSITE_CONTENTOVERVNET WEBSITE_CONTENTSHARE WEBSITE_DNS_SERVER WEBSITE_LOAD_CERTIFICATES
        WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT WEBSITE_NODE_DEFAULT_VERSION WEBSITE_RUN_FROM_PACKAGE
        WEBSITE_SKIP_CONTENTSHARE_VALIDATION WEBSITE_TIME_ZONE WEBSITE_VNET_ROUTE_ALL"""
    refused = {name.lower() for name in (*properties.split(), *settings.split())}
    given = re.findall(
        r"(\w+):", text("modules/app.bicep") + text("main.bicep").partition("options: {")[2].partition("}")[0]
    )
    assert {"siteConfig", "minTlsVersion", "AZURE_CLIENT_ID", "RETENTION_DAYS"} <= set(given)
    assert refused.isdisjoint(name.lower() for name in given)


def test_alerts_watch_metrics_that_are_recorded() -> None:
    """A renamed metric would leave an alert silent."""
    assert instruments.__doc__ is not None
    watched = set(
        re.findall(
            r'name == "(dynamics_sync[\w.]+)"',
            text("modules/alerts.bicep") + text("modules/workbook.json").replace("\\", ""),
        )
    )
    assert len(watched) > 5
    assert all(f"| `{name}` |" in instruments.__doc__ for name in watched)


def test_the_limit_of_events_that_wait_reaches_the_query_of_its_alert() -> None:
    """With the default that the docs give, and down to 0."""
    main, given = text("main.bicep"), json.loads(text("main.parameters.json"))["parameters"]
    found = re.search(r"@minValue\(0\)\nparam alertEvents int = (\d+)\n", main)
    assert found
    assert given["alertEvents"] == {"value": f"${{ALERT_EVENTS={found[1]}}}"}
    assert "    waitingEvents: alertEvents\n" in main
    assert "where least > ${waitingEvents}'" in text("modules/alerts.bicep")
    pages = {name: (ROOT / "docs" / name).read_text("utf-8") for name in ("deploy.md", "monitoring.md")}
    assert f"| `ALERT_EVENTS` | `{found[1]}` |" in pages["deploy.md"]
    assert f"The default of `ALERT_EVENTS`, {int(found[1]):,}," in pages["monitoring.md"]


def test_alerts_name_states_that_there_are() -> None:
    """A renamed state would leave an alert silent."""
    named = re.findall(r"customDimensions\.state\) (?:in|==) (\(.*?\)|\"[^\"]*\")", text("modules/alerts.bicep"))
    states = {state for each in named for state in re.findall(r'"([^"]+)"', each)}
    assert states <= {state.value for state in RunState}
    assert {RunState.FAILED.value, RunState.REFUSED.value, RunState.INTERRUPTED.value} <= states


def test_every_alert_is_explained() -> None:
    """docs/monitoring.md says for each rule, with its severity, what to do."""
    found = re.findall(r"name: '([\w-]+)'\n.*?severity: (\d)", text("modules/alerts.bicep"), re.DOTALL)
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
    assert found
    assert [f"| `{name}` | {severity} |" for name, severity in found] == re.findall(
        r"^\| `[\w-]+` \| \d \|", page, re.MULTILINE
    )


def test_every_metric_is_documented() -> None:
    """The table of docs/monitoring.md is that of the code."""
    assert instruments.__doc__ is not None
    table = [line for line in instruments.__doc__.splitlines() if line.startswith("| `dynamics_sync")]
    page = (ROOT / "docs" / "monitoring.md").read_text("utf-8").splitlines()
    assert [line for line in page if line.startswith("| `dynamics_sync")] == table


def test_outputs_that_the_docs_use_exist() -> None:
    """Every `azd env get-value NAME` of the docs is an output."""
    outputs = set(re.findall(r"^output (\w+) ", text("main.bicep"), re.MULTILINE))
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    used = set(re.findall(r"azd env get-value\s+(\w+)", pages))
    assert used
    assert used <= outputs


def test_the_hub_is_read_from_its_start() -> None:
    """A host that begins at the end passes over the event that woke it."""
    host = json.loads((ROOT / "host.json").read_text("utf-8"))
    assert host["extensions"]["eventHubs"]["initialOffsetOptions"] == {"type": "fromStart"}
