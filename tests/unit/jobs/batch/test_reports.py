"""What went wrong in a run, as people see it: one line for each kind of message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml

from shared.definitions import load_definition
from shared.entities import AttributeMetadata, AttributeType, Choice, EntityMetadata
from shared.jobs.batch.reports import Reporting
from shared.reconcile.reports import MOST_KINDS
from shared.reconcile.row_details import SOURCE_LINES, RowDetails
from shared.workspace import Workspace

error_rows, error_files = Reporting().errors, Reporting().files
RAW = 'CREATE TABLE source_raw (_row BIGINT, "No" VARCHAR, "Rev" VARCHAR)'
RECORD = "00000000-0000-0000-0000-{:012d}"


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """The tables that a run leaves behind."""
    with Workspace.open() as opened:
        errors = '_row BIGINT, "column" VARCHAR, error VARCHAR, rejected BOOLEAN, message VARCHAR'
        opened.execute(f"CREATE TABLE source_errors ({errors})")
        opened.execute(f"CREATE TABLE target_errors ({errors}, _id UUID)")
        opened.execute("CREATE TABLE changes (_change BIGINT, action VARCHAR, _row BIGINT, _id UUID, key VARCHAR)")
        opened.execute("CREATE TABLE outcomes (_change BIGINT, result VARCHAR, id UUID, code VARCHAR, message VARCHAR)")
        yield opened


def wrong(workspace: Workspace, row: int, message: str, column: str = "revenue") -> None:
    workspace.execute("INSERT INTO source_errors VALUES (?, ?, 'Invalid Format', true, ?)", [row, column, message])


def refused(workspace: Workspace, row: int, message: str) -> None:
    workspace.execute("INSERT INTO changes VALUES (?, 'insert', ?, NULL, ?)", [row, row, f'{{"number": "A{row}"}}'])
    workspace.execute("INSERT INTO outcomes VALUES (?, 'failed', NULL, '0x1', ?)", [row, message])


def test_each_cause_has_its_own_line_with_its_own_rows(workspace: Workspace) -> None:
    """Two causes of one type in one column have two messages."""
    for row in (1, 4, 9):
        wrong(workspace, row, "not a number")
    wrong(workspace, 2, "not between 0 and 100")
    assert [(found.message, found.rows, found.count) for found in error_rows(workspace)] == [
        ("not a number", (1, 4, 9), 3),
        ("not between 0 and 100", (2,), 1),
    ]


def test_messages_that_name_their_record_are_one_kind(workspace: Workspace) -> None:
    """The first row's message stands for them."""
    for row in (3, 1, 2):
        refused(workspace, row, f"account With Id = {RECORD.format(row)} Does Not Exist, attempt {row}")
    (found,) = error_rows(workspace)
    assert (found.rows, found.count) == ((1, 2, 3), 3)
    assert found.message == f"account With Id = {RECORD.format(1)} Does Not Exist, attempt 1"


def test_the_kinds_of_one_column_are_bounded_and_the_rest_is_counted(workspace: Workspace) -> None:
    """However many messages there are, the log has a few lines for each type and column, and no row is lost."""
    for row in range(1, 101):
        wrong(workspace, row, f"unknown {'x' * row}")
    wrong(workspace, 101, "unknown x")
    wrong(workspace, 102, "other column", column="name")
    of_revenue = [found for found in error_rows(workspace) if found.column == "revenue"]
    assert len(of_revenue) == MOST_KINDS + 1
    assert sum(found.count for found in of_revenue) == 101
    assert (of_revenue[1].message, of_revenue[1].rows) == ("unknown x", (1, 101))
    rest = max(of_revenue, key=lambda found: found.count)
    assert rest.message == f"{100 - MOST_KINDS} further messages, which the CSV files have"
    ((_, text),) = error_files(workspace, "r")
    assert text.count(b"\r\n") == 1 + 102


def test_no_errors_are_no_lines(workspace: Workspace) -> None:
    """A clean run has none."""
    assert error_rows(workspace) == ()


