"""The real transport against a server on loopback that misbehaves as told."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from emulator.http.tls import Certificates
from shared.errors import AbortRun, AnswerLost
from shared.http.transport import AnswerTimedOut, HttpTransport, Request, Unsent


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server whose every request is handled by `answer`; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Clients that hang up are what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def tls_then_rubbish(folder: Path) -> Iterator[tuple[str, Path]]:
    """A server that reads a request over TLS and answers in bytes that are no TLS; yields its URL and its CA."""
    files = Certificates.make(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate_file, files.key_file)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        plain, _ = listener.accept()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        with plain:
            for step in (tls.do_handshake, lambda: tls.read(1000)):
                while True:
                    try:
                        step()
                        break
                    except ssl.SSLWantReadError:
                        plain.sendall(outgoing.read())
                        incoming.write(plain.recv(65536))
                plain.sendall(outgoing.read())
            plain.sendall(b"rubbish" * 100)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/", files.ca_file
    finally:
        thread.join(5)
        listener.close()


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    made = HttpTransport()
    yield made
    made.close()


def reply(
    handler: BaseHTTPRequestHandler, body: bytes = b"", status: int = 200, *, length: int | None = None, **headers: str
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def get(url: str, **options: float) -> Request:
    return Request(method="GET", url=url, **options)  # type: ignore[arg-type]  # only timeouts are passed


def test_status_headers_and_body_come_back(transport: HttpTransport) -> None:
    """Header names are in lower case; the time taken is measured."""
    with serving(lambda handler: reply(handler, b'{"a":1}', 404, X_Ms_Dop_Hint="7")) as url:
        response = transport.send(get(url))
    assert (response.status, response.text, response.headers["x-ms-dop-hint"]) == (404, '{"a":1}', "7")
    assert response.seconds > 0


def test_compressed_answers_are_unpacked(transport: HttpTransport) -> None:
    """Gzip is asked for and undone."""
    with serving(lambda handler: reply(handler, gzip.compress("Ü".encode()), Content_Encoding="gzip")) as url:
        assert transport.send(get(url)).text == "Ü"


def rows_that_end(form: int, rows: int) -> bytes:
    """40 rows, each sent as soon as it is there; only all of them have the end of the compressed data."""
    packing = zlib.compressobj(wbits=form)
    sent = b"".join(packing.compress(b'{"n":%d}\n' % n) + packing.flush(zlib.Z_SYNC_FLUSH) for n in range(rows))
    return sent + packing.flush() if rows == 40 else sent


FRAMES = ["length", "chunks", "closed"]


def frame(handler: BaseHTTPRequestHandler, body: bytes, how: str, coding: str) -> None:
    """Send a body whole, as far as HTTP knows: with its length, in chunks, or up to the end of the connection."""
    if how == "length":
        reply(handler, body, Content_Encoding=coding)
        return
    handler.send_response(200)
    handler.send_header("Content-Encoding", coding)
    handler.send_header("Connection", "close") if how == "closed" else handler.send_header(
        "Transfer-Encoding", "chunked"
    )
    handler.end_headers()
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    handler.wfile.write(body if how == "closed" else chunk + b"0\r\n\r\n")
    handler.close_connection = how == "closed"


@pytest.mark.parametrize("how", FRAMES)
@pytest.mark.parametrize(("coding", "form"), [("gzip", 31), ("x-gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_compressed_answer_without_its_end_is_a_lost_answer(
    transport: HttpTransport, coding: str, form: int, how: str
) -> None:
    """Also where HTTP says that it is whole: its rows so far are not all of them."""
    rows = 40
    with serving(lambda handler: frame(handler, rows_that_end(form, rows), how, coding)) as url:
        assert len(transport.send(get(url)).text.splitlines()) == 40
        rows = 32
        with pytest.raises(
            AnswerLost, match=r"the compressed answer of 127\.0\.0\.1 is not complete: it ends too early"
        ):
            transport.send(get(url))


def test_a_damaged_answer_is_a_lost_answer(transport: HttpTransport) -> None:
    """Also where it is not compressed at all."""
    with (
        serving(lambda handler: reply(handler, b"plain", Content_Encoding="gzip")) as url,
        pytest.raises(AnswerLost, match="is not complete: it is damaged"),
    ):
        transport.send(get(url))


def test_an_answer_of_several_streams_is_unpacked(transport: HttpTransport) -> None:
    """Some services compress each part of an answer by itself."""
    body = gzip.compress(b"a" * 2**20) + gzip.compress(b"b") + gzip.compress(b"")
    with serving(lambda handler: reply(handler, body, Content_Encoding="gzip")) as url:
        assert transport.send(get(url)).body == b"a" * 2**20 + b"b"


@pytest.mark.parametrize("how", FRAMES)
def test_an_empty_answer_may_name_a_coding(transport: HttpTransport, how: str) -> None:
    """Where HTTP says that it has ended; a connection that is closed says nothing."""
    with serving(lambda handler: frame(handler, b"", how, "gzip")) as url:
        if how != "closed":
            assert transport.send(get(url)).body == b""
            return
        with pytest.raises(AnswerLost, match="it ends too early"):
            transport.send(get(url))


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_connections_are_used_again(transport: HttpTransport, coding: str) -> None:
    """After answers with a body and after those without."""
    clients = []
    bodies = iter([(200, b"{}"), (204, b""), (200, b""), (404, b"{}"), (204, b"")])

    def answer(handler: BaseHTTPRequestHandler) -> None:
        clients.append(handler.client_address)
        status, body = next(bodies)
        handler.send_response(status)
        handler.send_header("Content-Encoding", coding)
        body = gzip.compress(body) if body and coding == "gzip" else body
        if status != 204:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(answer) as url:
        assert [transport.send(get(url)).body for _ in range(5)] == [b"{}", b"", b"", b"{}", b""]
    assert len(set(clients)) == 1


@pytest.mark.parametrize("target", ["http://[", "/elsewhere", "\x00"])
def test_redirects_are_answers(transport: HttpTransport, target: str) -> None:
    """Also those whose target is not a URL."""
    with serving(lambda handler: reply(handler, b"", 302, Location=target)) as url:
        assert transport.send(get(url)).status == 302


def test_no_cookie_is_ever_sent_back(transport: HttpTransport) -> None:
    """The affinity cookie would pin every request to one web server."""
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Cookie"))
        reply(handler, Set_Cookie="ARRAffinity=1; path=/")

    with serving(answer) as url:
        transport.send(get(url))
        transport.send(get(url))
    assert seen == [None, None]


def test_redirects_are_not_followed(transport: HttpTransport) -> None:
    """A token must not be sent to a host that was not checked."""
    with serving(lambda handler: reply(handler, status=302, Location="http://127.0.0.1:1/")) as url:
        assert transport.send(get(url)).status == 302


def test_a_password_from_netrc_does_not_replace_the_token(
    transport: HttpTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tools that read ~/.netrc put it over the Authorization header; ours does not."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        reply(handler)

    with serving(answer) as url:
        transport.send(Request(method="GET", url=url, headers={"Authorization": "Bearer x"}))
    assert seen == ["Bearer x"]


def test_a_refused_connection_was_never_sent(transport: HttpTransport) -> None:
    """No server listens: sending again is safe."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # no other process can listen here meanwhile
        with pytest.raises(Unsent, match=r"127\.0\.0\.1 could not be reached"):
            transport.send(get(f"http://127.0.0.1:{silent.getsockname()[1]}/"))


