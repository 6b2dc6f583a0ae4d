"""What tells a person which row an error belongs to."""

from __future__ import annotations

import pytest

from shared.definitions import SyncDefinition
from shared.reconcile.row_details import PLAIN, SOURCE_LINES, RowDetails
from shared.workspace import Workspace
from tests.unit.transform.world import definition

ERRORS = '_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR'


def sync(*, key: str = "number") -> SyncDefinition:
    """A sync whose key is read, or calculated from it."""
    columns = [{"name": "size"}, {"name": "code", "formula": "concat('N-', number)"}]
    made = definition(columns, [{"source": "size", "target": "revenue"}])
    mappings = tuple(
        each.model_copy(update={"source": key}) if each.target in made.sync_behaviour.sync_key else each
        for each in made.destination.mappings
    )
    return made.model_copy(update={"destination": made.destination.model_copy(update={"mappings": mappings})})


@pytest.fixture
def loaded(workspace: Workspace) -> Workspace:
    """Two rows, of which the second is in error."""
    workspace.execute("CREATE TABLE source_raw (_row BIGINT, number VARCHAR, size VARCHAR)")
    workspace.execute("INSERT INTO source_raw VALUES (1, 'A', '5'), (2, 'B', 'big')")
    workspace.execute("CREATE TABLE shaped AS SELECT _row, concat('N-', number) AS code FROM source_raw")
    workspace.execute(f"CREATE TABLE source_errors ({ERRORS})")
    workspace.execute("INSERT INTO source_errors VALUES (2, 'size', 'Invalid Format Exception', true, 'not a number')")
    return workspace


def examples(workspace: Workspace, details: RowDetails) -> list[tuple[object, ...]]:
    return workspace.query(details.examples_query(), [[2], ["size"]])


def test_a_row_is_named_by_its_key(loaded: Workspace) -> None:
    """As the source has it, or as it is calculated; values only where they are asked for."""
    assert examples(loaded, RowDetails.of(sync(), values=False)) == [(2, "size", "B", None, None, None)]
    assert examples(loaded, RowDetails.of(sync(key="code"), values=True)) == [(2, "size", "N-B", "big", None, None)]
    assert examples(loaded, PLAIN) == [(2, "size", None, None, None, None)]


def test_a_cell_with_an_error_is_shown_as_one(loaded: Workspace) -> None:
    """In the key and in the value, and not as the character that stands for it."""
    loaded.execute("UPDATE source_raw SET number = chr(64976), size = chr(64976)")
    details = RowDetails.of(sync(), values=True)
    assert examples(loaded, details) == [(2, "size", "#ERROR!", "#ERROR!", None, None)]


def test_a_key_that_no_column_gives_is_not_told(loaded: Workspace) -> None:
    """It is the result of an expression over several columns."""
    assert RowDetails.of(sync(key="nowhere"), values=False) == PLAIN
    assert examples(loaded, RowDetails.of(sync(key="nowhere"), values=False))[0][2] is None


def test_the_file_has_line_and_value_where_they_are_known(loaded: Workspace) -> None:
    """Header and rows are of one width."""
    loaded.create(SOURCE_LINES)
    loaded.execute("INSERT INTO source_lines VALUES (2, 3, NULL)")
    known = RowDetails.of(sync(), values=True)
    details = RowDetails(key=known.key, values=known.values, lines=True)
    header, query = details.file()
    assert header == ("Row", "Rejected", "Errors", "Key", "Line", "Columns", "Values")
    message = "size: Invalid Format Exception: 'big' is not a number"
    assert loaded.query(query) == [(2, "Yes", message, "B", "3", "size", "size: big")]
    plain_header, plain_query = PLAIN.file()
    assert len(plain_header) == len(loaded.query(plain_query)[0]) == 5
