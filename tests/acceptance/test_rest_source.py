"""An API as a source: every key, with faults, and never a part of its rows."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from shared.errors import RetryLater, UserError
from tests.acceptance.world import World, world
from tests.api_server import ApiServer, Received, Reply, serving

DEFINITION: Final = (Path(__file__).parent / "definitions" / "rest.yaml").read_text("utf-8")
CLIENT: Final = "Basic " + base64.b64encode(b"dynamics-sync:secret-of-the-api").decode()
COUNT: Final = 50


class Shop:
    """An API with a token endpoint and a search.

    Attributes:
        rows: The customers.
        faults: Answers that come first.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = [
            {"number": f"C{at:03}", "names": {"legal": f"Müller & Söhne {at}"}, "revenue": at * 1.25}
            for at in range(COUNT)
        ]
        self.faults: list[Reply] = []
        self.tokens = 0

    def __call__(self, received: Received) -> Reply:
        if received.path == "/token":
            assert received.headers["authorization"] == CLIENT
            self.tokens += 1
            return Reply(body={"access_token": f"token-number-{self.tokens}", "expires_in": "3600"})
        if self.faults:
            return self.faults.pop(0)
        if received.headers.get("authorization") != f"Bearer token-number-{self.tokens}":
            return Reply(status=401)
        asked = received.json
        assert received.query == {"region": "EU & more"}
        assert (asked["region"], received.headers["x-trace"]) == ("EU & more", "secret-of-the-trace")
        found = self.rows[asked["offset"] :][: asked["limit"]]
        body = {"data": {"total": len(self.rows), "customers": found}}
        return Reply(body=body, headers={"X-Batch": f"from {asked['offset']}"})


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("rest")) as made:
        yield made


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def server(shop: Shop) -> Iterator[ApiServer]:
    with serving(shop) as made:
        yield made


@pytest.fixture
def here(shared_world: World, server: ApiServer) -> Iterator[World]:
    shared_world.emulator.reset()
    before = dict(shared_world.environment)
    shared_world.environment |= {
        "API_URL": server.url,
        "API_SECRET": "secret-of-the-api",
        "TRACE_SECRET": "secret-of-the-trace",
    }
    shared_world.define(DEFINITION, "rest")
    yield shared_world
    shared_world.environment.clear()
    shared_world.environment.update(before)


def held(here: World) -> list[tuple[str, str, float, str]]:
    records = here.records("accounts?$select=accountnumber,name,revenue,description")
    return sorted((each["accountnumber"], each["name"], each["revenue"], each["description"]) for each in records)


def test_a_table_is_kept_equal_to_an_api(here: World, shop: Shop) -> None:
    """The second run plans nothing; later runs find changed and removed rows, with faults in between."""
    assert here.app.validate(["rest"]) == []
    assert here.app.explain("rest")
    first = here.run("rest")
    assert (first.created.done, first.source.processed, first.source.filtered, first.errors) == (
        COUNT - 1,
        COUNT,
        1,
        (),
    )
    assert held(here)[0] == ("C000", "Müller & Söhne 0", 0.0, "from 0")
    assert held(here)[-1] == ("C049", "Müller & Söhne 49", 61.25, "from 40")
    second = here.run("rest")
    assert (second.created.planned, second.updated.planned, second.deleted.planned) == (0, 0, 0)
    shop.rows[0]["revenue"] = 2
    del shop.rows[-1]
    shop.faults = [Reply(status=401), Reply(status=429, headers={"Retry-After": "0"}), Reply(dropped=True)]
    third = here.run("rest")
    assert (third.created.planned, third.updated.done, third.deleted.done) == (0, 1, 1)


def test_nothing_is_written_after_half_of_the_pages(here: World, shop: Shop) -> None:
    """The run ends with an error, and no record is dropped."""
    here.run("rest")
    before = held(here)
    original = Shop.__call__

    def failing(received: Received) -> Reply:
        if received.path != "/token" and received.json["offset"] == 40:
            return Reply(status=404, body={"message": "secret-of-the-trace is not allowed"})
        return original(shop, received)

    with serving(failing) as broken:
        here.environment["API_URL"] = broken.url
        with pytest.raises(UserError, match=r"/customers/search answered 404 Not Found") as caught:
            here.run("rest")
    assert "secret-of-the-trace" not in caught.value.message
    assert "EU" not in caught.value.message
    assert held(here) == before