def test_a_name_that_does_not_resolve_was_never_sent(transport: HttpTransport) -> None:
    """A wrong host name is named as the cause."""
    with pytest.raises(Unsent, match=r"nowhere\.invalid"):
        transport.send(get("http://nowhere.invalid/", timeout=60))


def test_plain_text_where_tls_is_spoken_was_never_sent(transport: HttpTransport) -> None:
    """A handshake that fails carries no request."""
    with serving(reply) as url, pytest.raises(Unsent, match="secure connection"):
        transport.send(get(url.replace("http:", "https:"), timeout=60))


def test_tls_that_breaks_after_the_handshake_is_a_lost_answer(
    transport: HttpTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request may have been read before the record that cannot be."""
    with tls_then_rubbish(tmp_path) as (url, ca):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
        with pytest.raises(AnswerLost):
            transport.send(get(url, timeout=60))


def test_a_timeout_is_a_lost_answer(transport: HttpTransport) -> None:
    """The server may be at work still."""
    release = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        release.wait(5)
        reply(handler)

    with serving(answer) as url:
        with pytest.raises(AnswerTimedOut):
            transport.send(get(url, timeout=0.2))
        release.set()


@pytest.mark.parametrize("said", ["nothing", "half"])
def test_a_broken_connection_is_a_lost_answer(said: str, transport: HttpTransport) -> None:
    """Closed before the answer, or in the middle of it."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if said == "half":
            reply(handler, b"half", length=8)
            handler.wfile.flush()
        handler.close_connection = True
        handler.connection.shutdown(socket.SHUT_RDWR)

    with serving(answer) as url, pytest.raises(AnswerLost):
        transport.send(get(url, timeout=60))


def trickle(handler: BaseHTTPRequestHandler, start: bytes, piece: bytes, most: int = 2000) -> None:
    """Send a start, then a piece every 20 ms, until the client hangs up or there were enough of them."""
    with suppress(OSError):
        handler.wfile.write(start)
        for _ in range(most):
            handler.wfile.write(piece)
            handler.wfile.flush()
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", b";"),
        (b"", b"H"),
    ],
)
def test_a_slow_answer_has_a_deadline(transport: HttpTransport, start: bytes, piece: bytes) -> None:
    """Each piece comes in time and the whole never: in the body, a header, the size of a chunk, the first line.

    The server would go on for 40 s; without a deadline for the whole this test would have to wait for its end.
    """
    sent = Counter[str]()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        trickle(handler, start, piece)
        sent["ended"] += 1

    with serving(answer) as url, pytest.raises(AnswerTimedOut):
        transport.send(get(url, timeout=0.3))


