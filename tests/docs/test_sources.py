"""The examples of docs/sources.md are definitions, and those of APIs read what these APIs answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from shared.definitions import load_definition
from shared.definitions.models import RestSource
from shared.definitions.models.sources import KINDS
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace
from tests.api_server import ApiServer, Received, Reply, serving
from tests.public_apis import CUSTOMERS, ISSUES, github, odata

PAGE: Final = Path("docs/sources.md").read_text("utf-8")
EXAMPLES: Final = re.findall(r"^```yaml\n(source:\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
REST: Final = [text for text in EXAMPLES if "type: rest" in text]
DESTINATION: Final = """
name: example
parameters: {since: {default: "2024-01-31"}, country: {default: CH}}
destination:
  type: dynamics
  entity: account
  service_url: https://org.api.crm.dynamics.com/api/data/v9.2/
  auth: managed_identity
  id_column: accountid
  mappings: [{source: number, target: accountnumber}]
sync_behaviour: {sync_key: [accountnumber]}
"""


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_is_a_definition(text: str) -> None:
    """It has no mistake that can be seen without its source."""
    described = {**yaml.safe_load(DESTINATION), **yaml.safe_load(text)}
    load_definition(yaml.safe_dump(described), file="docs/sources.md")


def test_every_kind_has_a_line_and_each_kind_of_rows_an_example() -> None:
    """The table of kinds is that of the program."""
    assert set(re.findall(r"^\| \[?`(\w+)`\]?", PAGE.partition("All kinds share")[0], re.MULTILINE)) - {"type"} == {
        *KINDS
    }
    assert {yaml.safe_load(text)["source"]["type"] for text in EXAMPLES} == {*KINDS} - {"events"}


def shop(_base: Callable[[], str]) -> Callable[[Received], Reply]:
    """The search of the page."""

    def answer(received: Received) -> Reply:
        asked = received.json
        assert (received.path, asked["changed_since"], asked["limit"]) == ("/v2/customers/search", "2024-01-31", 500)
        rows = [{"number": f"C{at}", "name": "One"} for at in range(3)][asked["offset"] :]
        return Reply(body={"data": {"customers": rows, "total": 3}})

    return answer


def tokens(answer: Callable[[Received], Reply]) -> Callable[[Received], Reply]:
    """The API, and beside it an endpoint that gives a token."""
    granted = Reply(body={"access_token": "the-token-of-the-page", "expires_in": 3600})
    return lambda received: granted if received.path == "/token" else answer(received)


def orders(_: Callable[[], str]) -> Callable[[Received], Reply]:
    """A service that gives what changed since a moment."""
    moments = ["2024-01-31T10:00:00Z", "2024-01-30T10:00:00Z"]

    def answer(received: Received) -> Reply:
        assert received.query["changed_since"] == "1970-01-01T00:00:00Z"
        rows = [{"number": str(at), "changed_at": moment} for at, moment in enumerate(moments)]
        return Reply(body=rows[int(received.query["offset"]) :])

    return answer


Api = Callable[[Callable[[], str]], Callable[[Received], Reply]]
APIS: Final[dict[str, tuple[Api, int]]] = {
    "api.github.com": (github, len(ISSUES)),
    "services.example": (odata, len(CUSTOMERS)),
    "v2": (shop, 3),
    "/orders?": (orders, 2),
}


@pytest.mark.parametrize("text", REST)
def test_an_example_of_an_api_reads_all_that_it_has(text: str) -> None:
    """From a server that answers in the shape of that API."""
    make, count = next(each for part, each in APIS.items() if part in text)
    known: list[ApiServer] = []
    with serving(tokens(make(lambda: known[0].url))) as server:
        known.append(server)
        here = re.sub(r"https://[a-z.]+(?=/)", server.url, text)
        source: dict[str, Any] = yaml.safe_load(here)["source"]
        opened = open_source(
            RestSource.model_validate(source),
            SourceContext(parameters={"since": "2024-01-31"}, secret=lambda _: "the-secret-of-the-page"),
        )
        with Workspace.open() as workspace:
            opened.load(workspace)
            assert workspace.query("SELECT count(*) FROM source_raw") == [(count,)]
            assert workspace.query("SELECT count(*) FROM source_errors") == [(0,)]
