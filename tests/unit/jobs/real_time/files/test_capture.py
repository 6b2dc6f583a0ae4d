"""Files of Event Hubs Capture give the events as the hub has them: with their positions, in their order, one by one."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest

from shared.errors import UserError
from shared.events import Message
from shared.jobs.real_time.files import EventFilePlace, Stream, messages_of
from shared.jobs.real_time.files.capture import captured, stream_in
from shared.remote import open_without_account
from tests.unit.jobs.real_time.files.captures import content, event, write

HUB = Stream("hub", "0")


def read(data: bytes) -> list[Message]:
    return list(captured(io.BytesIO(data), name="f.avro", stream=HUB))


def given(*names: object, partition: Stream | None = None, standard_input: bytes = b"") -> Iterator[Message]:
    place = EventFilePlace(
        feeding="command-1",
        standard_input=lambda: io.BufferedReader(io.BytesIO(standard_input)),
        open_url=open_without_account,
        partition=partition,
    )
    return messages_of(list(map(str, names)), place)


def test_an_event_has_what_the_hub_says_about_it() -> None:
    """Body, position, time, key, content type and encoding, and properties with their types."""
    system = {"x-opt-partition-key": "k", "content-type": "application/json", "content-encoding": "gzip"}
    properties = {"n": 5, "d": 1.5, "t": "x", "b": b"\xc3\xa9", "none": None}
    (message,) = read(content([event(7, b"{}", SystemProperties=system, Properties=properties)]))
    assert message == Message(
        body=b"{}",
        partition="0",
        hub="hub",
        sequence=7,
        offset="784",
        enqueued=datetime(2020, 11, 22, 12, 0, 5, tzinfo=UTC),
        key="k",
        properties={"n": 5, "d": 1.5, "t": "x", "b": "é", "none": None},
        content_type="application/json",
        content_encoding="gzip",
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1/2/2026 1:02:03 AM", datetime(2026, 1, 2, 1, 2, 3, tzinfo=UTC)),
        ("2026-01-02T01:02:03.5Z", datetime(2026, 1, 2, 1, 2, 3, 500_000, tzinfo=UTC)),
        ("2026-01-02T01:02:03", datetime(2026, 1, 2, 1, 2, 3, tzinfo=UTC)),
        ("some day", None),
    ],
)
def test_the_time_is_read_as_it_is_written(text: str, moment: datetime | None) -> None:
    """As .NET writes it, or as ISO 8601; a time that cannot be read is unknown and loses no event."""
    (message,) = read(content([event(1, b"", EnqueuedTimeUtc=text)]))
    assert message.enqueued == moment


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("ns/hub/3/2026/11/22/12/00/05.avro", Stream("hub", "3")),
        ("/data/ns/my-hub/12/2026/11/22/12/00/05.avro", Stream("my-hub", "12")),
        ("abfs://container/ns/hub/0/2026/11/22/12/00/05.avro", Stream("hub", "0")),
        ("C:\\data\\ns\\hub\\0\\2026\\11\\22\\12\\00\\05.avro", Stream("hub", "0")),
        ("hub/0/20261122.avro", None),
        ("events.avro", None),
    ],
)
def test_the_path_names_the_partition(path: str, stream: Stream | None) -> None:
    """Where it has Capture's default pattern."""
    assert stream_in(path) == stream


def test_files_are_read_by_partition_and_sequence_number(tmp_path: Path) -> None:
    """Whatever their names sort like; empty files, which Capture writes too, are passed over."""
    write(tmp_path, [event(30, b"c"), event(31, b"d")], partition="0", second=1)
    write(tmp_path, [event(10, b"a"), event(11, b"b")], partition="0", second=2)
    write(tmp_path, [event(5, b"x")], partition="1", second=0)
    write(tmp_path, [], partition="1", second=3)
    (tmp_path / "notes.txt").write_text("no events", "utf-8")
    whole = [(each.stream, each.sequence, each.body) for each in given(tmp_path)]
    assert whole == [
        ("hub/0", 10, b"a"),
        ("hub/0", 11, b"b"),
        ("hub/0", 30, b"c"),
        ("hub/0", 31, b"d"),
        ("hub/1", 5, b"x"),
    ]
    pattern = [each.sequence for each in given(tmp_path / "namespace/hub/1/**/*.avro")]
    assert pattern == [5]


def test_files_without_a_partition_are_streams_of_their_own(tmp_path: Path) -> None:
    """The same numbers in two files are different events, unless the partition is given."""
    for name in ("a.avro", "b.avro"):
        (tmp_path / name).write_bytes(content([event(1, name)]))
    names = (tmp_path / "a.avro", tmp_path / "b.avro")
    assert len({each.stream for each in given(*names)}) == 2
    assert {each.stream for each in given(*names, partition=Stream("hub", "4"))} == {"hub/4"}