def known(workspace: Workspace, *, values: bool = False) -> Reporting:
    """Reports of a sync whose key is read from the column No."""
    workspace.execute(RAW)
    for row in range(1, 9):
        workspace.execute("INSERT INTO source_raw VALUES (?, ?, ?)", [row, f"K{row}", f"v{row}"])
    columns = [{"name": "No", "alias": "number"}, {"name": "Rev", "alias": "revenue"}]
    mappings = [{"source": "number", "target": "accountnumber"}, {"source": "revenue", "target": "revenue"}]
    source = {"type": "delimited", "path": "x.csv", "columns": columns}
    text = yaml.safe_dump(
        {
            "name": "a",
            "source": source,
            "destination": {
                "type": "dynamics",
                "entity": "account",
                "service_url": "https://org.crm.dynamics.com/api/data/v9.2/",
                "client_id": "app",
                "client_secret": {"env": "SECRET"},
                "id_column": "accountid",
                "mappings": mappings,
            },
            "sync_behaviour": {"sync_key": ["accountnumber"]},
        }
    )
    return Reporting(details=RowDetails.of(load_definition(text), values=values))


def test_errors_name_the_first_rows_by_their_keys(workspace: Workspace) -> None:
    """At most five; what was sent has its key too, and values are left out unless they are asked for."""
    reporting = known(workspace)
    for row in range(1, 8):
        wrong(workspace, row, "not a number")
    refused(workspace, 3, "no")
    of_source, of_sync = reporting.errors(workspace)
    assert of_source.examples == tuple({"row": row, "key": f"K{row}"} for row in range(1, 6))
    assert of_sync.examples == ({"row": 3, "key": "A3"},)


def test_values_are_shown_where_they_are_asked_for(workspace: Workspace) -> None:
    """Under the name of the source column or of the target column."""
    reporting = known(workspace, values=True)
    wrong(workspace, 2, "not a number")
    wrong(workspace, 3, "an earlier row has the same key", column="accountnumber")
    assert [found.examples for found in reporting.errors(workspace)] == [
        ({"row": 3, "key": "K3", "value": "K3"},),
        ({"row": 2, "key": "K2", "value": "v2"},),
    ]


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (False, ["Row,Rejected,Errors,Key,Columns", "2,Yes,revenue: Invalid Format: bad,K2,revenue"]),
        (True, ["Row,Rejected,Errors,Key,Columns,Values", "2,Yes,revenue: Invalid Format: bad,K2,revenue,revenue: v2"]),
    ],
)
def test_the_file_has_keys_and_columns_and_opt_in_values(
    workspace: Workspace,
    *,
    values: bool,
    lines: list[str],
) -> None:
    """A row that could not be read has none of them."""
    reporting = known(workspace, values=values)
    wrong(workspace, 2, "bad")
    ((_, text),) = reporting.files(workspace, "r")
    assert text.decode().splitlines() == lines


def test_all_options_of_a_choice_are_told_once(workspace: Workspace) -> None:
    """On the most frequent text that names none of them, whatever the other rows have."""
    kind = AttributeMetadata(
        name="kind",
        type=AttributeType.PICKLIST,
        choices=(Choice(value=1, labels=("A",)), Choice(value=2, labels=("B",))),
    )
    entity = EntityMetadata(
        logical_name="account",
        entity_set="accounts",
        display_name="Account",
        primary_id="accountid",
        primary_name="name",
        attributes={"kind": kind},
    )
    for row, said in ((1, "a text of 4 characters"), (2, "a text of 5 characters"), (3, "an id")):
        values = [row, f"no option of kind; the value is {said}"]
        workspace.execute("INSERT INTO source_errors VALUES (?, 'k', 'Unknown Choice', true, ?)", values)
    assert [found.message for found in Reporting(entity=entity).errors(workspace)] == [
        "no option of kind; the value is a text of 4 characters. The options of kind are 1 A, 2 B",
        "no option of kind; the value is an id",
    ]


def test_the_line_of_a_row_is_told_where_the_source_knows_it(workspace: Workspace) -> None:
    """In the examples and in the file; the file's name only where there are several."""
    plain = known(workspace)
    reporting = replace(plain, details=replace(plain.details, lines=True))
    workspace.create(SOURCE_LINES)
    workspace.execute("INSERT INTO source_lines VALUES (2, 14, NULL), (3, 5, 'b.csv')")
    for row in (2, 3, 4):
        wrong(workspace, row, "bad")
    (found,) = reporting.errors(workspace)
    assert found.examples == (
        {"row": 2, "key": "K2", "line": 14},
        {"row": 3, "key": "K3", "line": 5, "file": "b.csv"},
        {"row": 4, "key": "K4"},
    )
    ((_, text),) = reporting.files(workspace, "r")
    header, *lines = text.decode().splitlines()
    assert header == "Row,Rejected,Errors,Key,Line,Columns"
    assert [line.split(",")[4] for line in lines] == ["14", "b.csv:5", ""]