def test_a_changed_total_writes_nothing(here: World, shop: Shop) -> None:
    """Rows that move to another offset while pages are read are not dropped."""
    here.run("rest")
    before = held(here)
    seen: list[int] = []

    def moving(received: Received) -> Reply:
        answer = shop(received)
        if received.path != "/token":
            seen.append(received.json["offset"])
            del shop.rows[0]
        return answer

    with serving(moving) as changing:
        here.environment["API_URL"] = changing.url
        with pytest.raises(UserError, match="the total changed from 50 to 49 while pages were read"):
            here.run("rest")
    assert seen == [0, 20]
    assert held(here) == before


def test_an_unavailable_service_is_reported(here: World, shop: Shop) -> None:
    """A later run may succeed."""
    shop.faults = [Reply(status=429, headers={"Retry-After": "3000"})]
    with pytest.raises(RetryLater, match="the service throttles and asks to wait 3,000 s") as caught:
        here.run("rest")
    assert caught.value.retry_after == 3000
    assert here.app.state.last_run("rest") is not None


def test_a_plan_counts_the_requests_that_were_throttled(here: World, shop: Shop) -> None:
    """Those of the API and those of Dataverse, as a run does."""
    counted = []
    for make in (here.app.plan, here.run):
        shop.faults = [Reply(status=429, headers={"Retry-After": "0"})] * 2
        match = {"method": "GET", "path": "accounts"}
        here.emulator.faults([{"action": "status", "status": 429, "retry_after": 0, "match": match, "times": 1}])
        counted.append(make("rest").to_json()["throttled"])
    assert counted == [3, 3]


def test_a_deployed_app_refuses_hosts_that_are_not_listed(here: World, server: ApiServer) -> None:
    """`validate` reports this before a run; the run refuses too, and sends no request."""
    here.environment |= {"WEBSITE_SITE_NAME": "app", "API_URL": "https://api.example.com"}
    problems = here.app.validate(["rest"], offline=True)
    message = (
        "host api.example.com is refused: a deployed app reads only from the hosts in SOURCE_HOSTS. If it is your "
        "host, add it there"
    )
    assert [(each.path, each.line, each.message) for each in problems] == [
        ("source.url", 9, message),
        ("source.auth.token_url", 16, message),
    ]
    with pytest.raises(UserError, match=r"host api.example.com is refused"):
        here.run("rest")
    assert server.received == []


def test_an_address_with_unknown_parameters_is_checked_by_the_run(here: World) -> None:
    """Other parameters without a value do not hide a known host."""
    absent = DEFINITION.replace("region: {default: EU & more}", "region: {}")
    here.define(absent, "rest")
    here.environment |= {"WEBSITE_SITE_NAME": "app", "API_URL": "https://api.example.com"}
    paths = [each.path for each in here.app.validate(["rest"], offline=True)]
    assert paths == ["source.auth.token_url"]  # the region is in the other address
    here.define(absent.replace("?region=@region", ""), "rest")
    paths = [each.path for each in here.app.validate(["rest"], offline=True)]
    assert paths == ["source.url", "source.auth.token_url"]


def test_files_behind_urls_obey_the_same_list(here: World) -> None:
    """Of each kind of source that reads files."""
    text = DEFINITION.partition("source:\n")[0] + "source:\n  type: json\n  path: https://files.example.com/a.json\n"
    text += "  columns: [{name: number}, {name: name}, {name: revenue, type: number}, {name: batch}]\n"
    text += "destination:" + DEFINITION.partition("\ndestination:")[2]
    here.define(text, "rest")
    assert here.app.validate(["rest"], offline=True) == []
    here.environment |= {"WEBSITE_SITE_NAME": "app"}
    here.reopen()
    (problem,) = here.app.validate(["rest"], offline=True)
    assert (problem.path, problem.line) == ("source.path", 9)
    with pytest.raises(UserError, match=r"host files.example.com is refused: a deployed app reads only"):
        here.run("rest")