def test_files_are_told_apart_by_their_content(tmp_path: Path) -> None:
    """Capture's and JSON in one command, from standard input too."""
    (tmp_path / "events.json").write_text('{"n": 1}\n{"n": 2}\n', "utf-8")
    write(tmp_path, [event(9, b"{}")])
    found = list(given(tmp_path / "events.json", "-", tmp_path, standard_input=content([event(3, b"[]")])))
    assert [each.body for each in found] == [b"[]", b"{}", b'{"n": 1}', b'{"n": 2}']
    assert [each.body for each in given("-", standard_input=b'{"n": 3}')] == [b'{"n": 3}']


def test_files_may_lie_behind_a_url() -> None:
    """As those of sources."""
    fsspec.filesystem("memory").pipe("/c/ns/hub/2/2026/11/22/12/00/05.avro", content([event(3, b"{}")]))
    (message,) = given("memory://c/ns/hub/2/2026/11/22/12/00/05.avro")
    assert (message.stream, message.sequence) == ("hub/2", 3)


GOOD = content([event(number, b"x" * 1_000) for number in range(50)], sync_interval=4_000)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD[:-1], "it ends too early$"),
        (GOOD[:-1] + b"x", "it does not end with the file's marker$"),
    ],
)
def test_a_file_that_cannot_be_read_says_behind_which_event(data: bytes, says: str) -> None:
    """The events before that place are given."""
    found: list[Message] = []
    with pytest.raises(UserError, match=says) as caught:
        found.extend(captured(io.BytesIO(data), name="f.avro", stream=HUB))
    assert f"after event {len(found)}:" in caught.value.message
    assert len(found) in {45, 48}


DAMAGED = {
    "header": (GOOD[:100], "it ends too early"),
    "block": (content([event(1, b"x")])[:-20], "it ends too early"),
    "kind": (b"PAR1", "it is not an Avro object container file"),
}


@pytest.mark.parametrize(("data", "says"), DAMAGED.values(), ids=DAMAGED)
def test_a_file_without_a_first_event_that_can_be_read_says_so(data: bytes, says: str) -> None:
    """Nothing of it is given."""
    with pytest.raises(UserError, match=f"^f.avro: its first event cannot be read: {says}"):
        read(data)


@pytest.mark.parametrize("data", [GOOD[:100], content([event(1, b"x")])[:-20]], ids=["header", "block"])
def test_the_events_before_a_damaged_file_are_given(tmp_path: Path, data: bytes) -> None:
    """By the times in the paths, whatever the order of the names: no later event comes before its own."""
    files = [write(tmp_path, [event(number, b"")], second=number) for number in (3, 1, 4, 2)]
    files.append(write(tmp_path, [event(7, b"")], partition="1"))
    files[0].write_bytes(data)
    found: list[Message] = []
    with pytest.raises(UserError, match=r"12/00/03\.avro: its first event cannot be read: it ends too early"):
        found.extend(given(*files))
    assert [each.sequence for each in found] == [1, 2]


def test_files_at_other_places_come_before_a_damaged_one_as_they_are_given(tmp_path: Path) -> None:
    """Their paths do not say their times; a second damaged file changes nothing."""
    for name, sequence in (("b", 1), ("a", 2), ("d", 9)):
        (tmp_path / f"{name}.avro").write_bytes(content([event(sequence, b"")]))
    for name in ("c", "e"):
        (tmp_path / f"{name}.avro").write_bytes(GOOD[:100])
    found: list[Message] = []
    with pytest.raises(UserError, match=r"c\.avro: its first event"):
        found.extend(given(*(tmp_path / f"{name}.avro" for name in "bacde"), partition=HUB))
    assert [each.sequence for each in found] == [1, 2]


def test_events_that_are_not_in_their_order_are_refused() -> None:
    """An event behind a later one would count as applied and be lost."""
    found: list[Message] = []
    with pytest.raises(UserError, match="event 3 has the sequence number 1 after 2: the events of a file must be in"):
        found.extend(captured(io.BytesIO(content([event(n, b"") for n in (1, 2, 1)])), name="f.avro", stream=HUB))
    assert [each.sequence for each in found] == [1, 2]


def test_another_container_is_not_taken_for_a_file_of_capture() -> None:
    """Its records are no events."""
    import fastavro

    file = io.BytesIO()
    schema: Any = {"type": "record", "name": "R", "fields": [{"name": "Body", "type": "string"}]}
    fastavro.writer(file, schema, [{"Body": "x"}])
    with pytest.raises(UserError, match="no file of Event Hubs Capture: its records lack EnqueuedTimeUtc, Offset"):
        read(file.getvalue())


def test_a_file_is_read_as_far_as_it_is_asked_for() -> None:
    """A file of a hundred megabytes takes as much memory as one of its blocks."""
    data = content([event(number, bytes([number % 256]) * 100_000) for number in range(1_000)])
    assert len(data) < 10_000_000
    tracemalloc.start()
    try:
        assert sum(len(each.body) for each in captured(io.BytesIO(data), name="f", stream=HUB)) == 100_000_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
