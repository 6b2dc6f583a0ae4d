"""The records of a journal with typed values: exact values, and a need of memory that columns do not multiply."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from shared.entities import AttributeMetadata, AttributeType, EntityMetadata
from shared.reconcile.undo.records import UNDO_RECORDS, has, journal_tables_query, records_step, was, wrote
from shared.transform.metadata_columns import metadata_layout
from shared.workspace import Workspace

_KINDS = {
    "word": AttributeType.STRING,
    "amount": AttributeType.DECIMAL,
    "price": AttributeType.MONEY,
    "large": AttributeType.BIGINT,
    "moment": AttributeType.DATETIME,
}
COLUMNS, RECORDS = 60, 2048
WIDE = {f"text_{number}": AttributeType.STRING for number in range(COLUMNS)}


def item(kinds: dict[str, AttributeType]) -> EntityMetadata:
    attributes = {name: AttributeMetadata(name=name, type=kind, precision=10) for name, kind in kinds.items()}
    for name in ("who", "owner"):
        attributes[name] = AttributeMetadata(
            name=name,
            type=AttributeType.CUSTOMER,
            targets=("account", "contact"),
            navigation={table: f"{name}_{table}" for table in ("account", "contact")},
        )
    return EntityMetadata(
        logical_name="item", entity_set="items", display_name="Item", primary_id="itemid", primary_name="word",
        attributes=attributes,
    )  # fmt: skip


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace.open(threads=1, memory_limit="250MB") as opened:
        opened.execute(
            "CREATE TABLE journal (change BIGINT, action VARCHAR, id UUID, key VARCHAR, before VARCHAR, payload VARCHAR, "
            "later VARCHAR, links VARCHAR, columns VARCHAR)"
        )
        yield opened


def test_many_records_of_many_columns_fit_into_a_small_memory(workspace: Workspace) -> None:
    """What is needed for one more column is its values: the JSON of a record is not read again for it."""
    entity = item(WIDE)
    layout = metadata_layout(entity, [*WIDE, "who"])
    record = json.dumps(dict.fromkeys(WIDE, "a text of forty characters and some more"))
    workspace.execute(
        f"INSERT INTO journal SELECT i, 'delete', uuid(), ?, ?, ?, '', '', '' FROM range({RECORDS}) AS t(i)",
        ['{"text_0":"K"}', record, record],
    )
    workspace.run(records_step(layout, metadata_layout(entity, ["text_0"]), "text_1 LIKE 'a text%' AND who IS NULL"))
    assert workspace.query(f"SELECT count({was(layout[COLUMNS - 1])}) FROM {UNDO_RECORDS}") == [(RECORDS,)]


def test_values_are_exact(workspace: Workspace) -> None:
    """Numbers with more digits than a double keeps, in the first place and in the last."""
    entity = item(_KINDS)
    before = (
        '{"amount":12345678901234.5678901234,"price":98765432109876.54,"large":9223372036854775807,'
        '"word":"\\"amount\\":12345678901234567890","moment":"2026-01-02T03:04:05Z"}'
    )
    workspace.execute(
        "INSERT INTO journal VALUES (1, 'update', ?, '{}', ?, ?, '{\"price\":0.1}', '', 'amount,price')",
        [UUID(int=7), before, '{"amount":-12345678901234.5678901235,"price":1}'],
    )
    layout = metadata_layout(entity, list(_KINDS))
    workspace.run(records_step(layout, ()))
    shown = [each(column) for column in layout for each in (was, wrote)]
    (values,) = workspace.query(f"SELECT {', '.join(shown)} FROM {UNDO_RECORDS}")
    assert dict(zip(shown, values, strict=True)) == {
        '"was:word"': '"amount":12345678901234567890', '"wrote:word"': None,
        '"was:amount"': Decimal("12345678901234.5678901234"), '"wrote:amount"': Decimal("-12345678901234.5678901235"),
        '"was:price"': Decimal("98765432109876.54"), '"wrote:price"': Decimal("0.1"),
        '"was:large"': 9223372036854775807, '"wrote:large"': None,
        '"was:moment"': datetime.fromisoformat("2026-01-02T03:04:05"), '"wrote:moment"': None,
    }  # fmt: skip


def test_a_member_without_a_value_is_told_from_one_that_is_missing(workspace: Workspace) -> None:
    layout = metadata_layout(item(_KINDS), ["word", "amount"])
    rows: list[Any] = [("delete", '{"word":null}', ""), ("update", '{"amount":1}', "amount"), ("insert", "", "word")]
    for action, before, columns in rows:
        workspace.execute(
            "INSERT INTO journal VALUES (1, ?, NULL, '{}', ?, '{\"word\":null}', '', '', ?)", [action, before, columns]
        )
    workspace.run(records_step(layout, ()))
    shown = f"SELECT action, {', '.join(has(column) for column in layout)} FROM {UNDO_RECORDS} ORDER BY action"
    assert workspace.query(shown) == [("delete", True, False), ("insert", True, False), ("update", False, True)]


def test_the_tables_that_lookups_referred_to(workspace: Workspace) -> None:
    for before in ('{"who":"account:1"}', '{"who":null,"owner":"contact:2"}', "", '{"who":"account:3"}'):
        workspace.execute("INSERT INTO journal (before) VALUES (?)", [before])
    entity = item({"word": AttributeType.STRING})
    query = journal_tables_query(metadata_layout(entity, ["word", "who", "owner"]))
    assert sorted(workspace.query(query)) == [("account",), ("contact",)]
    assert workspace.query(journal_tables_query(metadata_layout(entity, ["word"]))) == []
