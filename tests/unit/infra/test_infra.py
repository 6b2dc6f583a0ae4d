"""What `azd up` makes, checked without Azure."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

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
    assert sorted(used) == sorted(f"modules/{file.name}" for file in (INFRA / "modules").iterdir())


def test_azd_finds_its_files_and_parameters() -> None:
    """azure.yaml names the folder and the service's tag, and every value that azd gives is a parameter."""
    azure = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
    assert azure["infra"] == {"provider": "bicep", "path": "infra", "module": "main"}
    assert azure["services"] == {"sync": {"project": ".", "host": "function", "language": "python"}}
    assert "'azd-service-name': 'sync'" in text("main.bicep")
    given = json.loads(text("main.parameters.json"))["parameters"]
    parameters = dict(re.findall(r"^param (\w+) \w+( =)?", text("main.bicep"), re.MULTILINE))
    assert given.keys() <= parameters.keys()
    assert {name for name, default in parameters.items() if not default} <= given.keys()


def test_the_app_gets_settings_that_it_knows() -> None:
    """Every app setting is read by this program or listed among those of the host, and those of the triggers are set."""
    section = text("modules/app.bicep").partition("name: 'appsettings'")[2].partition("output")[0]
    settings = set(re.findall(r"^      (\w+): ", section, re.MULTILINE))
    documented = set(re.findall(r"`([A-Za-z_]+)`", (ROOT / "docs" / "settings.md").read_text("utf-8")))
    assert settings <= documented | set(Settings.names())
    assert {"BATCH_SYNC_SCHEDULE", "EVENT_HUB_NAME", "EVENT_HUB_CONSUMER_GROUP", "STATE_STORE"} <= settings


def test_the_options_of_a_deployment_are_documented() -> None:
    """Every variable of azd that is ours is in docs/deploy.md."""
    ours = {name for name in re.findall(r"\$\{(\w+)", text("main.parameters.json")) if not name.startswith("AZURE_")}
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    assert ours == set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))


def test_nothing_is_reached_by_a_key() -> None:
    """Storage and event hub refuse keys, the vault goes by roles, and no file asks for a key."""
    assert "allowSharedKeyAccess: false" in text("modules/storage.bicep")
    assert "disableLocalAuth: true" in text("modules/events.bicep")
    assert "enableRbacAuthorization: true" in text("modules/vault.bicep")
    assert not any(re.search(r"listKeys\(|AccountKey|SharedAccessKey", file.read_text("utf-8")) for file in FILES)


def test_it_runs_on_flex_consumption_with_the_deployment_target() -> None:
    """FC1 and Python 3.13."""
    assert "'FC1'" in text("modules/app.bicep")
    assert "{ name: 'python', version: '3.13' }" in text("modules/app.bicep")


def test_alerts_watch_metrics_that_are_recorded() -> None:
    """A renamed metric would leave an alert silent."""
    assert instruments.__doc__ is not None
    watched = re.findall(r'name == "([\w.]+)"', text("modules/alerts.bicep"))
    assert len(watched) == 4
    assert all(f"| `{name}` |" in instruments.__doc__ for name in watched)


def test_alerts_name_states_that_there_are() -> None:
    """Failed and Refused are severity 1, Completed with errors is 3; a renamed state would leave an alert silent."""
    queries = re.findall(
        r"severity: (\d)\n    query: '[^']*customDimensions.state\) (?:in|==) ([^']*)'", text("modules/alerts.bicep")
    )
    watched = {severity: set(re.findall(r'"([^"]+)"', states)) for severity, states in queries}
    assert watched == {
        "1": {RunState.FAILED.value, RunState.REFUSED.value},
        "3": {RunState.COMPLETED_WITH_ERRORS.value},
    }
