"""A deployed app reads only from listed hosts, over TLS, and from the address that was checked."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.http.tls import Certificates
from shared.definitions.models import DelimitedSource, RestConnection, RestSource
from shared.errors import AbortRun, UserError
from shared.http.reach import ReachableHosts
from shared.sources.rest.reachable import unreachable
from tests.api_server import ApiServer, Reply, serving
from tests.unit.sources.rest.conftest import context, ids

ROWS = Reply(body=[{"id": 1}])
COLUMNS = [{"name": "id"}]


@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A server with TLS on this machine, whose certificate is trusted for localhost."""
    files = Certificates.make(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate_file, files.key_file)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(files.ca_file))
    with serving(lambda _: ROWS, tls) as made:
        yield made


def deployed(*hosts: str) -> Any:
    return context(reach=ReachableHosts(hosts=hosts, limited=True))


def test_a_listed_host_is_read(secure: ApiServer) -> None:
    """The list has its full name, because its address is internal; the certificate is for this name."""
    url = f"https://localhost:{secure.port}/a"
    assert ids(url, deployed("localhost")) == ["1"]
    secure.received.clear()
    with pytest.raises(UserError, match="host localhost is refused: a deployed app reads only"):
        ids(url, deployed("api.example.com"))
    assert secure.received == []


def test_a_pattern_does_not_allow_the_network_of_the_app(secure: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is resolved when the connection is opened, and its address is refused."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *given: Any, **options: Any) -> list[Any]:
        return real("127.0.0.1" if host == "a.example.com" else host, *given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(UserError, match=r"host a\.example\.com is refused: its address 127\.0\.0\.1 is not a public"):
        ids(f"https://a.example.com:{secure.port}/", deployed("*.example.com"))
    assert secure.received == []
    with pytest.raises(AbortRun, match="certificate"):  # connected to, under the name that the certificate lacks
        ids(f"https://a.example.com:{secure.port}/", deployed("a.example.com"))


def test_the_token_endpoint_must_be_listed_too(secure: ApiServer) -> None:
    """A secret is sent there."""
    auth = {
        "type": "oauth2",
        "token_url": "https://login.example.com/token",
        "client_id": "me",
        "client_secret": {"env": "X"},
    }
    with pytest.raises(UserError, match=r"host login\.example\.com is refused"):
        ids(f"https://localhost:{secure.port}/a", deployed("localhost"), auth=auth)
    assert secure.received == []


def described(**keys: Any) -> RestSource:
    return RestSource.model_validate({"type": "rest", "columns": COLUMNS, **keys})


def reported(source: Any, given: Any) -> list[tuple[str, str]]:
    return [(problem.path, problem.message.partition(":")[0]) for problem in unreachable(source, given)]


def test_hosts_are_checked_before_a_run() -> None:
    """Those of the source, of its connection, of its token endpoint, and of files."""
    assert reported(described(url="https://a.example.com/x"), deployed("a.example.com")) == []
    refused = "host b.example.com is refused"
    assert reported(described(url="https://b.example.com/x"), deployed("a.example.com")) == [("source.url", refused)]
    connection = RestConnection.model_validate(
        {
            "kind": "connection",
            "name": "shop",
            "type": "rest",
            "url": "https://b.example.com",
            "auth": {
                "type": "oauth2",
                "token_url": "https://c.example.com",
                "client_id": "me",
                "client_secret": {"env": "X"},
            },
        }
    )
    given = context(reach=ReachableHosts(hosts=("a.example.com",), limited=True), connection=lambda _: connection)
    assert reported(described(connection="shop", url="x"), given) == [
        ("source.connection", refused),
        ("source.connection", "host c.example.com is refused"),
    ]
    files = DelimitedSource.model_validate(
        {"type": "delimited", "path": "https://b.example.com/@{day}.csv", "columns": COLUMNS}
    )
    given = context(reach=ReachableHosts(limited=True), parameters={"day": 5})
    assert reported(files, given) == [("source.path", refused)]
    local = files.model_copy(update={"path": "in/a.csv"})
    assert reported(local, given) == []
