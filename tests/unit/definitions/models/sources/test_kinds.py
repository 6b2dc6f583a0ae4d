"""What the kinds of source have in common, and the rules of each."""

from __future__ import annotations

from typing import Any

import pytest

from shared.definitions import load_definition
from shared.definitions.models.sources import ParquetSource, SelfDescribing
from shared.errors import DefinitionError
from shared.json_paths import steps_of

TEXT = """
name: customers
source: {source}
destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  auth: managed_identity
  id_column: accountid
  mappings: [{{source: number, target: accountnumber}}]
sync_behaviour: {{sync_key: [accountnumber]}}
"""


def problems(source: str) -> list[tuple[str, str]]:
    try:
        load_definition(TEXT.format(source=source))
    except DefinitionError as error:
        return [(problem.path, problem.message) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("columns", "settled"),
    [
        ([], False),
        ([{"name": "a"}], False),
        ([{"name": "a", "type": "text"}, {"name": "b"}], False),
        ([{"name": "a", "type": "text"}, {"name": "b", "formula": "a"}], True),
        ([{"name": "b", "formula": "a"}], False),
    ],
)
def test_a_source_is_settled_when_the_definition_gives_every_type(
    columns: list[dict[str, Any]], *, settled: bool
) -> None:
    """Otherwise the files must be read before an expression can be checked."""
    described = ParquetSource.model_validate({"type": "parquet", "path": "x", "columns": columns})
    assert described.has_all_columns is settled
    assert isinstance(described, SelfDescribing)


def test_columns_may_be_left_out_where_the_files_have_them() -> None:
    """What a mapping reads is then known only in the run."""
    assert problems("{type: parquet, path: x}") == []
    assert problems("{type: parquet, path: x, columns: [{name: double, formula: number * 2}]}") == []
    assert problems("{type: delimited, path: x}") == [
        ("source.columns", "this key is missing (the columns to read and to calculate)")
    ]


def test_named_columns_are_all_that_a_mapping_can_read() -> None:
    """A name that is not among them is a mistake in any kind."""
    message = "no source column has this name; did you mean nubmer?"
    expected = [("destination.mappings[0].source", message)]
    assert problems("{type: parquet, path: x, columns: [{name: nubmer}]}") == expected


def test_notation_without_a_type_is_checked_where_the_type_is_known() -> None:
    """The files may have dates or text; a delimited file has text."""
    column = "columns: [{name: number}, {name: day, time_zone: Europe/Berlin}]"
    assert problems(f"{{type: parquet, path: x, {column}}}") == []
    message = "a time_zone is allowed only for a column of type date"
    assert problems(f"{{type: delimited, path: x, {column}}}") == [("source.columns[1].time_zone", message)]
    wrong = "columns: [{name: number}, {name: day, type: number, time_zone: Europe/Berlin}]"
    assert problems(f"{{type: parquet, path: x, {wrong}}}") == [("source.columns[1].time_zone", message)]


def test_a_listener_needs_the_types_of_all_columns() -> None:
    """Events do not have the types of the files, and no file is read for them."""
    message = "with a listener, name the columns and give each a type: an event does not have the types of the files"
    listener = "\nlistener: {name: events, topic: {format: json}}"
    for columns in ("", ", columns: [{name: number}]"):
        found = problems(f"{{type: parquet, path: x{columns}}}{listener}")
        assert found == [("source.type", message)]
    assert problems(f"{{type: parquet, path: x, columns: [{{name: number, type: text}}]}}{listener}") == []
    assert problems(f"{{type: json, path: x, columns: [{{name: number}}]}}{listener}") == []


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$.a", ("a",)),
        ("$.a.b[0]['c d'][*]", ("a", "b", 0, "c d", None)),
        ('$["a"].b-c', ("a", "b-c")),
        ("$", None),
        ("$[0].a", None),
        ("$..a", None),
        ("$.a[?@.b]", None),
        ("$.a[-1]", None),
        ("a.b", None),
    ],
)
def test_paths_into_nested_values_have_names_and_indices(path: str, steps: tuple[Any, ...] | None) -> None:
    """Any other JSONPath has no meaning for columns of files with types."""
    assert steps_of(path) == steps
