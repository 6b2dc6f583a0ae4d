"""A page's JSON into typed columns, for every type; and what is asked of the service."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dataverse.http.answers import parsed
from shared.dataverse.read.page_rows import rows_of
from shared.dataverse.read.paging import first_page
from shared.dataverse.read.ranges import cut_column, cuts, range_conditions
from shared.dataverse.read.reader import Records, insert_statement, read_queries, table_query
from shared.entities import AttributeMetadata, AttributeType, DateBehavior, EntityMetadata
from shared.errors import AbortRun
from shared.http.transport import Response
from shared.transform import TargetColumn, current_table_step
from shared.workspace import Workspace
from tests.unit.dataverse.http.test_service import service
from tests.unit.dataverse.simulation import ACCOUNT

# In UTC and without saying so, as DuckDB gives a TIMESTAMP.
MOMENT = datetime(2026, 1, 31, 10, 0, tzinfo=UTC).replace(tzinfo=None)
ID = "11111111-2222-3333-4444-555555555555"
KINDS: dict[str, tuple[AttributeType, str]] = {
    "accountnumber": (AttributeType.STRING, "VARCHAR"),
    "numberofemployees": (AttributeType.INTEGER, "INTEGER"),
    "big": (AttributeType.BIGINT, "BIGINT"),
    "precise": (AttributeType.DECIMAL, "DECIMAL(38,10)"),
    "revenue": (AttributeType.MONEY, "DECIMAL(38,4)"),
    "ratio": (AttributeType.DOUBLE, "DOUBLE"),
    "flag": (AttributeType.BOOLEAN, "BOOLEAN"),
    "choice": (AttributeType.PICKLIST, "INTEGER"),
    "choices": (AttributeType.MULTI_PICKLIST, "VARCHAR"),
    "modifiedon": (AttributeType.DATETIME, "TIMESTAMP"),
    "birthdate": (AttributeType.DATETIME, "DATE"),
    "parentid": (AttributeType.LOOKUP, "UUID"),
}


def attribute(name: str) -> AttributeMetadata:
    kind, sql = KINDS[name]
    behavior = DateBehavior.DATE_ONLY if sql == "DATE" else None
    return AttributeMetadata(name=name, type=kind, date_behavior=behavior)


TABLE = replace(ACCOUNT, attributes={**ACCOUNT.attributes, **{name: attribute(name) for name in KINDS}})
LAYOUT = tuple(
    TargetColumn(
        name=name,
        attribute=attribute(name),
        sql_type=sql,
        source_sql="NULL",
        key_part=1 if name == "accountnumber" else None,
        key_sql="lower(accountnumber)" if name == "accountnumber" else "",
    )
    for name, (_, sql) in KINDS.items()
)


def inserted(rows: list[dict[str, Any]] | str, entity: EntityMetadata = TABLE) -> list[tuple[Any, ...]]:
    """What a page becomes, which is the same for a short one, which is taken as it is, and a long one, a file."""
    text = rows if isinstance(rows, str) else json.dumps({"value": rows})
    short, long = (inserted_as(text, entity, from_file=from_file) for from_file in (False, True))
    assert short == long
    assert inserted_as(text, entity, stored_keys=True) == long
    return long


def inserted_as(
    text: str, entity: EntityMetadata, *, from_file: bool = False, stored_keys: bool = False
) -> list[tuple[Any, ...]]:
    with Workspace.open(threads=1) as workspace:
        workspace.run(current_table_step(LAYOUT, stored_keys=stored_keys))
        read = rows_of(text.encode(), ["precise", "revenue"])
        assert read is not None
        (workspace.folder / "page.json").write_bytes(read)
        page = str(workspace.folder / "page.json") if from_file else read.decode()
        records = Records(entity=entity, layout=LAYOUT, stored_keys=stored_keys)
        statement = insert_statement(records, from_file=from_file)
        workspace.execute(statement, [5000, page])
        (wrong,) = workspace.query("SELECT count(*) FROM current WHERE _k1 IS DISTINCT FROM lower(accountnumber)")
        assert wrong == (0,)
        return workspace.query(f"SELECT _seq, _id, {', '.join(KINDS)}, _created FROM current ORDER BY _seq")


def test_every_type_arrives_as_what_it_is() -> None:
    """Numbers keep every digit, dates their moment, choices their order, lookups their id."""
    text = """{"@odata.context":"x","value":[{"@odata.etag":"W/\\"1\\"","accountid":"ID","accountnumber":"Ä \\"1\\"",
      "numberofemployees":5,"big":9007199254740993,"precise":12345678901234567.1234567891,"revenue":0.10,"ratio":1.5,
      "flag":true,"choice":3,"choices":"9, 1","modifiedon":"2026-01-31T10:00:00Z","birthdate":"2026-01-31",
      "_parentid_value":"ID"}],"@odata.nextLink":"x"}"""
    (row,) = inserted(text.replace('"ID"', f'"{ID}"'))
    assert row == (
        5001,
        UUID(ID),
        'Ä "1"',
        5,
        9007199254740993,
        Decimal("12345678901234567.1234567891"),
        Decimal("0.1000"),
        1.5,
        True,
        3,
        "1,9",
        MOMENT,
        date(2026, 1, 31),
        UUID(ID),
        None,
    )


def test_nulls_and_absent_members_are_null() -> None:
    """A column without a value is null in either form."""
    (row,) = inserted([{"accountid": ID, "accountnumber": None}])
    assert row[2:] == (None,) * (len(KINDS) + 1)


def test_an_empty_page_inserts_nothing() -> None:
    """A filter may let nothing through."""
    assert inserted([]) == []


def test_rows_are_numbered_in_the_order_of_the_page() -> None:
    """The numbers continue from the page before."""
    rows = inserted([{"accountid": ID, "accountnumber": str(n)} for n in range(4)])
    assert [(row[0], row[2]) for row in rows] == [(5001 + n, str(n)) for n in range(4)]


def test_the_age_is_only_asked_for_where_duplicates_may_exist() -> None:
    """An active alternate key over the sync key keeps it unique."""
    assert "createdon" not in table_query(TABLE, LAYOUT, None)
    loose = replace(TABLE, keys=())
    assert "createdon" in table_query(loose, LAYOUT, None)
    (row,) = inserted([{"accountid": ID, "createdon": "2026-01-31T10:00:00Z"}], loose)
    assert row[-1] == MOMENT


def test_only_needed_columns_are_asked_for() -> None:
    """The id, the mapped columns, lookups by their value property; the filter is percent-encoded."""
    path = table_query(TABLE, LAYOUT[:1], "name eq 'Müller & Söhne'")
    assert path == "accounts?$select=accountid,accountnumber&$filter=name%20eq%20'M%C3%BCller%20%26%20S%C3%B6hne'"
    assert "_parentid_value" in table_query(TABLE, LAYOUT, None)


def test_a_next_link_inside_a_value_is_only_text() -> None:
    """A description may hold anything."""
    trap = json.dumps({"value": [{"name": '"@odata.nextLink":"https://evil.example.org/"'}]}).encode()
    made, _, _, _ = service(Response(status=200, body=trap))
    assert first_page(made, "accounts", table="account").following is None
    real = json.dumps({"value": [], "@odata.nextLink": 'http://127.0.0.1:5080/x?"'}).encode()
    made, _, _, _ = service(Response(status=200, body=real))
    assert first_page(made, "accounts", table="account").following == 'http://127.0.0.1:5080/x?"'


def test_a_page_that_is_not_json_ends_the_run() -> None:
    """A sign-in page is not a table."""
    made, _, _, _ = service(Response(status=200, body=b"<html>"))
    with pytest.raises(AbortRun, match="service_url"):
        first_page(made, "accounts", table="account")


def test_ranges_cover_every_value_once() -> None:
    """Below the first cut or null, between cuts, from the last on; quotes are doubled."""
    assert range_conditions(attribute("accountnumber"), ["B", "O'N"]) == (
        "(accountnumber lt 'B' or accountnumber eq null)",
        "(accountnumber ge 'B' and accountnumber lt 'O''N')",
        "accountnumber ge 'O''N'",
    )
    assert range_conditions(attribute("accountnumber"), []) == ()


def test_cuts_share_the_source_out_evenly() -> None:
    """Quantiles of the source's keys; none without a source, or where all keys are one."""
    column = attribute("accountnumber")
    with Workspace.open(threads=1) as workspace:
        assert cuts(workspace, column, 4) == ()
        workspace.execute("CREATE TABLE desired AS SELECT format('{:05d}', i) AS accountnumber FROM range(1000) t(i)")
        assert cuts(workspace, column, 1) == ()
        found = [int(cut) for cut in cuts(workspace, column, 4)]
    assert [abs(cut - expected) <= 2 for cut, expected in zip(found, (250, 500, 750), strict=True)] == [True] * 3


