"""What a run keeps of its changes, and what is found in it and left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import duckdb
import pytest

from shared.reconcile.undo.erase import (
    HAS_ID,
    HAS_KEY,
    IN_CHANGES,
    IN_CHANGES_ALONE,
    changes_query,
    ids_query,
    in_ledger_query,
    in_mirror_query,
    ledger_without,
    matching_query,
    mirror_columns_query,
    without_query,
)
from shared.reconcile.undo.journal import (
    ADOPTED,
    DELETED,
    DONE,
    PLANNED,
    SOME_KEY,
    columns_query,
    done_query,
    journal_table,
    not_found_query,
    planned_query,
    record_query,
)

IDS = [UUID(int=number) for number in range(1, 5)]
CHANGES = f"""
CREATE TABLE changes AS SELECT * FROM (VALUES
  (1, 'insert', NULL::UUID, '{{"number": "A1"}}', '{{}}', '{{"name": "One"}}', '', '', 'name', ''),
  (2, 'update', '{IDS[1]}'::UUID, '{{"number": "A2"}}', '{{"name": "Old"}}', '{{"name": "New"}}', '', '', 'name,city', ''),
  (3, 'delete', '{IDS[2]}'::UUID, '{{"number": "A3"}}', '{{}}', '', '', '', '', ''),
  (4, 'update', '{IDS[3]}'::UUID, '{{"number": "A4"}}', '{{}}', '{{"name": "x"}}', '', '', 'name', '')
) AS t(_change, action, _id, key, before, payload, later, links, columns, version)
"""
OUTCOMES = f"""
CREATE TABLE outcomes AS SELECT * FROM (VALUES
  (1, 'applied', '{IDS[0]}'::UUID, true, false), (2, 'applied', NULL::UUID, false, false),
  (3, 'applied', NULL::UUID, false, false), (4, 'failed', NULL::UUID, false, false)
) AS t(_change, result, id, created, sent)
"""
DELETED_RECORD = f"""SELECT '{IDS[2]}'::UUID AS id, '{{"name": "Gone", "fax": "1"}}' AS before"""


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(CHANGES)
        connection.execute(OUTCOMES)
        yield connection


def written(db: duckdb.DuckDBPyConnection, query: str, folder: Path, name: str) -> Path:
    """A part of a journal, as a file."""
    file = folder / f"{name}.parquet"
    db.execute(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
    return file


@pytest.fixture
def parts(db: duckdb.DuckDBPyConnection, tmp_path: Path) -> dict[str, list[Path]]:
    """The parts of a run that came to its end; the changes are in two files."""
    return {
        PLANNED: [written(db, planned_query(*span), tmp_path, f"planned{span[0]}") for span in ((1, 2), (3, 9))],
        DELETED: [written(db, DELETED_RECORD, tmp_path, "deleted")],
        DONE: [written(db, done_query(1, 9), tmp_path, "done")],
    }


def test_a_record_that_others_deleted_before_the_run_is_not_one_that_it_deleted(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]], tmp_path: Path
) -> None:
    """It was compared, and was gone when the run kept what it held. Journals of links keep nothing of this kind."""
    none = written(db, f"{DELETED_RECORD} LIMIT 0", tmp_path, "none")
    for made, actions in (
        ({**parts, DELETED: [none]}, ["insert", "update"]),
        ({**parts, DELETED: []}, ["insert", "update", "delete"]),
    ):
        table = f"SELECT action FROM ({journal_table(made).query}) ORDER BY change"
        assert [action for (action,) in db.sql(table).fetchall()] == actions


def test_a_journal_has_what_was_done_and_what_deleted_records_held(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]]
) -> None:
    """The id of a new record is that of its outcome; a change that failed is not in it."""
    db.execute(f"CREATE TABLE journal AS {journal_table(parts).query}")
    found = db.sql("SELECT action, id, before, result FROM journal ORDER BY change").fetchall()
    assert found == [
        ("insert", IDS[0], "{}", "applied"),
        ("update", IDS[1], '{"name": "Old"}', "applied"),
        ("delete", IDS[2], '{"name": "Gone", "fax": "1"}', "applied"),
    ]
    assert [name for (name,) in db.sql(columns_query()).fetchall()] == ["city", "fax", "name"]
    assert db.sql(SOME_KEY).fetchall() == [('{"number": "A3"}',)]


def test_of_a_run_that_died_any_change_may_have_been_made(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]]
) -> None:
    """But an insert whose id is not known is only counted: nothing can be done about it."""
    del parts[DONE]
    db.execute(f"CREATE TABLE journal AS {journal_table(parts).query}")
    found = db.sql("SELECT change, result FROM journal ORDER BY change").fetchall()
    assert found == [(2, "unknown"), (3, "unknown"), (4, "unknown")]
    assert db.sql(not_found_query(parts)).fetchall() == [(1,)]


def test_a_link_that_may_have_been_made_has_no_id(db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]]) -> None:
    """It is removed by the records that it connects."""
    del parts[DONE]
    db.execute(f"CREATE TABLE journal AS {journal_table(parts, links=True).query}")
    assert db.sql("SELECT change, result FROM journal WHERE action = 'insert'").fetchall() == [(1, "unknown")]


def test_a_change_whose_request_was_not_answered_may_have_been_made(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]], tmp_path: Path
) -> None:
    """So may one without an outcome; one that was not sent has not been made."""
    db.execute("DELETE FROM outcomes WHERE _change = 1")
    db.execute("UPDATE outcomes SET result = 'skipped'")
    db.execute("UPDATE outcomes SET sent = true WHERE _change = 3")
    db.execute(f"UPDATE changes SET _id = '{IDS[0]}' WHERE _change = 1")
    unanswered = {
        PLANNED: [written(db, planned_query(1, 9), tmp_path, "all")],
        DONE: [written(db, done_query(1, 9), tmp_path, "some")],
    }
    db.execute(f"CREATE TABLE journal AS {journal_table(unanswered).query}")
    found = db.sql("SELECT change, id, result FROM journal ORDER BY change").fetchall()
    assert found == [(1, IDS[0], "unknown"), (3, IDS[2], "unknown")]
    assert db.sql(not_found_query(unanswered)).fetchall() == [(0,)]


@pytest.mark.parametrize("result", ["edited", "failed"])
def test_a_change_that_was_refused_after_a_lost_answer_may_have_been_made(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]], tmp_path: Path, result: str
) -> None:
    """The first request may have had its effect; one that was refused at once has not been made."""
    db.execute(f"UPDATE outcomes SET result = '{result}', sent = _change = 2 WHERE _change IN (2, 4)")
    parts = {**parts, DONE: [written(db, done_query(1, 9), tmp_path, "refused")]}
    db.execute(f"CREATE TABLE journal AS {journal_table(parts).query}")
    found = db.sql("SELECT change, result FROM journal WHERE action = 'update'").fetchall()
    assert found == [(2, "unknown")]


def test_a_change_that_left_the_plan_during_the_run_was_not_made(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]], tmp_path: Path
) -> None:
    """Such as the delete of a parent that is kept. One that is in the plan and has no outcome may have been made."""
    db.execute("DELETE FROM changes WHERE _change = 3; DELETE FROM outcomes WHERE _change >= 3")
    parts[DONE] = [written(db, done_query(*span), tmp_path, f"ended{span[0]}") for span in ((1, 2), (3, 4))]
    db.execute(f"CREATE TABLE journal AS {journal_table(parts).query}")
    found = db.sql("SELECT change, result FROM journal ORDER BY change").fetchall()
    assert found == [(1, "applied"), (2, "applied"), (4, "unknown")]


@pytest.mark.parametrize("action", ["delete", "expire", "deactivate", "mark"])
def test_a_record_that_was_adopted_was_not_dropped(db: duckdb.DuckDBPyConnection, tmp_path: Path, action: str) -> None:
    """Also where the process of the run died: its drop leaves the plan before the record is updated."""
    db.execute(f"UPDATE changes SET action = '{action}' WHERE _change = 3")
    adopted = f"""SELECT 1::BIGINT AS change, '{IDS[2]}'::UUID AS id, '{{"name": "One"}}' AS payload, '' AS later,
      'name' AS columns, '{{"name": "Was"}}' AS before"""
    died = {
        PLANNED: [written(db, planned_query(1, 4), tmp_path, "planned")],
        DELETED: [written(db, DELETED_RECORD, tmp_path, "deleted")],
        ADOPTED: [written(db, adopted, tmp_path, "adopted")],
    }
    db.execute(f"CREATE TABLE journal AS {journal_table(died).query}")
    found = db.sql("SELECT change, action, id, before FROM journal WHERE change IN (1, 3)").fetchall()
    assert found == [(1, "update", IDS[2], '{"name": "Was"}')]


@pytest.mark.parametrize(("links", "kept"), [(", '{\"parent\": 2}' AS links", '{"parent": 2}'), ("", "")])
def test_an_adopted_record_has_the_references_of_its_update(
    db: duckdb.DuckDBPyConnection, tmp_path: Path, links: str, kept: str
) -> None:
    """Not those that a new record was to get; a journal of an earlier version knows of none."""
    db.execute("""UPDATE changes SET links = '{"parent": 1}'""")
    adopted = f"""SELECT 1::BIGINT AS change, '{IDS[2]}'::UUID AS id, '{{}}' AS payload, '' AS later,
      'parent' AS columns, '{{}}' AS before{links}"""
    parts = {
        PLANNED: [written(db, planned_query(1, 1), tmp_path, "planned")],
        ADOPTED: [written(db, adopted, tmp_path, "adopted")],
    }
    db.execute(f"CREATE TABLE journal AS {journal_table(parts).query}")
    assert db.sql("SELECT links FROM journal").fetchall() == [(kept,)]


@pytest.mark.parametrize(("key", "ids", "actions"), [(["a2"], [], ["update"]), (["zz"], [IDS[2]], ["delete"])])
def test_a_record_is_found_by_its_key_or_its_id(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]], key: list[str], ids: list[UUID], actions: list[str]
) -> None:
    """Upper and lower case aside."""
    db.execute(f"CREATE TABLE journal AS {journal_table(parts).query}")
    assert [row[0] for row in db.execute(record_query(), [key, ids]).fetchall()] == actions
    found = [0, 0]
    changes = [change for (change,) in db.execute(changes_query(parts), [ids]).fetchall()]
    for file in parts[PLANNED]:
        for condition, values in ((HAS_KEY, [key]), (IN_CHANGES_ALONE, [changes, key])):
            found[0] += db.execute(matching_query(file, condition), values).fetchall()[0][0]
            found[1] += len(db.execute(without_query(file, condition), values).fetchall())
    assert found == [1, 7]


def test_the_ids_of_a_key_are_those_of_its_changes_and_of_what_became_of_them(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]], tmp_path: Path
) -> None:
    """That of a created or an adopted record is in another part; a key whose record is not known is told, too."""
    ids = {key: {row[0] for row in db.execute(ids_query(parts), [[key]]).fetchall()} - {None} for key in ("a1", "a2")}
    assert ids == {"a1": {str(IDS[0])}, "a2": {str(IDS[1])}}
    assert db.execute(ids_query(parts), [["zz"]]).fetchall() == []
    assert db.execute(ids_query({PLANNED: parts[PLANNED]}), [["A1"]]).fetchall() == [(None,)]
    adopted = (
        f"SELECT 1::BIGINT AS change, '{IDS[3]}'::UUID AS id, '' AS payload, '' AS later, '' AS columns, '' AS before"
    )
    parts[ADOPTED] = [written(db, adopted, tmp_path, "adopted")]
    assert (str(IDS[3]),) in db.execute(ids_query(parts), [["A1"]]).fetchall()


def test_the_changes_of_an_id_are_found_in_every_part(
    db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]], tmp_path: Path
) -> None:
    """The row with the values of a record that was created or adopted has another id, or none."""
    adopted = (
        f"SELECT 4::BIGINT AS change, '{IDS[2]}'::UUID AS id, '' AS payload, '' AS later, '' AS columns, '' AS before"
    )
    parts[ADOPTED] = [written(db, adopted, tmp_path, "adopted")]
    for record, changes in zip(IDS, ([1], [2], [3, 4], [4]), strict=True):
        assert sorted(change for (change,) in db.execute(changes_query(parts), [[record]]).fetchall()) == changes
    counted = [db.execute(matching_query(file, IN_CHANGES), [[1, 4]]).fetchall() for file in parts[PLANNED]]
    assert counted == [[(1,)], [(1,)]]


def test_parts_without_keys_are_searched_by_id(db: duckdb.DuckDBPyConnection, parts: dict[str, list[Path]]) -> None:
    """Such as that of deleted records."""
    (file,) = parts[DELETED]
    assert db.execute(matching_query(file, HAS_ID), [[IDS[2]]]).fetchall() == [(1,)]
    assert db.execute(without_query(file, HAS_ID), [[IDS[2]]]).fetchall() == []
    assert len(db.execute(without_query(file, HAS_ID), [[IDS[0]]]).fetchall()) == 1


def test_a_ledger_loses_the_values_of_a_record_and_keeps_its_marks(
    db: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Others keep both."""
    rows = " UNION ALL ".join(
        f"""SELECT '{record}'::UUID AS id, 'created' AS origin, true AS marked, '{{"a": 1}}' AS written,
        NULL::VARCHAR AS pending""" for record in IDS[:2]
    )  # fmt: skip
    file = written(db, rows, tmp_path, "ledger")
    assert db.execute(in_ledger_query(file), [[IDS[0]]]).fetchall() == [(1,)]
    after = db.execute(ledger_without(file), [[IDS[0]], [IDS[0]]]).fetchall()
    assert sorted(after) == [(IDS[0], "created", True, None, None), (IDS[1], "created", True, '{"a": 1}', None)]


