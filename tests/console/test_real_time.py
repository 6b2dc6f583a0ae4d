"""Listeners, and dead letters that are sent again."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from console.real_time.letters import EDITABLE, body_of
from console.real_time.replaying import edited
from shared.app import App
from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.waiting import PartitionState
from shared.errors import UserError
from shared.events import Message
from shared.jobs.real_time.events import run_events
from shared.state import DeadLetter, RunRecord
from tests.console.conftest import LISTENER, Served, World, console_of, pictures, serving, unreachable, violations
from tests.event_hubs import hub_of, refusing_hub, slow_hub
from tests.store_in_front import StoreInFront

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PERMISSIONS = "permissions: {execute: [Operators], read: [Readers]}\n"
LATEST = LISTENER.replace("name: crm", "name: crm, auto_offset_reset: earliest")


def event(number: str, name: str, sequence: int) -> Message:
    """An event of an account."""
    body = json.dumps({"op": "insert", "row": {"number": number, "name": name}}).encode()
    return Message(
        body=body, partition="0", sequence=sequence, key=number, properties={"origin": "<b>crm</b>"}, hub="accounts"
    )


def feed(world: World, *messages: Message) -> None:
    """Put messages through the listeners, as the Event Hub trigger does."""
    run_events(messages, world.app.listeners(), world.app.event_tools)


def test_a_dead_letter_is_edited_and_sent_again(page: Page, world: World, tmp_path: Path) -> None:
    """The edited event takes effect, the letter is gone, and the audit log says who did it."""
    world.define("customers", rows=0, more=LATEST)
    feed(world, event("customers-1", "Good", 1), event("customers-2", "Too long " * 30, 2), event("", "No key", 3))
    page.goto("/real-time")
    expect(page.get_by_role("row", name="customers")).to_contain_text("crm (json)")
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "real-time", tmp_path)
    page.get_by_role("link", name="customers").click()
    expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "dead-letters", tmp_path)
    page.get_by_role("row").filter(has_text="sequence number 2").get_by_role("link").click()
    text = page.get_by_label("Text of the event")
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "dead-letter", tmp_path)
    text.fill(text.input_value().replace("Too long " * 30, "Mended"))
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_have_text("1 applied or overtaken, 0 refused again.")
    assert world.accounts() == {"customers-1": "Good", "customers-2": "Mended"}
    (entry,) = world.app.state.audit("customers")
    assert (entry.action, entry.after) == ("edited a dead letter and sent it again", "1 applied, 0 refused again")
    assert "Mended" not in entry.before + entry.after
    page.get_by_role("button", name="Send 1 again").click()
    expect(page.get_by_role("status")).to_have_text("0 applied or overtaken, 1 refused again.")
    page.get_by_label("I am sure").check()
    page.get_by_role("button", name="Remove 1").click()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    page.goto("/audit")
    expect(page.get_by_role("row").filter(has_text="removed dead letters")).to_be_visible()
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "audit", tmp_path)


def row_of(sync: str, handled: datetime, partitions: dict[str, tuple[int, float]]) -> RunRecord:
    """A row of one process: partition -> sequence number of its latest event, and how long that has waited."""
    return RunRecord(
        run_id=uuid4().hex, sync=sync, version="1", trigger="events", state="Succeeded", started=handled, ended=handled,
        counts={"events": 1, "partitions": {
            name: {"sequence": sequence, "lag": lag, "handled": handled.isoformat(),
                   "enqueued": (handled - timedelta(seconds=lag)).isoformat()}
            for name, (sequence, lag) in partitions.items()
        }},
    )  # fmt: skip


def test_the_lag_of_each_partition_is_shown(page: Page, served: Served, world: World, tmp_path: Path) -> None:
    """Of all processes, the latest event of each partition; how long a silent one has had none."""
    world.define("customers", rows=0, more=LATEST)
    now = datetime.now(UTC)
    for row in (
        row_of("customers", now - timedelta(hours=3), {"hub/0": (5, 2.0), "hub/10": (6, 4.0)}),
        row_of("customers", now - timedelta(seconds=20), {"hub/0": (9, 75.0), "hub/2": (1, 0.25)}),
    ):
        world.app.state.begin_run(row)
    page.goto("/real-time")
    expect(page.get_by_role("row", name="customers")).to_contain_text("1 min")
    page.get_by_role("link", name="customers").click()
    table = page.locator("#partitions")
    expect(table.get_by_role("row", name="hub/10")).to_contain_text("nothing received for 3 h")
    expect(table.get_by_role("row", name="hub/0")).not_to_contain_text("nothing received")
    expect(table.get_by_role("row", name="hub/0")).to_contain_text("1 min")
    assert violations(page) == []
    assert unreachable(page) == []
    pictures(page, "partitions", tmp_path)
    found = requests.get(f"{served.url}/api/syncs/customers/partitions", timeout=10).json()["partitions"]
    assert [(each["partition"], each["sequence"], each["lag"]) for each in found] == [
        ("hub/0", 9, 75.0),
        ("hub/2", 1, 0.25),
        ("hub/10", 6, 4.0),
    ]
    assert [round(each["silent"] / 3600) for each in found] == [0, 0, 3]
    (listener,) = requests.get(f"{served.url}/api/listeners", timeout=10).json()["listeners"]
    assert [each["partition"] for each in listener["partitions"]] == ["hub/0", "hub/2"]


KNOWN = PartitionState.KNOWN


def answers(world: World, waiting: WaitingEvents | None) -> tuple[dict[str, Any], dict[str, Any], str, str]:
    """What a console with this hub gives: partitions of a sync, listeners, and the text of both pages."""
    with console_of(world.app) as console, serving(replace(console, waiting=waiting)) as made:
        partitions, listeners, page, list_page = (
            requests.get(f"{made.url}{path}", timeout=30)
            for path in ("/api/syncs/customers/partitions", "/api/listeners", "/real-time/customers", "/real-time")
        )
    assert {each.status_code for each in (partitions, listeners, page, list_page)} == {200}
    return partitions.json(), listeners.json(), page.text, list_page.text


@pytest.fixture
def heard(world: World) -> World:
    """A listener that has had events of two partitions."""
    world.define("customers", rows=0, more=LATEST)
    world.app.state.begin_run(row_of("customers", datetime.now(UTC), {"HUB/0": (9, 75.0), "HUB/2": (1, 0.25)}))
    return world


def test_events_that_wait_are_shown_for_each_partition(heard: World) -> None:
    """On both pages and in both answers; a hub may be written with capitals."""
    hub = hub_of(("Hub/0", 1_200, KNOWN), ("Hub/1", 0, KNOWN), ("Hub/2", 3, KNOWN))
    partitions, listeners, page, list_page = answers(heard, hub)
    assert partitions["hub"] == listeners["hub"]
    assert [partitions["hub"][name] for name in ("state", "reason", "waiting")] == ["known", "", 1203]
    assert [(each["partition"], each["waiting"], each["state"]) for each in partitions["hub"]["partitions"]] == [
        ("Hub/0", 1200, "known"), ("Hub/1", 0, "known"), ("Hub/2", 3, "known"),
    ]  # fmt: skip
    assert [each["waiting"] for each in partitions["partitions"]] == [1200, 3]
    (listener,) = listeners["listeners"]
    assert [each["waiting"] for each in listener["partitions"]] == [1200, 3]
    for text in (page, list_page):
        assert "<b>1,203</b> events wait in the event hub, for all listeners together. Partition Hub/0 has" in text
        assert "the most: 1,200." in text
    cells = re.compile(r'data-name="Events waiting" class="n">\s*([^<]*?)\s*<')
    assert (cells.findall(page), cells.findall(list_page)) == (["1,200", "3"], ["1,200", "0", "3"])


def test_a_checkpoint_ahead_of_the_hub_is_said(heard: World) -> None:
    """Instead of a number; the first page says it as well."""
    hub = hub_of(("hub/0", None, PartitionState.AHEAD), ("hub/1", 0, KNOWN), ("hub/2", None, PartitionState.AHEAD))
    partitions, _, page, list_page = answers(heard, hub)
    assert (partitions["hub"]["waiting"], partitions["hub"]["partitions"][0]["state"]) == (0, "checkpoint ahead")
    for text in (page, list_page):
        assert "no events of the partitions hub/0, hub/2: the checkpoint is ahead of the hub" in text
        assert "No events wait in the other partitions of the event hub." in text
    with console_of(heard.app) as console, serving(replace(console, waiting=hub)) as made:
        status = requests.get(f"{made.url}/api/status", timeout=30).json()
        assert "2 partitions of the event hub are not read" in requests.get(made.url, timeout=30).text
    assert [(each["kind"], each["page"]) for each in status["needs"]] == [("checkpoint", "/real-time")]
    assert status["needs_a_person"]


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([0, 0], "No events wait in the event hub."),
        ([0, 1], "<b>1</b> event waits in the event hub, for all listeners together. It is in partition hub/1."),
        ([2, 0], "<b>2</b> events wait in the event hub, for all listeners together. All of them are in partition hub/0."),
        ([0, None], "No events wait in the other partitions of the event hub."),
        ([None, None], "wait in the partitions hub/0, hub/1 is not known: the checkpoint has no sequence number."),
    ],
)  # fmt: skip
def test_the_sum_is_said_in_words(heard: World, counts: list[int | None], says: str) -> None:
    """Partitions without a number are named, and are no part of it."""
    hub = hub_of(
        *(
            (f"hub/{number}", count, PartitionState.UNKNOWN if count is None else KNOWN)
            for number, count in enumerate(counts)
        )
    )
    assert says in answers(heard, hub)[3]


def test_where_the_hub_does_not_say_it_the_page_says_why(heard: World) -> None:
    """It does not wait for a hub that does not answer; without a hub there is nothing to say."""
    partitions, listeners, page, list_page = answers(heard, refusing_hub())
    assert (partitions["hub"]["state"], listeners["hub"]["waiting"]) == ("not available", None)
    for text in (page, list_page):
        assert "is not known. The event hub refuses the app: give its identity the role" in text
    with slow_hub() as hub:
        partitions, _, page, list_page = answers(heard, hub)
        assert (partitions["hub"]["state"], partitions["hub"]["partitions"]) == ("not known yet", [])
        with console_of(heard.app) as console, serving(replace(console, waiting=hub)) as made:
            assert requests.get(f"{made.url}/api/status", timeout=30).json()["needs"] == []
    for text in (page, list_page):
        assert "is not known yet: load the page again" in text
    partitions, listeners, page, list_page = answers(heard, None)
    assert (partitions["hub"], listeners["hub"], partitions["partitions"][0]["waiting"]) == (None, None, None)
    for text in (page, list_page):
        assert "event hub" not in text
        assert "Events waiting" not in text


def test_rights_decide_who_sees_values_and_who_sends_again(served_to_many: Served, world: World) -> None:
    """Without a right the sync does not exist; with `execute` alone values are masked; with `read` nothing is sent."""
    world.define("customers", rows=0, more=LATEST + PERMISSIONS)
    feed(world, event("customers-2", "Secret Ltd " * 30, 2))
    (letter,) = world.app.state.dead_letters("customers")
    url = served_to_many.url
    pages = ("/real-time/customers", f"/real-time/customers/letter?id={letter.id}", "/api/syncs/customers/dead-letters")

    def seen(*roles: str) -> tuple[set[int], str]:
        answers = [served_to_many.as_person(*roles).get(f"{url}{path}", timeout=10) for path in pages]
        return {answer.status_code for answer in answers}, "".join(answer.text for answer in answers)

    def sent(*roles: str, **body: object) -> int:
        request = {"ids": [letter.id], **body}
        path = f"{url}/api/syncs/customers/dead-letters/replay"
        return served_to_many.as_person(*roles).post(path, json=request, timeout=30).status_code

    assert seen("Others")[0] == {404}
    status, text = seen("Operators")
    assert (status, "Secret Ltd" in text, "customers-2" in text, "crm&lt;/b&gt;" in text) == (
        {200},
        False,
        False,
        False,
    )
    status, text = seen("Readers")
    assert (status, "Secret Ltd" in text, "customers-2" in text, "<b>crm" in text.partition('"properties"')[0]) == (
        {200}, True, True, False,
    )  # fmt: skip
    assert [sent("Others"), sent("Readers"), sent("Operators", body="{}"), sent("Operators")] == [404, 403, 403, 200]
    assert served_to_many.as_person("Operators").get(f"{url}/real-time/_unclaimed", timeout=10).status_code == 403


def test_events_that_no_listener_takes_are_for_the_administrator(served: Served, world: World) -> None:
    """They are sent to all listeners again, or removed once the person is sure."""
    world.define("customers", rows=0, more=LATEST)
    letter = DeadLetter(
        id="unclaimed/hub/0/7",
        sync="",
        body=b"\xff\x00<script>",
        partition="0",
        sequence=7,
        error="Unclaimed",
        message="no listener takes this event",
        kept=NOW,
    )
    world.app.state.add_dead_letters([letter])
    base = f"{served.url}/real-time/_unclaimed"
    assert "See the events" in requests.get(served.url, timeout=10).text
    assert "ff 00 3c" in requests.get(f"{base}/letter", params={"id": letter.id}, timeout=10).text
    headers = {"origin": served.url}
    unsure = requests.post(f"{base}/discard", data={"all": "1"}, headers=headers, timeout=10)
    assert (unsure.status_code, world.app.state.count_dead_letters("")) == (422, 1)
    other = replace(letter, id="unclaimed/hub/0/8", sequence=8)
    world.app.state.add_dead_letters([other])
    seen = {"all": "1", "sure": "1", "count": "1"}  # the page was opened before the other one came
    late = requests.post(f"{base}/discard", data=seen, headers=headers, timeout=10)
    assert "The list had 1, and now there are 2 dead letters" in late.text
    assert (late.status_code, world.app.state.count_dead_letters("")) == (409, 2)
    assert '<input type="hidden" name="count" value="2">' in requests.get(base, timeout=10).text
    requests.post(f"{base}/discard", data=seen | {"count": "2"}, headers=headers, timeout=10)
    assert world.app.state.count_dead_letters("") == 0
    gone = requests.post(f"{served.url}/api/dead-letters/unclaimed/discard", json={"ids": [letter.id]}, timeout=10)
    assert gone.status_code == 422


def test_the_sums_of_a_day_are_whole_beside_many_runs_of_the_schedule(served: Served, world: World) -> None:
    """Each run is a row of the log too; rows of earlier days do not count."""
    world.define("customers", rows=0, more=LATEST)
    now = datetime.now(UTC)
    row = RunRecord(run_id="", sync="customers", version="", trigger="timer", state="Succeeded", started=now, ended=now)
    for number in range(300):
        world.app.state.begin_run(replace(row, run_id=f"run-{number}", started=now - timedelta(minutes=5 * number)))
    at = (now - timedelta(hours=20)).isoformat()
    counts = {"events": 500, "partitions": {"hub/0": {"sequence": 9, "enqueued": at, "handled": at, "lag": 1.0}}}
    for hours in (20, 25):
        of_events = replace(row, run_id=f"events-{hours}", trigger="events", started=now - timedelta(hours=hours))
        world.app.state.begin_run(replace(of_events, counts=counts))
    page = requests.get(f"{served.url}/real-time/customers", timeout=10).text
    assert "500" in page
    assert "1,000" not in page
    (partition,) = requests.get(f"{served.url}/api/syncs/customers/partitions", timeout=10).json()["partitions"]
    assert partition["partition"] == "hub/0"


@pytest.mark.parametrize(("lost", "left_out"), [(2, 0), (0, 3), (2, 3)])
def test_the_run_of_events_says_what_became_of_those_with_errors(
    served: Served, world: World, lost: int, left_out: int
) -> None:
    """Those that were refused are dead letters; those that were applied without a field are not."""
    world.define("customers", rows=0, more=LATEST)
    counts = {"events": 9, "insert": 4, "lost": lost, "left_out": left_out}
    world.app.state.begin_run(
        RunRecord(
            run_id="e" * 32, sync="customers", version="1", trigger="events", state="Completed with errors",
            started=NOW, ended=NOW, counts=counts,
        )
    )  # fmt: skip
    page = requests.get(f"{served.url}/runs/{'e' * 32}", timeout=10).text
    assert ("events that were refused" in page, "applied without these fields" in page) == (lost > 0, left_out > 0)
    status = requests.get(f"{served.url}/api/status", timeout=10).json()["syncs"][0]
    assert (status["changes"], status["open_errors"]) == (4, left_out)


@pytest.mark.parametrize(
    "request_body",
    [
        {},
        {"ids": []},
        {"ids": [1]},
        {"all": "perhaps"},
        {"all": "yes"},
        {"all": 1},
        {"all": True, "ids": ["a"]},
        [],
        {"other": 1},
        {"ids": ["\ud800"]},
        {"\ud800": 1},
        {"ids": ["a"], "body": '{"name": "cut \ud83d"}'},
    ],
)
def test_a_replay_of_nothing_is_refused(served: Served, world: World, request_body: object) -> None:
    """With what is wrong with it."""
    world.define("customers", more=LATEST)
    url = f"{served.url}/api/syncs/customers/dead-letters/replay"
    answer = requests.post(url, json=request_body, timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("said", [{"all": "yes"}, {"all": 1}, {"all": True, "ids": ["x"]}])
@pytest.mark.parametrize("what", ["replay", "discard"])
def test_all_letters_are_meant_only_where_the_body_says_so(
    served: Served, world: World, what: str, said: dict[str, object]
) -> None:
    """A text or a number is no `true`, and whoever names some does not mean all of them."""
    world.define("customers", rows=0, more=LATEST)
    feed(world, event("customers-2", "Too long " * 30, 2))
    url = f"{served.url}/api/syncs/customers/dead-letters/{what}"
    assert requests.post(url, json=said, timeout=10).status_code == 422
    (letter,) = world.app.state.dead_letters("customers")
    assert letter.tries == 1


def test_large_letters_are_read_a_part_at_a_time(world: World) -> None:
    """For a list, and when they are sent again; those that are removed are not read at all."""
    world.define("customers", rows=0, more=LATEST)
    letters = [
        replace(letter_of(b"x" * 6_000_000), id=f"letter-{number}", sync="customers", sequence=number)
        for number in range(5)
    ]
    world.app.state.add_dead_letters(letters)
    read: list[list[str]] = []
    store = StoreInFront(world.app.state, dead_letters=lambda _sync, ids, **_: read.append(sorted(ids)))
    app = App(world.app.settings, read_environment=lambda: world.variables, state=store)
    parts = [["letter-0", "letter-1"], ["letter-2", "letter-3"], ["letter-4"]]
    with console_of(app) as console, serving(console) as served:
        url = f"{served.url}/api/syncs/customers/dead-letters"
        listed = requests.get(url, params={"limit": 200}, timeout=60).json()
        assert [each["id"] for each in listed["dead_letters"]] == [letter.id for letter in letters]
        assert read == parts
        read.clear()
        answer = requests.post(f"{url}/replay", json={"all": True}, timeout=60).json()
        assert (answer["settled"], answer["kept"], read) == (0, 5, parts)
        read.clear()
        ids = [*world.app.state.dead_letter_sizes("customers")]
        assert requests.post(f"{url}/discard", json={"ids": [*ids, "other"]}, timeout=60).status_code == 422
        assert requests.post(f"{url}/discard", json={"ids": ids}, timeout=60).json() == {"removed": 5}
        assert read == []


def letter_of(body: bytes, **system: object) -> DeadLetter:
    """A letter with a body."""
    return DeadLetter(
        id="a", sync="s", body=body, partition="0", sequence=1, error="E", message="m", system=system,
        kept=NOW,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"a":[1,"\xc3\xa9"]}', '{\n  "a": [\n    1,\n    "é"\n  ]\n}'),
        (b'{"a":1.10}', '{"a":1.10}'),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b'{"a":1.5,"b":-0}', '{"a":1.5,"b":-0}'),
        (b'{"a":"it\\u0092s \\ud83d\\u007f"}', '{\n  "a": "it\\u0092s \\ud83d\\u007f"\n}'),
        (b"a,b\r\n1,2", "a,b\r\n1,2"),
    ],
)
def test_text_is_shown_so_that_it_can_be_sent_unchanged(body: bytes, text: str) -> None:
    """JSON stands in lines where that changes nothing of it; a text that was not edited is sent as it came."""
    shown = body_of(letter_of(body))
    assert (shown.text, shown.editable) == (text, True)
    assert edited(letter_of(body), text.replace("\n", "\r\n").replace("\r\r", "\r")) is None
    assert edited(letter_of(body), f"{text} ") == f"{text} ".replace("\r\n", "\n").encode()


def test_what_can_be_edited_can_be_sent() -> None:
    """JSON that its lines would make too large stands as it came."""
    rows = [{"number": f"N-{number}", "name": "wrong", "tags": [1, 2, 3]} for number in range(3_000)]
    shown = body_of(letter_of(json.dumps({"rows": rows}, separators=(",", ":")).encode()))
    assert (shown.editable, shown.size <= EDITABLE, "\n" in shown.text) == (True, True, False)
    text = shown.text.replace("wrong", "right", 1)
    assert edited(letter_of(shown.text.encode()), text) == text.encode()


def test_a_text_with_escaped_characters_comes_back_from_the_page_as_it_went(served: Served, world: World) -> None:
    """HTML has no references to halves of surrogate pairs and to the second set of control characters."""
    world.define("customers", rows=0, more=LATEST)
    feed(world, event("customers-2", "it\u0092s \ud83d" * 50, 2))
    (letter,) = world.app.state.dead_letters("customers")
    page = requests.get(f"{served.url}/real-time/customers/letter", params={"id": letter.id}, timeout=10).text
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page, re.DOTALL)
    assert found
    assert edited(letter, html.unescape(found[1]).replace("\n", "\r\n")) is None


def test_a_body_that_came_empty_is_sent_as_it_came() -> None:
    """It is not edited, so there is nothing that an editor could have lost."""
    assert edited(letter_of(b""), "") is None


@pytest.mark.parametrize(
    ("form", "body"), [("json", ""), ("json", " \r\n"), ("json", '{"row": []}'), ("debezium", ""), ("debezium", "null")]
)
def test_an_edited_body_without_an_event_is_refused(served: Served, world: World, form: str, body: str) -> None:
    """On the page and in the API: it would be gone, as if it were applied."""
    world.define("customers", rows=0, more=LATEST.replace("format: json", f"format: {form}"))
    feed(world, event("customers-2", "Too long " * 30, 2))
    (letter,) = world.app.state.dead_letters("customers")
    for path, request in (
        ("/api/syncs/customers/dead-letters/replay", {"json": {"ids": [letter.id], "body": body}}),
        ("/real-time/customers/replay", {"data": {"id": letter.id, "body": body}, "headers": {"origin": served.url}}),
    ):
        answer = requests.post(f"{served.url}{path}", timeout=10, **request)
        assert (answer.status_code, "use Remove" in answer.text) == (422, True)
    assert world.app.state.dead_letters("customers") == (letter,)


@pytest.mark.parametrize("body", ["nonsense", "{}", '{"op": "insert", "row": 1}'])
def test_an_edited_body_that_is_refused_replaces_nothing(served: Served, world: World, body: str) -> None:
    """In the API and on the page: the letter may be the only copy of the event. The answer has the reason."""
    world.define("customers", rows=0, more=LATEST)
    feed(world, event("customers-2", "Too long " * 30, 2))
    (letter,) = world.app.state.dead_letters("customers")
    url = f"{served.url}/api/syncs/customers/dead-letters/replay"
    answer = requests.post(url, json={"ids": [letter.id], "body": body}, timeout=10).json()
    assert (answer["settled"], answer["kept"], answer["error"], bool(answer["reason"])) == (0, 1, "Undecodable", True)
    form, headers = {"id": letter.id, "body": body}, {"origin": served.url}
    page = requests.post(f"{served.url}/real-time/customers/replay", data=form, headers=headers, timeout=10)
    assert (page.status_code, "Your text was refused: Undecodable" in page.text) == (422, True)
    assert world.app.state.dead_letters("customers") == (letter,)
    assert [entry.after for entry in world.app.state.audit("customers")] == ["0 applied, 1 refused again"] * 2


def test_a_text_that_is_refused_can_be_corrected_again(browser: Browser, served: Served, world: World) -> None:
    """The form has the text that was sent; the event as it came is one click away."""
    page = browser.new_page(base_url=served.url)
    world.define("customers", rows=0, more=LATEST)
    feed(world, event("customers-2", "Too long " * 30, 2))
    (letter,) = world.app.state.dead_letters("customers")
    page.goto(f"/real-time/customers/letter?id={letter.id}")
    text = page.get_by_label("Text of the event")
    came = text.input_value()
    text.fill("\n{not json</textarea>")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("alert")).to_contain_text("the dead letter stays as it came")
    expect(text).to_have_value("\n{not json</textarea>")
    expect(text).to_have_accessible_description(re.compile("JSON"))
    page.get_by_role("link", name="look at the event as it came").click()
    expect(text).to_have_value(came)
    text.fill(came.replace("Too long " * 30, "Mended"))
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_have_text("1 applied or overtaken, 0 refused again.")
    assert (world.accounts(), world.app.state.dead_letters("customers")) == ({"customers-2": "Mended"}, ())
    page.close()


def test_a_text_is_not_lost_while_dataverse_is_away(served: Served, world: World) -> None:
    """It is in the form again, with the reason."""
    world.define("customers", rows=0, more=LATEST)
    feed(world, event("customers-2", "Too long " * 30, 2))
    (letter,) = world.app.state.dead_letters("customers")
    world.emulator.faults({"action": "status", "status": 503, "times": 1000, "match": {"path": "accounts"}})
    form = {"id": letter.id, "body": json.dumps({"op": "insert", "row": {"number": "customers-2", "name": "Mended"}})}
    answer = requests.post(
        f"{served.url}/real-time/customers/replay", data=form, headers={"origin": served.url}, timeout=240
    )
    assert (answer.status_code, "Mended" in answer.text) == (503, True)
    assert world.app.state.dead_letters("customers") == (letter,)


@pytest.mark.parametrize(
    "letter", [letter_of(b"\xff\xfe"), letter_of(b"a\x1b[2J"), letter_of(b"{}", content_encoding="gzip")]
)
def test_what_is_no_text_is_shown_as_numbers_and_not_edited(letter: DeadLetter) -> None:
    """Whatever a terminal would obey, and what is compressed."""
    assert body_of(letter).text == letter.body.hex(" ")
    with pytest.raises(UserError, match="cannot be edited"):
        edited(letter, "{}")


def test_a_large_body_is_cut() -> None:
    """A page stays small, whatever an event holds."""
    for body, is_text in ((b"x" * (EDITABLE + 1), True), (b"\xff" * 1_000_000, False)):
        shown = body_of(letter_of(body))
        assert (shown.is_text, shown.is_cut, shown.editable, shown.size) == (is_text, True, False, len(body))
        assert len(shown.text) <= 100_000