def test_a_table_is_only_divided_by_a_key_that_keeps_it_unique() -> None:
    """Otherwise duplicates are distinguished by the order in which they are read."""
    assert cut_column(TABLE, LAYOUT) == attribute("accountnumber")
    assert cut_column(replace(TABLE, keys=()), LAYOUT) is None
    assert cut_column(replace(TABLE, keys=(replace(TABLE.keys[0], active=False),)), LAYOUT) is None


ROW = {"accountid": ID, "accountnumber": 'a "value":[1] ] } b'}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"value": [ROW]}),
        json.dumps({"@odata.context": 'x "value":[', "value": [ROW], "@odata.nextLink": "x?$filter=In(['1'])]"}),
        json.dumps({"value": [ROW], "@odata.count": 5, "@odata.nextLink": 'x"],"y":1}'}, indent=2),
    ],
)
def test_rows_are_cut_out_whatever_the_texts_hold(text: str) -> None:
    """Brackets, quotes and names inside texts are no members."""
    assert json.loads(rows_of(text.encode()) or b"") == [ROW]


@pytest.mark.parametrize(
    "text", ['{"error": {}}', '{"value": 5}', "{}", '{"value": [1', '{"value": [1], "x": {"y": 1}}']
)
def test_an_answer_that_is_not_a_page_is_an_error(text: str) -> None:
    """An answer without records is not taken for an empty table."""
    assert rows_of(text.encode()) is None


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.text(), st.text())
def test_any_page_is_cut_out(row: dict[str, Any], before: str, after: str) -> None:
    """Whatever texts are in and around the records."""
    text = json.dumps({"@odata.context": before, "value": [row, row], "@odata.nextLink": after}, ensure_ascii=False)
    assert json.loads(rows_of(text.encode()) or b"") == [row, row]


