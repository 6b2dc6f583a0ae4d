"""Events over HTTP: checked whole, and then taken whole."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import pytest
import requests

from shared.jobs.real_time.intake import AcceptedEvent
from tests.console.conftest import Served, World, console_of, serving

LISTENS = """listener:
  name: live customers
  auto_offset_reset: earliest
  topic: {action: $.op}
"""


@pytest.fixture
def listening(world: World) -> World:
    """A sync of events."""
    world.define("customers", more=LISTENS)
    file = world.folder / "syncs" / "customers.yaml"
    text = file.read_text()
    start, end = text.index("  type: delimited"), text.index("  columns:")
    file.write_text(text[:start] + "  type: events\n" + text[end:].replace(", dropped: delete", ""))
    return world


def send(served: Served, value: Any, listener: str = "live customers") -> requests.Response:
    """Post JSON, or bytes as they are."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers = {"content-type": "application/json"}
    return requests.post(f"{served.url}/api/events/{listener}", data=data, headers=headers, timeout=30)


def test_events_are_applied_and_their_ids_told(listening: World, served: Served) -> None:
    """One, or an array of them, which keep their order."""
    answer = send(served, {"op": "c", "number": "customers-1", "name": "One"})
    assert answer.status_code == 202
    assert len(answer.json()["ids"]) == 1
    several = [{"op": "u", "number": "customers-1", "name": name} for name in ("Two", "Three")]
    answer = send(served, [*several, {"op": "c", "number": "customers-2", "name": "Other"}])
    assert (answer.status_code, len(set(answer.json()["ids"]))) == (202, 3)
    assert listening.accounts() == {"customers-1": "Three", "customers-2": "Other"}


def test_packed_events_are_those_that_are_in_them(listening: World, served: Served) -> None:
    """As they are without gzip, also when they come in several parts; what they unpack to is told as wrong as ever."""
    events = [{"op": "c", "number": f"customers-{number}", "name": "One"} for number in range(2)]
    url, headers = f"{served.url}/api/events/live customers", {"content-encoding": "gzip", "content-type": "text/json"}
    packed = gzip.compress(json.dumps(events).encode())
    parts = (packed[at : at + 7] for at in range(0, len(packed), 7))
    assert requests.post(url, data=parts, headers=headers, timeout=30).status_code == 202
    assert listening.accounts() == {"customers-0": "One", "customers-1": "One"}
    answer = requests.post(url, data=gzip.compress(b'[{"op": "?"}]'), headers=headers, timeout=30)
    assert [each["index"] for each in answer.json()["problems"]] == [0]


def test_where_one_is_wrong_none_is_taken(listening: World, served: Served) -> None:
    """The answer says which ones, and why."""
    good = {"op": "c", "number": "customers-1", "name": "One"}
    answer = send(served, [good, {"op": "?", "number": "customers-2"}, good, {"op": "c", "name": "No key"}])
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [each["index"] for each in answer.json()["problems"]] == [1, 3]
    assert all(each["message"] for each in answer.json()["problems"])
    assert listening.accounts() == {}
    assert listening.app.state.count_dead_letters() == 0


def test_listeners_of_one_name_each_take_the_events_that_match(listening: World, served: Served) -> None:
    """An event is refused only if none of them takes it, or if it is wrong for one that does."""
    files = {name: listening.folder / "syncs" / f"{name}.yaml" for name in ("customers", "others")}
    text = files["customers"].read_text()
    for name, file in files.items():
        matching = text.replace("name: customers\n", f"name: {name}\n", 1)
        file.write_text(matching.replace("topic: {action: $.op}", f"topic: {{action: $.op, match: {{of: {name}}}}}"))
    events = [{"op": "c", "of": name, "number": f"{name}-1", "name": "One"} for name in files]
    assert send(served, events).status_code == 202
    assert listening.accounts() == {"customers-1": "One", "others-1": "One"}
    answer = send(
        served, [*events, {"op": "c", "of": "nobody", "number": "x"}, {"op": "?", "of": "others", "number": "y"}]
    )
    assert (answer.status_code, [each["index"] for each in answer.json()["problems"]]) == (422, [2, 3])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[1, 2]", b"not json", b"[" + b'{"a": 1},' * 600 + b"{}]"])
