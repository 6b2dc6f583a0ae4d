"""The examples of docs/lookups.md are mappings that the loader accepts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shared.definitions.models import Lookup, Mapping

EXAMPLES: Final = re.findall(r"```yaml\n(.*?)```", Path("docs/lookups.md").read_text("utf-8"), re.DOTALL)
VALUES: Final = {
    "on_missing": {"reject", "clear", "keep", "create"},
    "on_ambiguous": {"reject", "oldest", "newest"},
}


def mappings(example: str) -> list[Any]:
    value = yaml.safe_load(example)
    if isinstance(value, list):
        return value
    if "mappings" in value:
        return list(value["mappings"])
    return [{"source": "x", "target": "y", **value}]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_mapping_with_a_lookup(example: str) -> None:
    for mapping in mappings(example):
        assert Mapping.model_validate(mapping).lookups


@pytest.mark.parametrize("key", VALUES)
def test_the_page_names_each_value_of_a_policy(key: str) -> None:
    page = Path("docs/lookups.md").read_text("utf-8").partition("## What is not found")[2]
    table = page.partition("\n\n")[2].partition("\n\n")[0]
    rows = table[table.index(f"`{key}`") :]
    section = re.split(r"\n\| `\w+` \|", rows)[0]
    named = set(re.findall(r"`(\w+)`", section)) - {key}
    assert named == VALUES[key]
    for value in VALUES[key]:
        assert Lookup.model_validate({"match": "x", key: value})