def test_what_is_not_utf_8_becomes_a_sign() -> None:
    """One wrong byte does not keep the rest of a page from being read."""
    assert json.loads(rows_of(b'{"value":[{"name":"a\xffb \xc3\xa4"}]}') or b"") == [{"name": "a\ufffdb ä"}]


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (r"\ud83d", "\ufffd"),
        (r"a\uDE00\ud83d\ude00\ud83d\ud83d\u00e4", "a\ufffd\U0001f600\ufffd\ufffdä"),
        (r"\\ud83d \\\ude00", "\\ud83d \\\ufffd"),
    ],
    ids=["alone", "beside pairs", "after a backslash"],
)
def test_half_of_a_surrogate_pair_becomes_a_sign(escaped: str, name: str) -> None:
    """A text that was cut within an emoji ends no read, whichever way its table is read."""
    page = f'{{"value":[{{"accountid":"{ID}","accountnumber":"{escaped}"}}]}}'

    assert inserted(page)[0][2] == name
    assert parsed(page.encode(), "accounts").rows()[0].member("accountnumber").value == name


def test_an_answer_without_records_ends_the_read() -> None:
    """Something in between that answers 200 with JSON of its own is no empty table."""
    with Workspace.open(threads=1) as workspace:
        workspace.run(current_table_step(LAYOUT))
        dataverse, *_ = service(Response(status=200, body=b'{"message": "welcome"}'))
        with pytest.raises(AbortRun, match="service_url"):
            read_queries(workspace, dataverse, Records(entity=TABLE, layout=LAYOUT), ["accounts"])


def test_a_record_that_several_queries_find_is_read_once() -> None:
    """Also where the table has records already, whose numbers are the same."""

    def page(*ids: str) -> Response:
        return Response(status=200, body=json.dumps({"value": [{"accountid": each} for each in ids]}).encode())

    first, second, third = (ID.replace("5", digit) for digit in "678")
    with Workspace.open(threads=1) as workspace:
        workspace.run(current_table_step(LAYOUT))
        for pages in ([page(first)], [page(second, third), page(third)]):
            dataverse, *_ = service(*pages)
            read_queries(workspace, dataverse, Records(entity=TABLE, layout=LAYOUT), ["accounts"] * len(pages))
        found = workspace.query("SELECT CAST(_id AS VARCHAR) FROM current ORDER BY _id")
    assert [record for (record,) in found] == [first, second, third]


@pytest.mark.parametrize(
    "answer",
    [
        {"value": [1]},
        {"value": [None]},
        {"value": [[1]]},
        {"value": [{"accountid": "x"}]},
        {"value": [{"accountid": None}]},
        {"value": [{"accountnumber": "A1"}]},
        {"value": [{"accountid": ID, "revenue": "abc"}]},
        {"value": [{"accountid": ID, "revenue": [1]}]},
        {"value": [{"accountid": ID, "modifiedon": "soon"}]},
        {"value": [{"accountid": ID, "big": 10**60}]},
        {"value": [{"accountid": ID}], "@odata.nextLink": []},
        {"value": {"accountid": ID}},
        {"error": {"value": [{"accountid": ID}]}},
        [{"accountid": ID}],
        [],
    ],
)
def test_records_of_another_shape_end_the_read_without_their_values(answer: Any) -> None:
    """An id that is no id, a text where a number belongs, records that are no objects."""
    with Workspace.open(threads=1) as workspace:
        workspace.run(current_table_step(LAYOUT))
        dataverse, *_ = service(Response(status=200, body=json.dumps(answer).encode()))
        with pytest.raises(AbortRun) as caught:
            read_queries(workspace, dataverse, Records(entity=TABLE, layout=LAYOUT), ["accounts"])
    assert ID not in caught.value.message
    assert "abc" not in caught.value.message
