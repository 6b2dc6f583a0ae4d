"""The properties that infra/ sets are those that were compared with Microsoft's types."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from tests.unit.infra.resources import Property, properties, table

HERE = Path(__file__).parent
INFRA = HERE.parents[2] / "infra"


def test_every_property_was_compared_with_the_types() -> None:
    """`resources.yaml` has each one and no other; after a change it is made anew, as CONTRIBUTING.md says."""
    assert table(INFRA) == yaml.safe_load((HERE / "resources.yaml").read_text("utf-8"))


def test_properties_are_found_in_resources_in_others_in_loops_and_behind_conditions(tmp_path: Path) -> None:
    """With the texts that are written out; resources that are only referred to have none."""
    (tmp_path / "a.bicep").write_text(
        """
resource store 'A/stores@2024-01-01' = if (x) {
  name: 'one'
  dependsOn: [other]
  rules: [for each in all: { name: each, kind: 'Allow' }]

  resource box 'boxes' = { name: '${x}-box' }
}
resource app 'A/apps/config@2024-01-01' = [for each in all: { name: 'settings', ip: x ? 'v4' : { text: 'v6' } }]
resource other 'A/stores@2023-01-01' existing = { name: 'two' }
""",
        "utf-8",
    )
    assert properties(tmp_path) == {
        "A/stores@2024-01-01": {
            Property("name", "one"),
            Property("rules"),
            Property("rules.*.name"),
            Property("rules.*.kind", "Allow"),
        },
        "A/stores/boxes@2024-01-01": {Property("name")},
        "A/apps/config@2024-01-01 settings": {Property("name", "settings"), Property("ip"), Property("ip.text", "v6")},
    }


def test_a_property_that_was_not_compared_is_noticed(tmp_path: Path) -> None:
    """The table of changed files differs."""
    shutil.copytree(INFRA, tmp_path / "infra")
    file = tmp_path / "infra" / "modules" / "vault.bicep"
    file.write_text(
        file.read_text("utf-8").replace("    enableSoftDelete: true\n", "    enableSoftDeletion: true\n"), "utf-8"
    )
    assert table(tmp_path / "infra") != table(INFRA)
