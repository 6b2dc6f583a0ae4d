"""The examples of docs/connections.md are read as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from shared.definitions import Repository
from shared.definitions.reference.example import EXAMPLE

PAGE = Path("docs/connections.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
CONNECTIONS = [text for text in EXAMPLES if text.startswith("kind:")]
PARTS = [text for text in EXAMPLES if "destination:" in text]


def test_every_example_is_a_connection_or_a_part_of_a_definition() -> None:
    """None is left out by the tests below."""
    assert len(EXAMPLES) == len(CONNECTIONS) + len(PARTS) == 7


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_the_examples_work_together(tmp_path: Path, connection: str, part: str) -> None:
    """A definition with the destination of an example has the keys of the connection."""
    definition = {**yaml.safe_load(EXAMPLE), "sync_behaviour": {"sync_key": ["accountnumber"]}, **yaml.safe_load(part)}
    definition["parameters"] = {"file_path": {"default": "x"}, "organisation": {"default": "org"}} | definition[
        "parameters"
    ]
    (tmp_path / "sync.yaml").write_text(yaml.safe_dump(definition), "utf-8")
    (tmp_path / "crm.yaml").write_text(connection, "utf-8")
    here = Repository(tmp_path, clock=lambda: 0.0)
    assert [file.problems for file in (*here.loaded(), *here.connections().files)] == [(), ()]
    (found,) = here.definitions()
    assert (here.joined(found, {"environment": "crm"}).destination.service_url or "").startswith("https://")
