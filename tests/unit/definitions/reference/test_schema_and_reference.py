"""What is made from the models: the JSON Schema and the reference page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from shared.definitions import export_schema
from shared.definitions.models import SyncDefinition
from shared.definitions.reference.example import EXAMPLE
from shared.definitions.reference.page import reference_page
from shared.definitions.reference.schema import schema_text

ROOT = Path(__file__).parents[4]


def errors(document: Any) -> list[str]:
    validator = jsonschema.Draft202012Validator(export_schema())
    return [error.json_path for error in validator.iter_errors(document)]


def example() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE)
    return document


def test_the_schema_is_valid_and_accepts_the_example() -> None:
    """Editors can use it."""
    jsonschema.Draft202012Validator.check_schema(export_schema())

    assert errors(example()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), "Not Good"),
        (("unknown",), 1),
        (("source", "type"), "other"),
        (("source", "columns", 0, "type"), "nubmer"),
        (("destination", "client_secret"), "literal"),
        (("destination", "client_secret"), {"key_vault": "a", "value": "b"}),
        (("destination", "timeout"), "soon"),
        (("destination", "timeout"), 0),
        (("sync_behaviour", "strategy"), "ful"),
        (("sync_behaviour", "sync_key"), []),
        (("sync_behaviour", "changed"), "sometimes"),
        (("sync_behaviour", "safety", "max_delete"), "lots"),
    ],
)
def test_the_schema_refuses_what_the_models_refuse(path: tuple[str | int, ...], value: object) -> None:
    """Mistakes inside one key are seen in the editor already."""
    document: Any = example()
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value

    assert errors(document)


def test_the_schema_accepts_every_form_of_a_secret_reference_and_of_time_outs() -> None:
    """Forms that the loader reads are no mistakes in an editor."""
    document = example()
    for secret in ({"env": "A"}, {"key_vault": "a"}, "@name", [{"env": "A"}, "@b"]):
        document["destination"]["client_secret"] = secret
        assert errors(document) == []
    for timeout in (1, 2.5, "90s", "2 m"):
        document["destination"]["timeout"] = timeout
        assert errors(document) == []


def test_the_files_in_docs_are_current() -> None:
    """Run `python -m shared.definitions.reference` (and with `schema`) when this fails; the module says how."""
    assert (ROOT / "docs" / "definition.md").read_text(encoding="utf-8") == reference_page()
    assert (ROOT / "docs" / "sync.schema.json").read_text(encoding="utf-8") == schema_text()


def test_the_module_prints_what_the_files_hold() -> None:
    """The command of the docstring works."""
    for arguments, expected in (([], reference_page()), (["schema"], schema_text())):
        command = [sys.executable, "-m", "shared.definitions.reference", *arguments]
        done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT, text=True, encoding="utf-8")
        assert done.stdout == expected


def models() -> list[dict[str, Any]]:
    return [each for each in export_schema()["$defs"].values() if "properties" in each]


def test_every_key_is_described_on_the_page() -> None:
    """No key is left to guess."""
    page = reference_page()

    for model in models():
        for key, about in model["properties"].items():
            assert about.get("description") or "$ref" in about, key  # the model behind $ref says the same
            assert f"| `{key}` |" in page


def test_every_model_is_described() -> None:
    """Each section says what it is about."""
    assert all(model.get("description") for model in models())
    assert SyncDefinition.__doc__


def test_loading_definitions_imports_neither_fsspec_nor_duckdb_nor_schedules() -> None:
    """A cold start pays only for what a definition needs."""
    code = (
        "import sys; from shared.definitions import load_definition; "
        "print(sorted({'fsspec', 'duckdb', 'cronsim', 'jsonpath', 'requests', 'azure'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT, text=True)

    assert done.stdout.strip() == "[]"
