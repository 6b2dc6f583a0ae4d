"""Values of MySQL and MariaDB, by the driver and over its protocol: what is asked for, and what is made of the answer."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE  # type: ignore[import-untyped]  # it ships no types

from shared.sources import SourceContext, completed, open_source
from shared.sources.watermarks.marks import Mark, Scale, Watermarked
from shared.workspace import Workspace
from tests.mysql_server import Answer, Described, MysqlServer, mysql_server
from tests.unit.sources.sql.reads import defined, read

TABLE: dict[str, Any] = {"table": "t"}
QUERY: dict[str, Any] = {"query": "SELECT * FROM t"}


def answers(*columns: tuple[str, str, int], rows: Iterable[list[str | None]] = ()) -> dict[str, Answer]:
    """A table `t`: the name of each column, its type in SQL, and the number of the type; and its rows."""
    lines = ",\n".join(f"  `{name}` {declared}" for name, declared, _ in columns)
    shown = f"CREATE TABLE `t` (\n{lines}\n) ENGINE=InnoDB"
    described = [Described(name, kind) for name, _, kind in columns]
    return {
        "SHOW CREATE TABLE": Answer([Described("Table"), Described("Create Table")], [["t", shown]]),
        r"1 = 0": Answer(described),
        r"FROM": Answer(described, [*rows]),
    }


def last_asked(server: MysqlServer) -> str:
    """The last statement that reads."""
    found = [each for each in server.statements if each.startswith("SELECT") and "FROM" in each]
    return " ".join(found[-1].split())


@pytest.mark.parametrize("keys", [TABLE, QUERY], ids=["table", "query"])
def test_a_float_is_read_with_all_of_its_digits(keys: dict[str, Any]) -> None:
    """As a double, because MySQL writes a float with six digits; 0.7 stays 0.7."""
    rows: list[list[str | None]] = [["1234567"], ["0.699999988079071"], ["16777216"], [None]]
    with mysql_server(answers(("f", "float", FIELD_TYPE.FLOAT), rows=rows)) as server:
        found, errors = read(server.url, **keys)
    assert found == {"f": [Decimal(1234567), Decimal("0.7"), Decimal(16777216), None]}
    assert errors == []
    assert "+ 0e0" in last_asked(server)


def test_a_float_with_decimals_is_read_with_these() -> None:
    """What MySQL shows of it; a number that these decimals do not have is none of the column."""
    with mysql_server(
        answers(("f", "float(10,2)", FIELD_TYPE.FLOAT), rows=[["1234567.875"], ["-0.009999999776482582"]])
    ) as server:
        assert read(server.url, **TABLE)[0] == {"f": [Decimal("1234567.88"), Decimal("-0.01")]}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("0.7", "0.699999988079071e0"),
        ("1234568.0", "1234568.0e0"),
        ("1e-40", "9.99994610111476e-41"),
        ("1e30", "1.0000000150474662e+30"),
    ],
)
def test_the_watermark_of_a_float_is_compared_as_the_number_that_it_is(value: str, sent: str) -> None:
    """Of 32 bits: so rows with the same value are read again."""
    with mysql_server(answers(("f", "float", FIELD_TYPE.FLOAT), rows=[[sent]])) as server:
        asked = last_asked_past(server, Mark(value=value, scale=Scale.SINGLE, identity="x"))
    assert asked.endswith(f"WHERE (f >= {sent} OR f IS NULL )")


def test_a_watermark_that_was_kept_of_the_shown_number_reads_all_rows() -> None:
    """An earlier version has kept 1234570 of 1234568, which is past rows that were not read."""
    with mysql_server(answers(("f", "float", FIELD_TYPE.FLOAT))) as server:
        asked = last_asked_past(server, Mark(value="1234570.0", scale=Scale.NUMBER, identity="x"))
    assert "WHERE" not in asked


def last_asked_past(server: MysqlServer, mark: Mark, **keys: Any) -> str:
    """The statement that reads from a watermark of the column `f` on."""
    definition = defined(**TABLE, watermark={"column": "f"}, **keys)
    source = open_source(definition.source, SourceContext(secret=lambda _: server.url))
    assert isinstance(source, Watermarked)
    with Workspace.open() as workspace:
        completed(definition, source, workspace)
        source.start_at(mark, "x")
        source.load(workspace)
    return last_asked(server)
