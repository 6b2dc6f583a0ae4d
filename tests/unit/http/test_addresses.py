"""Connections go to the address that was checked, and to no other."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from shared.errors import UserError
from shared.http.transport import HttpTransport, Request, Unsent
from tests.api_server import ApiServer, Reply, serving


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(lambda _: Reply(body=b"here")) as made:
        yield made


def looked_up(*addresses: str) -> Any:
    """What a name server says: these addresses, one after the other at each question, and the last for ever."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        if host[0].isdigit() or ":" in host:
            return real(host, port, type=socket.SOCK_STREAM)
        asked.append(host)
        return real(addresses[min(len(asked), len(addresses)) - 1], port, type=socket.SOCK_STREAM)

    real = socket.getaddrinfo
    return getaddrinfo, asked


def test_a_name_is_looked_up_once_for_a_connection(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer of the name server, with another address, has no effect; the name stays in the request."""
    getaddrinfo, asked = looked_up("127.0.0.1", "127.0.0.99")
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    checked: list[tuple[str, str]] = []
    with closing(HttpTransport(check_address=lambda *told: checked.append(told))) as transport:
        for _ in range(2):
            request = Request(method="GET", url=f"http://api.example.com:{server.port}/")
            assert transport.send(request).text == "here"
    assert asked == ["api.example.com"]
    assert checked == [("api.example.com", "127.0.0.1")]
    assert server.received[0].headers["host"] == f"api.example.com:{server.port}"


def test_an_address_that_is_refused_is_not_connected_to(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the name led to another one before."""

    def check(_host: str, address: str) -> None:
        raise UserError(f"{address} is refused")

    getaddrinfo, _ = looked_up("127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with (
        closing(HttpTransport(check_address=check)) as transport,
        pytest.raises(UserError, match=r"127\.0\.0\.1 is refused"),
    ):
        transport.send(Request(method="GET", url=f"http://api.example.com:{server.port}/"))
    assert server.received == []


def test_each_address_of_a_host_is_tried(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first may not answer."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        names = ("127.0.0.77", "127.0.0.1") if host == "api.example.com" else (host,)
        return [found for name in names for found in real(name, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with closing(HttpTransport(check_address=lambda *_: None)) as transport:
        assert transport.send(Request(method="GET", url=f"http://api.example.com:{server.port}/")).text == "here"


def test_a_host_that_is_not_known_is_reported() -> None:
    """As without the check."""
    with (
        closing(HttpTransport(check_address=lambda *_: None)) as transport,
        pytest.raises(Unsent, match=r"nowhere\.invalid could not be reached"),
    ):
        transport.send(Request(method="GET", url="http://nowhere.invalid/"))


def test_no_proxy_is_used_where_addresses_are_checked(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look up the name itself."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    getaddrinfo, _ = looked_up("127.0.0.1")
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with closing(HttpTransport(check_address=lambda *_: None)) as transport:
        assert transport.send(Request(method="GET", url=f"http://api.example.com:{server.port}/")).text == "here"
