"""Files behind HTTP of which only a part comes, or that are another one in each answer: no row is missing or mixed."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest

from shared.definitions.models import Column
from shared.errors import UserError
from shared.sources import SourceContext, open_source
from shared.sources.files import find_files
from shared.workspace import Workspace
from tests.contract.source_kinds import KINDS
from tests.contract.test_sources import defined

CONTENT = b"number\n" + b"".join(b"N%d\n" % n for n in range(200))
HALF = CONTENT[: len(CONTENT) // 2]


class Handler(BaseHTTPRequestHandler):
    """Says how large the file is, and sends it in one of several ways."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        told = "3" if self.path == "/little.csv" else str(len(CONTENT))
        if self.path != "/unknown.csv" and not self.path.startswith("/report"):
            self.send_header("Content-Length", told)
        self.end_headers()

    def do_GET(self) -> None:
        if self.path.startswith("/report"):
            self._send_report()
            return
        way = self.path.removesuffix(".csv").strip("/")
        self.send_response(206 if way in {"part", "unknown"} else 200)
        if way in {"part", "unknown"}:
            self.send_header("Content-Range", f"bytes 0-{len(HALF) - 1}/{len(CONTENT)}")
        if way == "chunks":
            self.protocol_version = "HTTP/1.1"
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = CONTENT if way in {"whole", "little"} else HALF
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if way == "chunks" else body)
        self.close_connection = True

    def _send_report(self) -> None:
        """A report that is made for each request: from some request on, its columns have another order."""
        reports = self.server.reports  # type: ignore[attr-defined]
        body = b"number,name\n1,one\n2,two\n" if next(reports) < int(self.path[7]) else b"name,number\none,1\ntwo,2\n"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(gzip.compress(body) if self.path.endswith(".gz") else body)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def served() -> Iterator[str]:
    """The address of the server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.reports = count()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def read(name: str) -> bytes:
    """The content of a file of the server, as a source reads it."""
    with served() as address:
        (file,) = find_files(f"{address}/{name}.csv")
        with file.content() as stream:
            return stream.read()


@pytest.mark.parametrize("name", ["whole", "little"])
def test_a_whole_file_is_read(name: str) -> None:
    """Also where the server says too small a size: it may compress what it sends."""
    assert read(name) == CONTENT


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("part", r"part\.csv cannot be read: the server sends only a part of it \(status 206\)"),
        ("unknown", r"unknown\.csv cannot be read: the server sends only a part of it \(status 206\)"),
        ("closed", rf"closed\.csv ended after {len(HALF)} of {len(CONTENT)} bytes, so its last rows are missing"),
        ("chunks", rf"ended after {len(HALF)} of {len(CONTENT)} bytes"),
    ],
)
def test_a_part_of_a_file_is_not_taken_for_the_whole(name: str, said: str) -> None:
    """A status that says so, an answer that ends with its connection, and one that is shorter than the file."""
    with pytest.raises(UserError, match=said):
        read(name)


@pytest.mark.parametrize("name", [f"report{n}.csv{ending}" for n in range(1, 8) for ending in ("", ".gz")])
def test_column_names_and_rows_are_of_one_answer(name: str) -> None:
    """The host says nothing by which two answers can be told apart."""
    kind = KINDS["delimited"]
    with served() as address, Workspace.open() as workspace:
        source = defined(kind, Path("source.csv")).source.model_copy(update={"path": f"{address}/{name}"})
        columns = [Column(name="number"), Column(name="name")]
        open_source(source.model_copy(update={"columns": columns}), SourceContext()).load(workspace)
        assert workspace.query("SELECT number, name FROM source_raw ORDER BY 1") == [("1", "one"), ("2", "two")]
