"""Dead letters as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import UserError
from shared.state import DeadLetter, StateStore
from shared.state.sqlite import SqliteStateStore
from shared.views.dead_letters import (
    body_text,
    dead_letter_json,
    in_lines,
    letter_counts,
    letters_named,
    short_id,
    tally,
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateStore]:
    store = SqliteStateStore(tmp_path / "state.db")
    yield store
    store.close()


def letter(number: int, sync: str = "customers", body: bytes = b"{}") -> DeadLetter:
    return DeadLetter(
        id=f"{sync}/hub/{number}",
        sync=sync,
        body=body,
        partition="0",
        sequence=number,
        error="Unknown Choice",
        message="m",
        kept=datetime(2026, 3, 1, tzinfo=UTC),
        system={"key": "C-1"},
    )


def test_a_letter_is_found_by_its_id_and_by_its_short_id(state: StateStore) -> None:
    """Several at once; one that is not there is an error, and nothing is given."""
    state.add_dead_letters([letter(1), letter(2), letter(3)])
    ids = ["customers/hub/1", short_id("customers/hub/3")]
    assert [found.sequence for found in letters_named(state, None, ids)] == [1, 3]
    with pytest.raises(UserError, match="There is no dead letter 00000000 of customers"):
        letters_named(state, "customers", ["customers/hub/1", "00000000"])


def test_a_short_id_is_looked_up_among_all_letters(state: StateStore) -> None:
    """Only of the sync that is named; the letter of a whole id and that of its short one are given once."""
    state.add_dead_letters([letter(number) for number in range(1500)])
    last = letter(1499)
    assert letters_named(state, "customers", [short_id(last.id).upper(), last.id]) == (last,)
    with pytest.raises(UserError, match="There is no dead letter"):
        letters_named(state, "orders", [short_id(last.id)])


def test_the_counts_of_letters_add_up(state: StateStore) -> None:
    """Letters that no listener takes are listed separately, and so are those of syncs that were removed."""
    state.add_dead_letters([letter(1), letter(2), letter(3, sync=""), letter(4, sync="gone")])
    counts = letter_counts(state, ["customers", "orders"])
    assert counts == {"customers": 2, "unclaimed": 1, "without a definition": 1}
    assert tally(counts) == "4 dead letters: customers 2, unclaimed 1, without a definition 1."


def test_a_body_is_shown_in_lines_where_it_is_json() -> None:
    """Other text is shown as it came."""
    assert body_text(letter(1, body=b'{"a": "\xc3\xbc"}')) == '{\n  "a": "ü"\n}'
    assert body_text(letter(1, body=b"no json")) == "no json"


@pytest.mark.parametrize(
    "body",
    [
        '{"op":"u","op":"d"}',
        '{"price":1.50}',
        '{"n":0.1000000000000000055}',
        '{"n":1e400}',
        '{"n":1E2}',
        '{"n":-0}',
        '{"n":NaN}',
        '{"a":[{"b":-0.0,"b":1}]}',
    ],
)
def test_a_body_that_lines_would_change_is_shown_as_it_came(body: str) -> None:
    """No key and no digit of an event is lost where a person looks for what is wrong with it."""
    assert in_lines(body) == body
    assert body_text(letter(1, body=body.encode())) == body


def test_numbers_and_characters_of_a_body_are_those_of_the_event() -> None:
    """Usual numbers stand in lines; what a terminal would obey stays escaped."""
    assert in_lines('{"n":1.5,"m":-2,"t":"\\u0092\\ud83d\\u202e\\u00e9"}') == (
        '{\n  "n": 1.5,\n  "m": -2,\n  "t": "\\u0092\\ud83d\\u202eé"\n}'
    )


def test_a_dead_letter_is_json_also_where_its_body_is_no_text() -> None:
    """Bytes that are not UTF-8 are replaced, and moments are texts."""
    letter = DeadLetter(
        id="a",
        sync="customers",
        body=b'{"n": \xff}',
        partition="0",
        sequence=7,
        error="Undecodable",
        message="m",
        kept=datetime(2026, 3, 1, tzinfo=UTC),
    )
    value = json.loads(json.dumps(dead_letter_json(letter)))
    assert value["body"] == '{"n": \N{REPLACEMENT CHARACTER}}'
    assert (value["kept"], value["enqueued"], value["sequence"]) == ("2026-03-01T00:00:00+00:00", None, 7)
