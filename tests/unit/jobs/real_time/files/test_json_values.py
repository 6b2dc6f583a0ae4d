"""A file of events is read value by value, whatever its lines are."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.jobs.real_time.files.json_values import messages_in

EVENTS = [
    {"number": "1", "name": "a[{"},
    {"number": "2", "deep": {"list": [1, {"x": "}"}], "none": None}},
    {"n": -1.5e3},
]


def read(content: bytes, **options: Any) -> tuple[list[tuple[str, bytes]], str]:
    """The events with their lines, and the error that ends the reading."""
    found: list[tuple[str, bytes]] = []
    try:
        for message in messages_in(io.BytesIO(content), name="events.json", stream="s", **options):
            assert (message.partition, message.sequence) == ("s", len(found))
            found.append((message.offset, message.body))
    except UserError as error:
        return found, error.message
    return found, ""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\n".join(map(json.dumps, EVENTS)), id="NDJSON"),
        pytest.param("\n\r\n".join(map(json.dumps, EVENTS)) + "\r\n", id="with blank lines"),
        pytest.param("\n".join(json.dumps(event, indent=2) for event in EVENTS), id="pretty-printed"),
        pytest.param("".join(json.dumps(event, indent=1) for event in EVENTS), id="one behind the other"),
        pytest.param(" ".join(map(json.dumps, EVENTS)), id="in one line"),
        pytest.param(json.dumps(EVENTS, indent=4), id="a pretty-printed array"),
        pytest.param("[\n" + ",\n".join(map(json.dumps, EVENTS)) + "\n]\n", id="an array with an item a line"),
        pytest.param("[" + "\n,".join(map(json.dumps, EVENTS)) + "]", id="commas in front"),
        pytest.param("[\n" + ",".join(map(json.dumps, EVENTS[:2])) + "\n]\n" + json.dumps(EVENTS[2]), id="mixed"),
    ],
)
def test_every_way_to_write_events_gives_the_same(text: str) -> None:
    """One a line, over several lines, or in an array: the events are the file's JSON values."""
    for content in (text.encode(), b"\xef\xbb\xbf" + text.encode()):
        found, error = read(content)
        assert ([json.loads(body) for _, body in found], error) == (EVENTS, "")


def test_an_array_in_a_line_of_its_own_is_one_event() -> None:
    """A hub's message may be an array of records, and a line of NDJSON is such a message."""
    assert read(b'[{"n": 1}, {"n": 2}]\n[]\n') == ([("line 1", b'[{"n": 1}, {"n": 2}]'), ("line 2", b"[]")], "")


def test_a_line_that_is_no_json_is_one_event_and_harms_no_other() -> None:
    """It is decoded to a dead letter, as it came; empty lines are none."""
    found, error = read(b'{"n": 1}\n\nno json\r\n{"n": 2} x\n{"n":\xff}\n}\n{"n": 3}')
    assert found == [
        ("line 1", b'{"n": 1}'),
        ("line 3", b"no json"),
        ("line 4", b'{"n": 2} x'),
        ("line 5", b'{"n":\xff}'),
        ("line 6", b"}"),
        ("line 7", b'{"n": 3}'),
    ]
    assert error == ""


@pytest.mark.parametrize("cut", [b'{"n": 1,', b"{", b'{"n": [1', b'{"n":\n{"m": 1}', b'{"n": "x'])
def test_a_line_that_broke_off_does_not_swallow_the_next(cut: bytes) -> None:
    """A writer that was stopped in the middle of a line costs that line alone, also at the end of the file."""
    found, error = read(cut + b'\n{"n": 2}\n' + cut)
    assert ([body for _, body in found], error) == ([cut, b'{"n": 2}', cut], "")


@pytest.mark.parametrize(
    ("content", "given", "says"),
    [
        (b'[\n{"n": 1},\n{"n": 2,}\n]', 1, "events.json:3:9: here the JSON that begins in line 3 breaks off"),
        (b'{"n": 1}\n{\n  "n": 2,\n  n: 3\n}', 1, "events.json:4:3: here the JSON that begins in line 2"),
        (b'[\n{"n": 1},\n{"n": 2}', 2, "events.json:3: here it ends within the array that begins in line 1"),
        (b"[\n" * 2_000, 0, "breaks off"),
        (b"\xff\xfe{\x00}\x00", 0, "events.json:1: this is UTF-16; write it as UTF-8"),
    ],
)
def test_where_a_value_breaks_off_the_place_is_named(content: bytes, given: int, says: str) -> None:
    """The events before it were given; those after it cannot be distinguished."""
    found, error = read(content)
    assert (len(found), says in error) == (given, True), error


@pytest.mark.parametrize(
    ("content", "given", "says"),
    [
        (b'[{"n": 1}, {"n": 2}]', 2, ""),
        (b'\xef\xbb\xbf [{"n": 1},\n{"n": 2}]\n[3]', 3, ""),
        (b'\n\n[{"n": 1},\n{"n": 2}', 2, "events.json:4: here it ends within the array that begins in line 3"),
        (b'[{"n": 1}, n]', 1, "events.json:1:12: here the JSON that begins in line 1 breaks off"),
        (b'[{"n": 1}] x', 1, "events.json:1:12: here the JSON that begins in line 1 breaks off"),
        (b'{"n": 1}\n[2, 3]', 2, ""),
    ],
)
def test_an_array_that_a_file_begins_with_may_be_its_events(content: bytes, given: int, says: str) -> None:
    """Also one in a line, of which places are named as they are; nothing is said of what became of the events."""
    found, error = read(content, is_array=True)
    assert (len(found), error) == (given, says)


def test_an_event_has_a_bound() -> None:
    """Neither a line without an end nor an event without one fills the memory."""
    assert "line is longer than 100 bytes" in read(b'{"n": 1}\n{"n": "' + b"x" * 200 + b'"}', largest=100)[1]
    assert (
        "larger than 100 bytes" in read(b'{\n"a": "' + b"x" * 60 + b'",\n"b": "' + b"x" * 60 + b'"\n}', largest=100)[1]
    )
    assert len(read(b"[\n" + b'{"n": 1},\n' * 50 + b"1]", largest=100)[0]) == 51


def test_a_file_is_read_only_as_far_as_events_are_asked_for() -> None:
    """An array of any length passes through in pieces."""

    class Endless(io.RawIOBase):
        lines = 0

        def readline(self, _size: int | None = -1, /) -> bytes:
            self.lines += 1
            return b"[\n" if self.lines == 1 else b'{"n": 1},\n'

    content = Endless()
    messages: Iterator[object] = messages_in(content, name="x", stream="s")  # type: ignore[arg-type]  # reads lines
    for _ in range(1_000):
        next(messages)
    assert content.lines == 1_001


@given(
    st.lists(
        st.sampled_from([b"{", b"}", b"[", b"]", b",", b":", b'"a"', b"1", b" ", b"\n", b"x", b"\xff"]), max_size=30
    )
)
def test_whatever_a_file_holds_it_is_read_or_refused(parts: list[bytes]) -> None:
    """No bytes make reading raise anything but the error that names the place, and none are left out before it."""
    content = b"".join(parts)
    found, error = read(content)
    assert error == "" or error.startswith("events.json:")
    if not error and b"[" not in content:
        assert b"".join(body for _, body in found).translate(None, b" \n") == content.translate(None, b" \n")