@pytest.fixture
def small() -> Iterator[HttpTransport]:
    """A transport whose answers have at most a megabyte."""
    with closing(HttpTransport(most_bytes=2**20, remedy="use a filter")) as transport:
        yield transport


def test_a_small_answer_cannot_unpack_to_gigabytes(small: HttpTransport) -> None:
    """Unpacking stops at the bound, and the message says what to do."""
    bomb = gzip.compress(bytes(2**26))
    with (
        serving(lambda handler: reply(handler, bomb, Content_Encoding="gzip")) as url,
        pytest.raises(AbortRun, match=r"more than 1 MB.*filter"),
    ):
        small.send(get(url))


@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "x-unknown"])
def test_a_coding_that_was_not_asked_for_is_refused(transport: HttpTransport, coding: str) -> None:
    """Two layers would unpack to a million times their size."""
    body = gzip.compress(gzip.compress(b"{}"))
    with serving(lambda handler: reply(handler, body, Content_Encoding=coding)) as url, pytest.raises(AbortRun):
        transport.send(get(url))


def test_endless_lines_behind_the_last_chunk_are_cut_off(small: HttpTransport) -> None:
    """The library that reads chunks takes any number of them."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        with suppress(OSError):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
            for _ in range(2**16):
                handler.wfile.write(b"Trailer: x\r\n" * 2**10)

    with serving(answer) as url, pytest.raises(AbortRun, match="MB"):
        small.send(get(url))


def test_what_is_meant_for_this_machine_passes_no_proxy(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment would see the token."""
    seen = []

    def proxy(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        reply(handler, status=502)

    with serving(proxy) as through, serving(lambda handler: reply(handler, b"{}")) as url:
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, through)
        request = Request(method="GET", url=url, headers={"Authorization": "Bearer secret"})
        assert transport.send(request).status == 200
        elsewhere = Request(method="GET", url="http://dataverse.example.org/", headers={"Authorization": "Bearer x"})
        assert transport.send(elsewhere).status == 502
    assert seen == ["Bearer x"]


@pytest.mark.parametrize("token", ["t€cn", "line\r\nX-Other: 1"])
def test_a_header_that_http_cannot_carry_is_an_error_of_its_own(transport: HttpTransport, token: str) -> None:
    """Nothing is sent."""
    request = Request(method="GET", url="http://127.0.0.1:9/", headers={"Authorization": f"Bearer {token}"})
    with pytest.raises(AbortRun, match="token"):
        transport.send(request)