@pytest.mark.parametrize(
    ("key", "ids", "found"), [(["a1", "x"], [], 1), (["a1", "y"], [], 0), (["q"], [str(IDS[1])], 1)]
)
def test_a_mirror_is_searched_by_all_values_of_a_key_or_by_id(
    db: duckdb.DuckDBPyConnection, tmp_path: Path, key: list[str], ids: list[str], found: int
) -> None:
    """Its columns are those of its sync."""
    rows = f"SELECT '{IDS[0]}'::UUID AS _id, 'A1' AS n, 'X' AS c UNION ALL SELECT '{IDS[1]}'::UUID, 'A2', 'X'"
    assert found_in_mirror(db, tmp_path, rows, key, ids) == found


@pytest.mark.parametrize(
    ("value", "key", "found"),
    [
        ("'ΟΔΟΣ'", "ΟΔΟΣ", 1),
        ("'ΟΔΟΣ'", "οδος", 1),
        ("'İZMİR'", "İZMİR", 1),
        ("'Café'", "CAFE\u0301", 1),
        ("TIMESTAMP '2024-01-31 09:00:00'", "2024-01-31T09:00:00Z", 1),
        ("TIMESTAMP '2024-01-31 09:00:00'", "2024-01-31T09:00:01Z", 0),
        ("DATE '2024-01-31'", "2024-01-31", 1),
        ("12.50::DECIMAL(38,2)", "12.50", 1),
        ("12.50::DECIMAL(38,2)", "12.5", 1),
        ("12.00::DECIMAL(38,2)", "12", 1),
        ("10::DECIMAL(38,0)", "10", 1),
        ("10::DECIMAL(38,0)", "1", 0),
        ("12345678901234567890.12::DECIMAL(38,2)", "12345678901234567890.12", 1),
        ("2::DOUBLE", "2", 1),
        ("'1.10'", "1.1", 0),
        ("7::INTEGER", "7", 1),
        ("true", "true", 1),
        ("'account:2e4fd09d-af7d-42ca-a5d9-01a2219c5208'", "2E4FD09D-af7d-42ca-a5d9-01a2219c5208", 1),
        ("NULL::VARCHAR", "x", 0),
    ],
)
def test_a_mirror_is_searched_for_a_key_as_journals_write_it(
    db: duckdb.DuckDBPyConnection, tmp_path: Path, value: str, key: str, found: int
) -> None:
    """Whatever the type of the column is, and in upper or lower case."""
    rows = f"SELECT 1 AS _seq, '{IDS[0]}'::UUID AS _id, now()::TIMESTAMP AS _created, {value} AS column"
    assert found_in_mirror(db, tmp_path, rows, [key], []) == found


