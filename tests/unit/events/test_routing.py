"""A listener takes the messages that its `match` describes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.definitions.models.listener import Topic
from shared.events import Claim, Message, claim, parse


def claimed(body: Any, properties: dict[str, Any] | None = None, **topic: Any) -> Claim:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = Message(body=raw, partition="0", sequence=1, properties=properties or {})
    return claim(message, Topic(**topic), parse(raw))


@pytest.mark.parametrize(
    ("body", "properties", "topic", "outcome"),
    [
        pytest.param(b"\xff", {}, {}, Claim.TAKES, id="without match everything is taken, poison too"),
        pytest.param({"type": "x"}, {}, {"match": {"type": "x"}}, Claim.TAKES, id="field of the body"),
        pytest.param({"type": "y"}, {}, {"match": {"type": "x"}}, Claim.LEAVES, id="another value"),
        pytest.param({}, {}, {"match": {"type": "x"}}, Claim.LEAVES, id="no such field"),
        pytest.param({"type": "y"}, {"type": "x"}, {"match": {"type": "x"}}, Claim.TAKES, id="properties come first"),
        pytest.param({"v": 2}, {}, {"match": {"v": 2}}, Claim.TAKES, id="a number"),
        pytest.param({"v": True}, {}, {"match": {"v": True}}, Claim.TAKES, id="a flag"),
        pytest.param({"v": None}, {}, {"match": {"v": "x"}}, Claim.LEAVES, id="null"),
        pytest.param({"m": {"t": "x"}}, {}, {"match": {"m.t": "x"}}, Claim.TAKES, id="a dotted name"),
        pytest.param({"m": [{"t": "x"}]}, {}, {"match": {"$.m[0].t": "x"}}, Claim.TAKES, id="a path"),
        pytest.param({"m": "x"}, {}, {"match": {"m.t.cloudEvents:type": "x"}}, Claim.LEAVES, id="an odd name"),
        pytest.param({"t": 1, "u": 1}, {}, {"match": {"t": 1, "u": 2}}, Claim.LEAVES, id="all must fit"),
        pytest.param(b"\xff", {"t": "x"}, {"match": {"t": "x"}}, Claim.TAKES, id="poison known by its properties"),
        pytest.param(b"\xff", {"t": "y"}, {"match": {"t": "x"}}, Claim.LEAVES, id="poison of others"),
        pytest.param(b"\xff", {}, {"match": {"t": "x"}}, Claim.UNKNOWN, id="poison that tells nothing"),
        pytest.param(b"\xff", {}, {"match": {"$..t": "x"}}, Claim.UNKNOWN, id="poison and a path of many places"),
        pytest.param(b'{"t": NaN}', {}, {"match": {"t": "NaN"}}, Claim.LEAVES, id="a value that cannot be used"),
        pytest.param(
            {"payload": {"op": "c", "source": {"table": "t"}}, "schema": None},
            {},
            {"format": "debezium", "match": {"table": "t", "op": "c"}},
            Claim.TAKES,
            id="Debezium's source",
        ),
        pytest.param(
            {"n": 1},
            {"cloudEvents:type": "x", "cloudEvents:specversion": "1.0"},
            {"format": "cloudevents", "match": {"type": "x"}},
            Claim.TAKES,
            id="binary CloudEvent",
        ),
        pytest.param(
            [{"type": "y"}, {"type": "x"}],
            {},
            {"format": "cloudevents", "match": {"type": "x"}},
            Claim.TAKES,
            id="a CloudEvents batch of which one fits",
        ),
        pytest.param(
            [{"type": "y"}, {"type": "z"}],
            {},
            {"format": "cloudevents", "match": {"type": "x"}},
            Claim.LEAVES,
            id="a CloudEvents batch of others",
        ),
        pytest.param([{"t": "y"}, {"t": "x"}], {}, {"match": {"t": "x"}}, Claim.TAKES, id="an array of which one fits"),
        pytest.param([], {}, {"match": {"t": "x"}}, Claim.LEAVES, id="an empty array"),
        pytest.param(
            {"MessageName": "Update"},
            {},
            {"format": "dataverse", "match": {"MessageName": "Update"}},
            Claim.TAKES,
            id="Dataverse message",
        ),
    ],
)
def test_claims(body: Any, properties: dict[str, Any], topic: dict[str, Any], outcome: Claim) -> None:
    """The envelope and the properties decide; if they cannot be read, the result is unknown."""
    assert claimed(body, properties, **topic) is outcome
