"""For all pages and faults: each row of an API is read exactly once, or the run ends with an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.definitions.models import RestSource
from shared.errors import SyncError
from shared.sources import SourceContext, open_source
from shared.workspace import Workspace
from tests.api_server import ApiServer, Received, Reply, serving
from tests.quick_clock import QuickClock

TRIES = 3
FAULTS = [
    Reply(status=429),
    Reply(status=429, headers={"Retry-After": "30"}),
    Reply(status=500),
    Reply(status=503, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    Reply(dropped=True),
    Reply(body=b'[{"id": 1}, {"id": 2}]', cut=10),
    Reply(body=b'{"data": []}', headers={"Content-Length": "1000"}, cut=12),
]
PAGES: dict[str, dict[str, Any]] = {
    "offset": {"type": "offset", "parameter": "at", "total": "$.total"},
    "page": {"type": "page", "parameter": "page", "first": 0},
    "cursor": {"type": "cursor", "parameter": "at", "next": "$.next", "empty_page": "follow"},
    "link": {"type": "link"},
    "link in the body": {"type": "link", "next": "$.link"},
}


class Api:
    """Serves rows in pages of given sizes, with faults between.

    Attributes:
        sizes: Rows of each page; the last ones come in one page. An empty one is only made where that is not the end.
        faults: Before each good answer, so many faults of these.
    """

    def __init__(self, kind: str, count: int, sizes: list[int], faults: list[list[Reply]]) -> None:
        self.rows = [{"id": number} for number in range(count)]
        self.faults = [list(each) for each in faults]
        self.hopeless = any(len(each) >= TRIES for each in faults)
        self.kind = kind
        self.ends = self._ends(count, sizes)

    def _ends(self, count: int, sizes: list[int]) -> list[int]:
        ends: list[int] = []
        for size in sizes:
            least = 0 if self.kind in {"cursor", "link", "link in the body"} else 1
            ends.append(min((ends[-1] if ends else 0) + max(size, least), count))
        return [*ends, count]

    def __call__(self, received: Received) -> Reply:
        if self.faults and self.faults[0]:
            return self.faults[0].pop()
        self.faults = self.faults[1:]
        page = self._page(received)
        begin, end = ([0, *self.ends][page], self.ends[page]) if page < len(self.ends) else (len(self.rows),) * 2
        following = page + 1 if page + 1 < len(self.ends) else None
        link = None if following is None else f"/?at={following}"
        body = {"data": self.rows[begin:end], "total": len(self.rows), "next": following, "link": link}
        return Reply(body=body, headers={"Link": f'<{link}>; rel="next"'} if link else {})

    def _page(self, received: Received) -> int:
        if self.kind == "page":
            return int(received.query["page"])
        if self.kind == "offset":
            at = int(received.query["at"])
            return ([0, *self.ends].index(at)) if at < len(self.rows) else len(self.ends)
        return int(received.query.get("at", 0))


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with serving(lambda _: Reply(status=500)) as made:
        yield made


def loaded(url: str, pages: dict[str, Any]) -> list[int]:
    described = {
        "type": "rest",
        "url": url,
        "records": "$.data",
        "pagination": pages,
        "retry": {"attempts": TRIES},
        "columns": [{"name": "id"}],
    }
    source = open_source(RestSource.model_validate(described), SourceContext(clock=QuickClock()))
    with Workspace.open() as workspace:
        source.load(workspace)
        assert workspace.query("SELECT count(*) FROM source_errors") == [(0,)]
        return [int(row[0]) for row in workspace.query("SELECT id FROM source_raw ORDER BY _row")]


@given(
    kind=st.sampled_from(sorted(PAGES)),
    count=st.integers(0, 40),
    sizes=st.lists(st.integers(0, 15), max_size=6),
    faults=st.lists(st.lists(st.sampled_from(FAULTS), max_size=TRIES), max_size=6),
)
def test_rows_are_read_once_or_the_run_ends(
    server: ApiServer, kind: str, count: int, sizes: list[int], faults: list[list[Reply]]
) -> None:
    """Faults that end in time have no effect; after others no rows are used."""
    api = Api(kind, count, sizes, faults)
    server.answer = api
    try:
        found = loaded(server.url, PAGES[kind])
    except SyncError:
        assert api.hopeless
        return
    assert found == list(range(count))