def test_places_and_versions_in_a_mirror_are_no_values_of_records(
    db: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A short key would be in every mirror."""
    rows = f"SELECT 3 AS _seq, '{IDS[0]}'::UUID AS _id, 4 AS _version, 'A1' AS n"
    assert [found_in_mirror(db, tmp_path, rows, [key], []) for key in ("3", "4", "a1")] == [0, 0, 1]


def found_in_mirror(db: duckdb.DuckDBPyConnection, folder: Path, rows: str, key: list[str], ids: list[str]) -> int:
    """How many records of a part of a mirror with some rows are found."""
    file = written(db, rows, folder, "mirror")
    columns = dict(db.execute(mirror_columns_query(file)).fetchall())
    found: list[tuple[int]] = db.execute(in_mirror_query(file, columns), [key, ids]).fetchall()
    return found[0][0]


@pytest.mark.parametrize("typed", ["ΟΔΟΣ", "οδος", "οδοσ"])
def test_a_key_is_found_in_a_journal_in_upper_and_lower_case(
    db: duckdb.DuckDBPyConnection, tmp_path: Path, typed: str
) -> None:
    """Also a letter that has two forms in lower case."""
    db.execute('UPDATE changes SET key = \'{"number": "ΟΔΟΣ"}\' WHERE _change = 1')
    file = written(db, planned_query(1, 9), tmp_path, "planned")
    assert db.execute(matching_query(file, HAS_KEY), [[typed]]).fetchall() == [(1,)]
