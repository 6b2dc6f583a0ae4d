"""Values of MySQL and MariaDB, by the driver and over its protocol: what is asked for, and what is made of the answer."""

from __future__ import annotations

import datetime as dt
import gc
import logging
import threading
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE  # type: ignore[import-untyped]  # it ships no types

from shared.errors import UserError
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


def last_asked_past(server: MysqlServer, mark: Mark) -> str:
    """The statement that reads from a watermark of the column `f` on."""
    definition = defined(**TABLE, watermark={"column": "f"})
    source = open_source(definition.source, SourceContext(secret=lambda _: server.url))
    assert isinstance(source, Watermarked)
    with Workspace.open() as workspace:
        completed(definition, source, workspace)
        source.start_at(mark, "x")
        source.load(workspace)
    return last_asked(server)


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_a_read_changes_nothing_and_has_moments_in_utc(scheme: str) -> None:
    """Whatever the URL calls the database, and before anything is read."""
    with mysql_server(answers(("k", "int", FIELD_TYPE.LONG))) as server:
        read(server.url.replace("mysql", scheme), **TABLE)
    first = server.statements.index("SET SESSION TRANSACTION READ ONLY")
    assert server.statements[first + 1] == "SET SESSION time_zone = '+00:00'"
    assert server.statements[first + 2] == "SELECT connection_id()"


@pytest.mark.parametrize("keys", [TABLE, QUERY], ids=["table", "query"])
def test_a_timestamp_is_a_moment_and_a_datetime_has_no_zone(keys: dict[str, Any]) -> None:
    """The time zone of a column is about the second one only; the day zero is an error of its row."""
    rows: list[list[str | None]] = [["2024-07-01 10:00:00.5"] * 2, ["0000-00-00 00:00:00"] * 2, [None] * 2]
    columns = [{"name": name, "time_zone": "Europe/Berlin"} for name in ("at", "local")]
    kinds = ("at", "timestamp(6) NULL", FIELD_TYPE.TIMESTAMP), ("local", "datetime(6)", FIELD_TYPE.DATETIME)
    with mysql_server(answers(*kinds, rows=rows)) as server:
        found, _ = read(server.url, columns=columns, **keys)
    assert [str(value) for value in found["at"]] == ["2024-07-01 10:00:00.500000", "None", "None"]
    assert [str(value) for value in found["local"]] == ["2024-07-01 08:00:00.500000", "None", "None"]


def test_the_day_zero_can_be_no_value() -> None:
    """As the text that MySQL writes, which a definition can name."""
    kinds = ("at", "timestamp NULL", FIELD_TYPE.TIMESTAMP)
    with mysql_server(answers(kinds, rows=[["0000-00-00 00:00:00"]])) as server:
        found, errors = read(server.url, null_values=["0000-00-00 00:00:00"], **TABLE)
    assert (found, errors) == ({"at": [None]}, [])


@pytest.mark.parametrize("keys", [TABLE, QUERY], ids=["table", "query"])
def test_a_time_is_a_text_as_the_database_writes_it(keys: dict[str, Any]) -> None:
    """Also one that is longer than a day, or less than none: the driver gives an interval."""
    times = ["09:05:00", "34:05:06", "-01:00:00", "-838:59:59", "00:00:00.250000", "00:00:00"]
    with mysql_server(answers(("t", "time(6)", FIELD_TYPE.TIME), rows=[[each] for each in times])) as server:
        assert read(server.url, **keys) == ({"t": times}, [])


@pytest.mark.parametrize("keys", [TABLE, QUERY], ids=["table", "query"])
def test_a_query_has_the_types_of_a_table(keys: dict[str, Any]) -> None:
    """So expressions calculate with its numbers and its days."""
    kinds = ("small", "smallint", FIELD_TYPE.SHORT), ("day", "date", FIELD_TYPE.DATE)
    calculated = [{"name": "next", "formula": "small + 1"}, {"name": "year", "formula": "year(day)"}]
    with mysql_server(answers(*kinds, rows=[["5", "2024-01-31"]])) as server:
        found, _ = read(server.url, columns=[{"name": "small"}, {"name": "day"}, *calculated], **keys)
    assert [found[name][0] for name in ("small", "next", "year")] == [5, "6.0000000000", "2024"]
    assert str(found["day"][0]) == "2024-01-31 00:00:00"


TIMESTAMP = ("f", "timestamp NULL", FIELD_TYPE.TIMESTAMP)


