"""The examples in docs/real-time.md work."""

from __future__ import annotations

import re
from pathlib import Path

from shared.definitions import load_definition
from shared.events import Claim, Event, Message, Reader, Selection, claim, decode, parse
from shared.events.plain_json import action_named
from shared.workspace import Workspace

PAGE = (Path(__file__).parents[3] / "docs" / "real-time.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_definition_takes_the_event_that_follows_it() -> None:
    """It loads, its listener takes the event, and only the fields that the page names are read."""
    definition = load_definition(blocks("yaml")[0], file="real-time.md")
    assert definition.listener is not None
    topic = definition.listener.topic
    message = Message(body=blocks("json")[0].encode(), partition="0", sequence=1)
    body = parse(message.body)
    assert claim(message, topic, body) is Claim.TAKES
    (event,) = decode(message, topic, body)
    assert isinstance(event, Event)
    with Workspace.open(threads=1) as workspace:
        assert len(Selection(topic).select([event], workspace).wanted) == 1
    fields = Reader(definition.source.columns).fields(event.new)
    assert fields == {"number": "A-17", "$.address.city": "Calgary"}


def test_every_documented_action_is_recognised() -> None:
    """The list of words on the page is that of the program."""
    line = PAGE.partition("Words for actions: ")[2].partition("; in any case")[0]
    groups = [re.split(r",\s*", group.strip()) for group in re.sub(r"\s+", " ", line).split(";")]
    assert [{action_named(word) for word in group} for group in groups] == [
        {action_named("insert")},
        {action_named("update")},
        {action_named("delete")},
        {action_named("upsert")},
    ]