def test_what_is_no_event_is_refused(listening: World, served: Served, body: bytes) -> None:
    """With a reason; nothing is kept."""
    answer = send(served, body)
    assert (answer.status_code, bool(answer.json()["detail"])) == (422, True)
    assert listening.app.state.count_dead_letters() == 0


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'[{"op": "c", "number": "N-1", "name": "One"},\n{"op": "c", "number": "N-2", "name": "Two"}', "request:2: "),
        (b'\n[{"op": "c", "number": "N-1", "name": "One"},}]', "request:2:46: "),
        (b'{"op": "c", "number": "N-1", "name": "One"}\n{\n"op":\n"c",\nx}', "request:5:1: "),
    ],
)
def test_events_that_break_off_are_refused_with_the_place(
    listening: World, served: Served, body: bytes, place: str
) -> None:
    """The line is that of the body as it was sent. None was applied, and the answer says so."""
    answer = send(served, body)
    assert (answer.status_code, place in answer.json()["detail"]) == (422, True), answer.text
    assert answer.json()["detail"].endswith("None of the events was taken.")
    assert "applied" not in answer.text
    assert listening.accounts() == {}
    assert listening.app.state.count_dead_letters() == 0


@pytest.mark.parametrize("name", ["crm/customers", "/a//b/", "live <b> 100%/x", "a?b#c&d", "é %2F", "events"])
def test_a_listener_may_have_any_name(world: World, served: Served, name: str) -> None:
    """The path has it encoded; a slash may stand as it is."""
    world.define("customers", more=LISTENS.replace("live customers", f"'{name}'"))
    event = {"op": "u", "number": "customers-1", "name": "One"}
    for encoded in (quote(name, safe=""), quote(name)):
        assert send(served, event, encoded).status_code == 202
    assert world.accounts() == {"customers-1": "One"}
    assert send(served, event, quote(f"{name}/x", safe="")).status_code == 404


def test_a_listener_that_there_is_not_takes_nothing(listening: World, served: Served) -> None:
    """Its name is that of the listener, and not of the sync."""
    assert send(served, {"op": "c"}, "customers").status_code == 404


@dataclass(frozen=True, slots=True)
class Hub:
    """Takes events, and tells what it has got."""

    got: list[AcceptedEvent] = field(default_factory=list)

    def send(self, events: Sequence[AcceptedEvent]) -> None:
        """See `SendsEvents.send`."""
        self.got.extend(events)


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def served_with_hub(listening: World, hub: Hub) -> Iterator[Served]:
    """The console of an app that has an event hub."""
    with console_of(listening.app) as console, serving(replace(console, hub=hub)) as made:
        yield made


def test_a_hub_gets_them_as_they_were_sent_with_the_message_key(
    listening: World, served_with_hub: Served, hub: Hub
) -> None:
    """Events of one record have one key, whatever its case; numbers keep their digits."""
    first = b'{"op": "c", "number": "customers-1", "name": "One", "price": 1.10000000000000000001}'
    answer = send(served_with_hub, b"[" + first + b', {"op": "u", "number": "CUSTOMERS-1", "name": "x"}]')
    assert answer.json()["ids"] == [each.id for each in hub.got]
    assert hub.got[0].body == first
    assert hub.got[0].key
    assert hub.got[0].key == hub.got[1].key
    assert listening.accounts() == {}


def test_a_sync_of_events_is_not_started(listening: World, served: Served) -> None:
    """Neither over the API nor on its page, which offers no start."""
    said, url = "this sync cannot run as a batch", f"{served.url}/api/syncs/customers/jobs"
    for kind in ("run", "plan"):
        answer = requests.post(url, json={"kind": kind}, timeout=30)
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True)
    form = requests.get(f"{served.url}/syncs/customers/start", timeout=30)
    assert (form.status_code, said in form.text) == (422, True)
    page = requests.get(f"{served.url}/syncs/customers", timeout=30)
    assert (page.status_code, "/syncs/customers/start" in page.text) == (200, False)
    assert listening.app.state.open_jobs() == ()