def test_the_watermark_of_a_timestamp_has_its_offset() -> None:
    """So an hour that comes twice at the end of summer time is read once, and no row of it is lost."""
    rows: list[list[str | None]] = [["2024-10-27 00:50:00"], ["2024-10-27 01:05:00"]]
    with mysql_server(answers(TIMESTAMP, rows=rows)) as server:
        definition = defined(**TABLE, watermark={"column": "f"})
        source = open_source(definition.source, SourceContext(secret=lambda _: server.url))
        assert isinstance(source, Watermarked)
        with Workspace.open() as workspace:
            completed(definition, source, workspace)
            source.start_at(None, "x")
            source.load(workspace)
            mark = source.reached(workspace, "SELECT 0")
        assert mark == Mark(value="2024-10-27 01:05:00+00:00", scale=Scale.INSTANT, identity="x")
        assert last_asked_past(server, mark).endswith("WHERE (f >= '2024-10-27 01:05:00' OR f IS NULL )")


def test_a_watermark_in_the_time_zone_of_the_server_reads_all_rows() -> None:
    """An earlier version has kept the local time of the server without saying so."""
    with mysql_server(answers(TIMESTAMP)) as server:
        asked = last_asked_past(server, Mark(value="2024-10-27 02:50:00", scale=Scale.TIME, identity="x"))
    assert "WHERE" not in asked


def test_a_moment_as_a_parameter_is_sent_in_utc() -> None:
    """The driver would leave its offset out."""
    moment = dt.datetime(2024, 7, 1, 12, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with mysql_server(answers(TIMESTAMP)) as server:
        read(server.url, {"since": moment}, filter="f > @since", **TABLE)
    assert "f > '2024-07-01 10:00:00'" in last_asked(server)


def test_a_lost_connection_is_told_once(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    """Neither SQLAlchemy nor the driver prints a traceback beside it, which could have values."""
    known = answers(("k", "int", FIELD_TYPE.LONG), rows=[[str(number)] for number in range(1000)])
    known["FROM"] = replace(known["FROM"], cut=True)
    with mysql_server(known) as server, pytest.raises(UserError, match="the connection was lost; nothing was written"):
        read(server.url, **TABLE)
    gc.collect()  # an error in a destructor would be a warning, which ends the test
    assert capsys.readouterr() == ("", "")
    own = threading.get_ident()  # threads that other tests have left may log at any time
    assert [record.getMessage() for record in caplog.records if record.thread == own] == []


def test_other_messages_of_the_pool_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Only those with an error over a connection that is closed are left out."""
    pool = logging.getLogger("sqlalchemy.pool.impl.NullPool")
    pool.error("Error closing cursor", exc_info=ValueError("a value"))
    pool.error("a connection was left open")
    assert caplog.messages == ["a connection was left open"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("charset=nope", r"check its options \(what follows the \?\), its host and its port \(AttributeError\)"),
        ("foo=1", r"does not take the URL; check its options \(what follows the \?\).*\(TypeError\)"),
        ("connect_timeout=x", r"its URL or one of its options \(what follows the \?\) cannot be used"),
        ("ssl_ca=/nope", "a file or a socket that its URL names does not exist"),
        ("ssl_ca=/etc/hostname", "no safe connection can be made; check the options of the URL about TLS"),
    ],
)
def test_an_option_that_the_driver_refuses_is_told(option: str, message: str) -> None:
    """What is wrong is the URL, and neither the table nor the connection."""
    with mysql_server({}) as server, pytest.raises(UserError, match=message):
        read(f"{server.url}?{option}", **TABLE)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (1969, "the statement was stopped by the database, because of a time limit"),
        (3024, "the statement was stopped by the database, because of a time limit"),
        (1927, "the connection was lost"),
        (1273, r"it refuses the statement \(error 1273\)"),
    ],
)
def test_a_refusal_is_told_by_its_number(number: int, message: str) -> None:
    """Those of MariaDB too; without the message of the server, which can have values."""
    known = answers(("k", "int", FIELD_TYPE.LONG))
    known["FROM"] = Answer(error=(number, "max_statement_time of value 77"))
    with mysql_server(known) as server, pytest.raises(UserError, match=message) as caught:
        read(server.url, **TABLE)
    assert "77" not in caught.value.message


def test_a_refusal_while_connecting_is_about_the_url() -> None:
    """No statement of the definition was sent yet."""
    said = r"does not take the URL; check its options .*\(error 1273\)"
    refusing = {"SET NAMES": Answer(error=(1273, "unknown collation"))}
    with mysql_server(refusing) as server, pytest.raises(UserError, match=said):
        read(f"{server.url}?collation=nope", **TABLE)


def test_a_type_that_sqlalchemy_does_not_know_is_text() -> None:
    """Without a warning, which would end the test."""
    with mysql_server(answers(("a", "inet6", 254), rows=[["::1"]])) as server:
        assert read(server.url, **TABLE)[0] == {"a": ["::1"]}
