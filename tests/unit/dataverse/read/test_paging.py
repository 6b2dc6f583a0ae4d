"""Where one page leads: to the next, never back, and never to another host."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.dataverse.http.connection import Connection
from shared.dataverse.http.service import Service
from shared.dataverse.read.paging import PageBounds, first_page, following_pages, pages
from shared.errors import AbortRun
from shared.http.transport import Request, Response
from tests.unit.dataverse.simulation import BASE, FixedToken, SimulatedClock

Say = Callable[[int, str], Any]  # number of the request and its URL -> the page


class Paged:
    """A service of which each request is answered by a function."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.urls: list[str] = []

    def send(self, request: Request) -> Response:
        self.urls.append(request.url)
        return Response(status=200, body=json.dumps(self.say(len(self.urls), request.url)).encode())

    def close(self) -> None:
        pass


@pytest.fixture
def paged() -> Iterator[Callable[[Say], tuple[Service, Paged]]]:
    made: list[Service] = []

    def make(say: Say) -> tuple[Service, Paged]:
        transport = Paged(say)
        connection = Connection(service_url=BASE)
        made.append(Service(connection, transport=transport, users=[FixedToken()], clock=SimulatedClock()))
        return made[-1], transport

    yield make
    for service in made:
        service.close()


def page(link: str | None, *records: str) -> dict[str, Any]:
    return {"value": [{"accountid": record} for record in records]} | ({"@odata.nextLink": link} if link else {})


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_circle_of_pages_ends_the_read(length: int, paged: Callable[[Say], tuple[Service, Paged]]) -> None:
    """A link to its own page, and links that come round again, after as many requests as the circle has pages."""
    service, transport = paged(lambda n, url: page(f"{BASE}accounts?page={n % length}", f"a{n}"))
    with pytest.raises(AbortRun, match=r"pages of .* repeat"):
        list(pages(service, ["accounts?page=0"], table="account"))
    assert len(transport.urls) <= length + 2


def test_the_same_records_under_new_links_end_the_read(paged: Callable[[Say], tuple[Service, Paged]]) -> None:
    """A link may hold a counter: the records tell that the page was there before."""
    service, transport = paged(lambda n, url: page(f"{BASE}accounts?page={n}", "a"))
    with pytest.raises(AbortRun, match=r"pages of .* repeat"):
        list(pages(service, ["accounts"], table="account"))
    assert len(transport.urls) <= 3


def test_the_number_of_empty_pages_has_a_bound(paged: Callable[[Say], tuple[Service, Paged]]) -> None:
    """Some are well; so are some thousands of full ones."""
    bounds = PageBounds(empty=20)
    service, transport = paged(lambda n, url: page(f"{BASE}accounts?page={n}"))
    with pytest.raises(AbortRun, match="do not end"):
        list(pages(service, ["accounts"], table="account", bounds=bounds))
    assert len(transport.urls) <= 22
    service, _ = paged(
        lambda n, url: page(f"{BASE}accounts?page={n}" if n < 60 else None, *([f"a{n}"] if n % 9 else []))
    )
    assert len(list(pages(service, ["accounts"], table="account", bounds=bounds))) == 60


def test_more_pages_than_there_can_be_end_the_read(paged: Callable[[Say], tuple[Service, Paged]]) -> None:
    """Whatever they hold."""
    bounds = PageBounds(pages=50)
    service, transport = paged(lambda n, url: page(f"{BASE}accounts?page={n}", f"a{n}"))
    with pytest.raises(AbortRun, match="do not end"):
        list(pages(service, ["accounts"], table="account", bounds=bounds))
    assert len(transport.urls) <= 52


def test_pages_after_the_first_remember_it(paged: Callable[[Say], tuple[Service, Paged]]) -> None:
    """A large table is read page by page after one page that was asked for alone."""
    service, _ = paged(lambda n, url: page(f"{BASE}accounts", "a"))
    first = first_page(service, "accounts", table="account")
    with pytest.raises(AbortRun, match=r"pages of .* repeat"):
        list(following_pages(service, first, table="account"))


@pytest.mark.parametrize(
    "link",
    [
        "https://other.crm.dynamics.com/api/data/v9.2/accounts?x",
        "http://127.0.0.1:5081/api/data/v9.2/accounts?x",
        "https://127.0.0.1:5080/api/data/v9.2/accounts?x",
        "//other.crm.dynamics.com/accounts",
        "http://user@127.0.0.1:5080/api/data/v9.2/accounts",
    ],
)
def test_no_token_follows_a_link_to_another_host(link: str, paged: Callable[[Say], tuple[Service, Paged]]) -> None:
    """Not to another environment either, though hosts of its kind are allowed; port and scheme count too."""
    service, transport = paged(lambda n, url: page(link, "a"))
    with pytest.raises(AbortRun):
        list(pages(service, ["accounts"], table="account"))
    assert all(url.startswith(BASE) for url in transport.urls)


@pytest.mark.parametrize("link", [5, True, {}, "", "http://[::1", "http://a b/", "x\ny", "http://127.0.0.1:x/"])
def test_a_link_that_is_no_url_ends_the_read(link: Any, paged: Callable[[Say], tuple[Service, Paged]]) -> None:
    """It is not taken for the last page: the records behind it would count as missing."""
    service, _ = paged(lambda n, url: {"value": [{"accountid": "a"}], "@odata.nextLink": link})
    with pytest.raises(AbortRun):
        list(pages(service, ["accounts"], table="account"))
