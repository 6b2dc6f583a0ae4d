"""Names and modules of infra/ fit together; and the check that says so finds mistakes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.infra.bicep import findings

INFRA = Path(__file__).parents[3] / "infra"


def test_names_and_modules_fit_together() -> None:
    """Every module gets exactly its parameters, every output and name that is used exists, and none is left over."""
    assert findings(INFRA) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("main.bicep", "  params: { name: 'id-${token}', location", "  params: { nam: 'id-${token}', location",
         ["module identity has no param nam", "module identity needs param name"]),
        ("main.bicep", "    retentionDays: retentionDays\n", "", ["module storage needs param retentionDays"]),
        ("main.bicep", "    hours: alertHours\n", "    hours: alertHours\n    minutes: 5\n",
         ["module alerts has no param minutes"]),
        ("main.bicep", "vault.outputs.url", "vault.outputs.uri", ["module vault has no output uri"]),
        ("main.bicep", "network!.outputs.appSubnetId", "network!.outputs.subnetId",
         ["module network has no output subnetId"]),
        ("main.bicep", "'modules/vault.bicep'", "'modules/vaults.bicep'",
         ["module vault: there is no file modules/vaults.bicep"]),
        ("main.bicep", "@maxLength(32)", "@maxLenght(32)", ["there is no decorator maxLenght"]),
        ("main.bicep", "    email: alertEmail\n", "    email: ''\n", ["param alertEmail is not used"]),
        ("main.bicep", "var tags = ", "var marks = ", ["there is no name tags", "var marks is not used"]),
        ("main.bicep", "'kv-${token}'", "'kv-${tokens}'", ["there is no name tokens"]),
        ("modules/values.bicep", "trim(address)", "trim(adress)", ["there is no name adress"]),
        ("modules/values.bicep", "cidrSubnet(networkPrefix, 24, 1)", "cidrSubnets(networkPrefix, 24, 1)",
         ["there is no function cidrSubnets"]),
        ("modules/network.bicep", "zones[index].id", "zones[number].id", ["there is no name number"]),
        ("modules/network.bicep", "name: target.zone\n", "name: taget.zone\n", ["there is no name taget"]),
        ("modules/events.bicep", "namespace::hub.name", "namespace::hubs.name", ["there is no name hubs"]),
        ("modules/storage.bicep", "dependsOn: [blobs]", "dependsOn: [blob]", ["there is no name blob"]),
        ("modules/vault.bicep", "output url string", "output link string",
         ["module made has no output url", "module vault has no output url"]),
        ("modules/alerts.bicep", "param hours int\n", "param hours int\nparam hour int = 1\n",
         ["param hour is not used"]),
    ],
)  # fmt: skip
def test_a_planted_mistake_is_found(tmp_path: Path, file: str, old: str, new: str, found: list[str]) -> None:
    """And nothing else is reported but what follows from it."""
    folder = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), "utf-8")
    assert sorted({line.partition(": ")[2] for line in findings(folder)}) == sorted(found)
