"""Files of sources behind `https://` and other URLs: hosts, addresses and redirects are checked."""

from __future__ import annotations

import gzip
import io
import re
import socket
import zipfile
import zlib
from typing import Any

import pytest

from shared.errors import UserError
from shared.http.guarded_files import GuardedFiles
from shared.http.reach import ReachableHosts
from shared.remote import RemoteFiles
from shared.sources.files import find_files
from tests.api_server import Received, Reply, serving


def guarded(*hosts: str, limited: bool = False) -> GuardedFiles:
    return GuardedFiles(RemoteFiles(), ReachableHosts(hosts=hosts, limited=limited))


def content(url: str, files: GuardedFiles) -> bytes:
    (file,) = find_files(url, files.open)
    with file.content() as stream:
        return stream.read()


def test_a_file_behind_a_url_is_read() -> None:
    """Also through a cache, and behind a redirect within the host."""

    def answer(received: Received) -> Reply:
        if received.path == "/old.csv":
            return Reply(status=302, headers={"Location": "/a.csv"})
        return Reply(body=b"a,b\n")

    with serving(answer) as server:
        assert content(f"{server.url}/a.csv", guarded()) == b"a,b\n"
        assert content(f"{server.url}/old.csv", guarded()) == b"a,b\n"
        assert content(f"simplecache::{server.url}/a.csv", guarded()) == b"a,b\n"


def packed(data: bytes) -> bytes:
    """A zip file with one file in it."""
    with zipfile.ZipFile(made := io.BytesIO(), "w") as archive:
        archive.writestr("a.csv", data)
    return made.getvalue()


@pytest.mark.parametrize("form", ["{}", "simplecache::{}", "zip://a.csv::simplecache::{}"])
def test_each_run_reads_what_the_host_has_now(form: str) -> None:
    """In one process, also through a cache, whose copies are of one run; the second content is as long as the first."""
    contents = [b"id\n1\n", b"id\n2\n"]
    files, sent = guarded(), [b""]
    with serving(lambda _: Reply(body=sent[0])) as server:
        for each in contents:
            sent[0] = packed(each) if form.startswith("zip") else each
            assert content(form.format(f"{server.url}/a"), files) == each


@pytest.mark.parametrize("without_length", [False, True])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("through", ["", "simplecache::"])
def test_a_compressed_answer_must_have_its_end(coding: str, through: str, *, without_length: bool) -> None:
    """Also where HTTP says that it is whole; the message has no query, which may be secret."""
    packing = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    lines = b"a,b\n" * 2**17
    half = packing.compress(lines) + packing.flush(zlib.Z_SYNC_FLUSH)
    bodies = {
        "/whole.csv": half + packing.flush(),
        "/half.csv": half,
        "/begun.csv": half[:1],
        "/plain.csv": b"\xff\xff\xff",
    }

    def answer(received: Received) -> Reply:
        headers = {"Content-Encoding": coding}
        return Reply(body=bodies[received.path], headers=headers, without_length=without_length)

    with serving(answer) as server:
        assert content(f"{through}{server.url}/whole.csv", guarded()) == lines
        for path, reason in (("half", "ends too early"), ("begun", "ends too early"), ("plain", "is damaged")):
            with pytest.raises(
                UserError, match=rf"1:\d+/{path}\.csv: the compressed answer is not complete: it {reason}$"
            ):
                content(f"{through}{server.url}/{path}.csv?sig=secret", guarded())


def test_a_part_of_a_file_is_asked_for_as_it_is() -> None:
    """Its places are those of bytes that are not compressed, and a part of compressed bytes cannot be decompressed."""
    lines = b"a,b\n"

    def answer(received: Received) -> Reply:
        coding = "gzip" if "gzip" in received.headers["accept-encoding"] else "identity"
        whole = gzip.compress(lines) if coding == "gzip" else lines
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", received.headers.get("range", ""))
        part = whole[int(asked[1]) : int(asked[2]) + 1] if asked else whole
        return Reply(status=206 if asked else 200, body=part, headers={"Content-Encoding": coding})

    with serving(answer) as server:
        (file,) = find_files(f"{server.url}/a.csv", guarded().open)
        with file.anywhere() as stream:
            assert (stream.seek(2), stream.read(1)) == (2, b"b")
        assert any("range" in received.headers for received in server.received)


def test_a_file_that_is_stored_as_gzip_is_decompressed_once() -> None:
    """Some servers say of it that it is compressed, by the ending of its name."""
    reply = Reply(body=gzip.compress(b"a,b\n"), headers={"Content-Encoding": "x-gzip"})
    with serving(lambda _: reply) as server:
        assert content(f"{server.url}/a.csv.gz", guarded()) == b"a,b\n"


def test_another_coding_is_refused_by_name() -> None:
    """It was not asked for."""
    with (
        serving(lambda _: Reply(body=b"\x0b", headers={"Content-Encoding": "br"})) as server,
        pytest.raises(UserError, match=r"/a\.csv: .* compresses its answer with br, which was not requested"),
    ):
        content(f"{server.url}/a.csv", guarded())


def test_a_redirect_to_another_host_is_refused() -> None:
    """Deployed or not."""
    with serving(lambda _: Reply(body=b"a")) as other:
        moved = Reply(status=302, headers={"Location": f"http://localhost:{other.port}/a.csv"})
        with serving(lambda _: moved) as server, pytest.raises(UserError, match="redirects to another host, localhost"):
            content(f"{server.url}/a.csv", guarded())
        assert other.received == []


REFUSED = [
    "https://evil.example/a.csv",
    "simplecache::https://evil.example/a.csv",
    "zip://a.csv::https://evil.example/a.zip",
    "zip://a.csv::simplecache::https://evil.example/a.zip",
    "ftp://evil.example/a.csv",
    "sftp://user@evil.example/a.csv",
    "github://me:repository@main/a.csv",
    "reference://::https://evil.example/a.json",
    "webhdfs://evil.example:9870/a.csv",
    "unknown://a",
]


@pytest.mark.parametrize("url", REFUSED)
def test_other_hosts_are_refused_when_deployed(url: str) -> None:
    """In each link of a chain, and in each scheme that leads to a host."""
    with pytest.raises(UserError, match=r"is refused: .*SOURCE_HOSTS"):
        find_files(url, guarded("api.example.com", limited=True).open)


@pytest.mark.parametrize(
    "url",
    [
        "abfs://container/a.csv",
        "abfs://container@account.dfs.core.windows.net/a.csv",
        "s3://bucket/a.csv",
        "simplecache::abfs://container/a.csv",
        "https://api.example.com/a.csv",
        "sftp://me@api.example.com/a.csv",
        "memory://a.csv",
    ],
)
def test_storage_and_listed_hosts_pass(url: str) -> None:
    """The drivers of storage know their hosts."""
    guarded("api.example.com", limited=True).check(url)


def test_the_address_is_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed name that leads into the app's own network is refused before a connection is made."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str | None, port: Any, *given: Any, **options: Any) -> list[Any]:
        return real("127.0.0.1" if host == "a.example.com" else host, port, *given, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with serving(lambda _: Reply(body=b"a")) as server:
        with pytest.raises(UserError, match=r"its address 127.0.0.1 is not a public one"):
            find_files(f"https://a.example.com:{server.port}/a.csv", guarded("*.example.com", limited=True).open)
        assert server.received == []


def test_http_is_for_this_machine() -> None:
    """A file that is sent without encryption can be changed by others."""
    with pytest.raises(UserError, match="write https://"):
        guarded().check("http://files.example.com/a.csv")
