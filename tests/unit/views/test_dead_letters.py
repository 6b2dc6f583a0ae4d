"""Dead letters as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from shared.state import DeadLetter
from shared.views.dead_letters import dead_letter_json


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
