"""What a preview and a test of the connection say when the service of the source throttles them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from shared.errors import RetryLater
from tests.api_server import Received, Reply, serving
from tests.console.conftest import Served, World
from tests.console.editor.pages import Form, form_of
from tests.console.test_jobs import with_contacts_as_source


def opened(served: Served) -> Form:
    """The editor of the sync."""
    session = served.as_person("Sync.Admin")
    return form_of(session, served.url, session.get(f"{served.url}/syncs/customers/edit", timeout=30))


def fault(path: str, times: int) -> dict[str, Any]:
    """Requests for a table that are throttled."""
    match = {"method": "GET", "path": path}
    return {"action": "status", "status": 429, "retry_after": 0, "match": match, "times": times}


def with_an_api(world: World, url: str) -> None:
    """Let the sync read an API."""
    file = world.folder / "syncs" / "customers.yaml"
    definition = yaml.safe_load(file.read_text())
    columns = [{"name": "number", "mandatory": True}, {"name": "name"}]
    definition["source"] = {"type": "rest", "url": url, "retry": {"attempts": 3}, "columns": columns}
    file.write_text(yaml.safe_dump(definition))


class Throttling:
    """An API that throttles some requests, and then answers."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, _received: Received) -> Reply:
        self.times -= 1
        if self.times >= 0:
            return Reply(status=429, headers={"Retry-After": "0"})
        return Reply(body=[{"number": f"customers-{number}", "name": "One"} for number in range(3)])


@pytest.mark.parametrize(
    ("by_source", "by_target", "said"),
    [
        (2, 0, "2 requests of this preview were throttled, 2 of them by the source."),
        (1, 1, "2 requests of this preview were throttled, 1 of them by the source."),
        (0, 1, "1 request of this preview was throttled."),
        (0, 0, ""),
    ],
)
@pytest.mark.parametrize("kind", ["dynamics", "rest"])
def test_a_preview_says_who_has_throttled_it(
    served: Served, world: World, kind: str, by_source: int, by_target: int, said: str
) -> None:
    """And how often; where nobody has, it says nothing."""
    world.define("customers")
    with serving(Throttling(by_source)) as api:
        if kind == "rest":
            with_an_api(world, api.url)
        else:
            with_contacts_as_source(world, 3)
        faults = [fault("contacts", by_source), fault("accounts", by_target)]
        page = opened(served)
        world.emulator.faults([each for each in faults if each["times"]])
        told = page.press("preview").html
    assert "A run of the first 10 rows would do this" in told
    assert said in told
    assert ("throttled" in told) == bool(said)


def test_a_test_of_the_connection_says_it_too(served: Served, world: World) -> None:
    """Beside the number of rows."""
    world.define("customers")
    with serving(Throttling(2)) as api:
        with_an_api(world, api.url)
        told = opened(served).press("test").html
    assert "3 rows were read; the service of the source throttled 2 requests" in told


def test_a_run_counts_what_an_api_throttles(world: World) -> None:
    """As it counts what the environment of a source throttles; also the request after which it gives up."""
    world.define("customers")
    with serving(Throttling(2)) as api:
        with_an_api(world, api.url)
        assert world.app.run("customers").throttled == 2
    with serving(Throttling(100)) as api:
        with_an_api(world, api.url)
        with pytest.raises(RetryLater, match="the service throttles"):
            world.app.run("customers")
    assert world.app.state.runs("customers", 1)[0].counts["throttled"] == 3
