"""Watermarks of sources that are read in pages: what changes while the pages are read is read by the next run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from shared.dataverse import Dataverse
from shared.errors import DefinitionError, UserError
from tests.acceptance.watermarked import (
    CHANGED,
    FETCH,
    SCHEMA,
    Rows,
    Source,
    api_source,
    define,
    dynamics_source,
    fetched_source,
    held,
    put_record,
)
from tests.acceptance.world import World, world
from tests.api_server import Reply, serving

EARLY, LATER, LATEST = "2024-01-01 09:00:00", "2024-01-01 10:00:00", "2024-01-01 11:00:00"


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("pages"), schema=[str(SCHEMA)]) as made:
        yield made


@pytest.fixture
def here(shared_world: World, tmp_path: Path) -> World:
    shared_world.emulator.reset()
    made = World(folder=tmp_path, emulator=shared_world.emulator, environment=dict(shared_world.environment))
    (tmp_path / "syncs").mkdir()
    return made


# -- Dataverse ------------------------------------------------------------------------------------------------------


def test_a_record_that_changes_between_pages_is_not_lost(here: World) -> None:
    """It is not read with its new value, and others with a greater value are: the watermark stays before both."""
    numbers = [str(number) for number in range(8)]
    source = fetched_source(here)
    source.put(*((number, "old", EARLY) for number in numbers))
    seen: list[str] = []

    class Changing(Dataverse):
        def fetched(self, *arguments: Any, **options: Any) -> Iterator[bytes]:
            for page in super().fetched(*arguments, **options):
                yield page
                if not seen:
                    seen.extend(row["number"] for row in json.loads(page))
                    source.put((seen[0], "new", LATER))
                    source.put(*((number, "new", LATEST) for number in numbers if number not in seen))

    here.parts = {"open_dataverse": Changing}
    define(here, source)
    here.run()
    assert held(here)[seen[0]] == "old"
    assert "new" in held(here).values()
    assert here.app.watermark("accounts") == EARLY
    here.run()
    assert held(here) == {number: "old" if number == seen[1] else "new" for number in numbers}
    assert here.app.watermark("accounts") == LATEST


VALUES = {
    "amount": (12345678.0000000001, 12345678.0000000002, 12345677),
    "day": ("2024-01-31", "2024-02-01", "2024-01-30"),
    "line": ("0x00B", "0x00c", "0x00A"),
    CHANGED: (f"{LATER}Z".replace(" ", "T"), f"{LATEST}Z".replace(" ", "T"), f"{EARLY}Z".replace(" ", "T")),
}


@pytest.mark.parametrize("column", sorted(VALUES))
@pytest.mark.parametrize("fetch", [False, True], ids=["table", "fetch_xml"])
def test_each_type_of_dataverse_is_compared_as_it_is(here: World, column: str, *, fetch: bool) -> None:
    """The last value is read again, the next one is read, and the one before it is not."""
    last, after, before = VALUES[column]
    put_record(here, "1", {"name": "last", column: last})
    keys: dict[str, Any] = (
        {"fetch_xml": FETCH.replace(CHANGED, column), "entity": None, "columns": []}
        if fetch
        else {"columns": [{"name": "number"}, {"name": "name"}, {"name": column}]}
    )
    source = dynamics_source(here)
    define(here, source, watermark={"column": column}, **keys)
    here.run()
    put_record(here, "2", {"name": "after", column: after})
    put_record(here, "3", {"name": "before", column: before})
    put_record(here, "4", {"name": "none", column: None})
    done = here.run()
    assert (set(held(here)), done.source.processed) == ({"1", "2", "4"}, 3)


def test_the_version_of_a_record_can_be_the_watermark(here: World) -> None:
    """Dataverse gives each change a greater version number."""
    source = dynamics_source(here)
    columns = [{"name": "number"}, {"name": "name"}, {"name": "versionnumber"}]
    source.put(("1", "One", EARLY), ("2", "Two", EARLY))
    define(here, source, columns=columns, watermark={"column": "versionnumber"})
    assert here.run().source.processed == 2
    source.put(("1", "Uno", None))
    assert here.run().source.processed == 2
    assert here.run().source.processed == 1
    assert held(here) == {"1": "Uno", "2": "Two"}


def test_a_text_moves_only_when_all_rows_are_settled(here: World) -> None:
    """The environment orders texts in its own way: which of several rows is the first is not known."""
    source = dynamics_source(here)
    columns = [{"name": "number"}, {"name": "name"}, {"name": "line"}]
    put_record(here, "1", {"name": "good", "line": "a"})
    define(here, source, columns=columns, watermark={"column": "line"})
    here.run()
    put_record(here, "2", {"name": "bad", "line": "B"})
    put_record(here, "3", {"name": "good", "line": "c"})
    here.emulator.faults({"action": "refuse_rows", "match": {"filter": "name eq 'bad'"}, "message": "No."})
    assert here.run().failed == 1
    assert here.app.watermark("accounts") == "a"
    here.emulator.clear_faults()
    here.run()
    assert here.app.watermark("accounts") == "c"
    assert set(held(here)) == {"1", "2", "3"}


LABEL = {"name": f"{CHANGED}__label", "alias": "label"}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"name": "active"}, "active is of type Boolean; a number, a date or a line of text is needed"),
        (LABEL, "changed_at__label is not a column of customer"),
    ],
)
def test_a_column_without_an_order_is_refused(here: World, column: dict[str, Any], message: str) -> None:
    """By `validate` and before a row is read, with its line."""
    columns = [{"name": "number"}, {"name": "name"}, column]
    name = column.get("alias", column["name"])
    define(here, dynamics_source(here), columns=columns, watermark={"column": name})
    (problem,) = here.app.validate()
    assert problem.path == "source.watermark.column"
    assert problem.message.startswith(message)
    assert problem.line > 0
    with pytest.raises(DefinitionError, match=message):
        here.run()


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ('top="5"', "with a watermark, all records are needed: remove top"),
        ('aggregate="true"', "an aggregate query has none: remove the watermark"),
    ],
)
def test_a_query_that_leaves_out_records_is_refused(here: World, attribute: str, message: str) -> None:
    """Records that it leaves out would never be read."""
    define(here, fetched_source(here), fetch_xml=FETCH.replace('count="2"', attribute))
    with pytest.raises(UserError, match=message):
        here.run()


# -- REST -----------------------------------------------------------------------------------------------------------

OFFSET = {"type": "offset", "parameter": "offset", "size": 2, "size_parameter": "limit"}
CURSOR = {"type": "cursor", "parameter": "after", "next": "$.next", "size": 2, "size_parameter": "limit"}


@pytest.mark.parametrize(
    ("pagination", "descending", "reached"),
    [(OFFSET, True, "6"), (OFFSET, False, "2"), (CURSOR, False, "2"), (None, False, "6")],
    ids=["newest first", "oldest first", "oldest first with marks", "one answer"],
)
def test_a_watermark_goes_as_far_as_the_first_page(
    here: World, pagination: dict[str, Any] | None, reached: str, *, descending: bool
) -> None:
    """In the order that the service has: records may change while the other pages are read."""
    rows = Rows()
    rows.by_change, rows.descending = True, descending
    rows.put(*((str(number), "x", f"2024-01-01 00:00:0{number}") for number in range(1, 7)))
    with api_source(rows) as (source, _):
        define(here, source, **({} if pagination is None else {"pagination": pagination}))
        assert here.run().source.processed == 6
        assert here.app.watermark("accounts") == f"2024-01-01 00:00:0{reached}"


SENT = [
    ({"type": "date"}, ["2024-01-31T10:00:00.250Z"], "5m", "2024-01-31T09:55:00.250Z"),
    ({"type": "date"}, ["2024-01-31T10:00:00+02:00"], 0, "2024-01-31T10:00:00+02:00"),
    ({"type": "date"}, ["2024-01-31"], "1m", "2024-01-30"),
    ({}, ["2024-01-31 10:00:00"], "1h", "2024-01-31 09:00:00"),
    ({}, ["x7&8"], 0, "x7&8"),
    ({"type": "number"}, [9, 10], 0, 10),
    ({"type": "number"}, [9007199254740993], 3, 9007199254740990),
    ({"type": "number"}, [0.1], 0, 0.1),
]


@pytest.mark.parametrize(("column", "values", "overlap", "sent"), SENT)
def test_a_request_has_the_watermark_in_its_url_headers_and_body(
    here: World, column: dict[str, Any], values: list[Any], overlap: Any, sent: Any
) -> None:
    """In the notation of the service; the first run has the value that the definition gives."""
    records = [{"number": str(at), "name": "x", CHANGED: value} for at, value in enumerate(values)]
    with serving(lambda _: Reply(body=records)) as server:
        columns = [{"name": "number"}, {"name": "name"}, {"name": CHANGED, **column}]
        keys = {
            "type": "rest",
            "url": "@api/past/@watermark?since=@watermark",
            "method": "POST",
            "headers": {"X-Since": "@watermark"},
            "body": '{"since": @watermark, "text": "after @watermark"}',
            "columns": columns,
        }
        source = Source(
            keys=keys, put=lambda: None, watermark={"first": 0, "overlap": overlap}, environment={"API": server.url}
        )
        define(here, source)
        assert here.app.validate() == []
        for _ in range(2):
            here.run()
        found = [
            (unquote(each.path), each.query["since"], each.headers["x-since"], each.json) for each in server.received
        ]
    assert found == [
        (f"/past/{value}", str(value), str(value), {"since": value, "text": f"after {value}"}) for value in (0, sent)
    ]


@pytest.mark.parametrize("column", [{"type": "date"}, {"type": "number"}])
def test_a_value_that_the_column_cannot_have_is_reported(here: World, column: dict[str, Any]) -> None:
    """Before a run: the definition has the type."""
    with api_source(Rows()) as (source, _):
        columns = [{"name": "number"}, {"name": "name"}, {"name": CHANGED, **column}]
        define(here, source, columns=columns)
        with pytest.raises(UserError, match=r"the watermark soon is not a .*--set VALUE"):
            here.app.set_watermark("accounts", "soon")


def test_another_path_or_query_is_another_source(here: World) -> None:
    """Each may give other records; a time of the run in the query does not make it another one."""
    rows = Rows()
    rows.put(("1", "x", EARLY), ("2", "x", LATER))
    with api_source(rows) as (source, server):
        define(here, source, url="@api/@part?since=@watermark&again=@again&at=@today")
        assert here.run(parameters={"part": "a", "again": "1"}).source.processed == 2
        assert here.run(parameters={"part": "a", "again": "1"}).source.processed == 1
        for other in ({"part": "a", "again": "2"}, {"part": "b", "again": "1"}):
            done = here.run(parameters=other)
            assert "another source" in done.message
            assert server.asked("since")[-1] == ""
        assert len({*server.asked("at")}) == 4
