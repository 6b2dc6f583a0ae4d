"""The examples of a dynamics source in docs/sources.md are read as the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from shared.definitions import Repository
from shared.definitions.models import DynamicsSource

PAGE = Path("docs/sources.md").read_text("utf-8")
EXAMPLES = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "type: dynamics" in text]
CONNECTION = (
    "kind: connection\nname: crm\ntype: dynamics\nservice_url: https://org.crm.dynamics.com\nauth: managed_identity\n"
)


def test_each_way_has_an_example() -> None:
    """A table, a view, a query, and what is past a watermark."""
    assert [re.findall(r"filter: |view: |fetch_xml: |watermark: ", text)[0] for text in EXAMPLES] == [
        "filter: ",
        "view: ",
        "fetch_xml: ",
        "watermark: ",
    ]


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_can_be_used(tmp_path: Path, text: str) -> None:
    """With a connection, and a mapping of their first column."""
    definition = {
        "name": "accounts",
        "parameters": {"since": {"default": "2024-01-01"}},
        **yaml.safe_load(text),
        "destination": {
            "type": "dynamics",
            "connection": "crm",
            "entity": "account",
            "id_column": "accountid",
            "mappings": [{"value": "'x'", "target": "accountnumber"}],
        },
        "sync_behaviour": {"sync_key": ["accountnumber"]},
    }
    (tmp_path / "accounts.yaml").write_text(yaml.safe_dump(definition), "utf-8")
    (tmp_path / "crm.yaml").write_text(CONNECTION, "utf-8")
    here = Repository(tmp_path, clock=lambda: 0.0)
    assert [file.problems for file in (*here.loaded(), *here.connections().files)] == [(), ()]
    source = here.joined(here.definitions()[0], {}).source
    assert isinstance(source, DynamicsSource)
    assert source.service_url == "https://org.crm.dynamics.com/api/data/v9.2/"
