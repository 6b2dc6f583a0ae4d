"""Secrets in an answer, or read by a definition, are in no output, log, state or record."""

from __future__ import annotations

import json
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.cli.boundary import run
from tests.acceptance.world import World, accounts, world

Change = Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, Any]] | None]


@dataclass
class Between:
    """A server between the client and the emulator that answers some requests itself."""

    change: Change
    tokens: set[str] = field(default_factory=set)

    @contextmanager
    def serving(self, emulator: str) -> Iterator[str]:
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                between.tokens.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
                if (changed := between.change(self, body)) is not None:
                    self.give(changed[0], {}, json.dumps(changed[1]).encode())
                    return
                # With the host that the client asked: its token is for this address.
                headers = {n: v for n, v in self.headers.items() if n.lower() != "accept-encoding"}
                asked = urllib.request.Request(emulator + self.path, body or None, headers, method=self.command)
                try:
                    with urllib.request.urlopen(asked, timeout=30) as got:
                        status, fields, content = got.status, dict(got.headers), got.read()
                except urllib.error.HTTPError as error:
                    status, fields, content = error.code, dict(error.headers), error.read()
                self.give(status, fields, content)

            def give(self, status: int, fields: dict[str, str], content: bytes) -> None:
                here = f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]
                content = content.replace(emulator.encode(), here.encode())
                self.send_response(status)
                for name, value in fields.items():
                    if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                        self.send_header(name, value.replace(emulator, here))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the names of the standard library

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def request_text(handler: BaseHTTPRequestHandler, body: bytes) -> str:
    """The complete content of a request."""
    return f"your request was {body.decode(errors='replace')} with {handler.headers}"


def reading(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]] | None:
    if handler.command == "GET" and "/accounts?" in handler.path:
        return 401, {"error": {"code": "0x1", "message": request_text(handler, body)}}
    return None


def in_the_code(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]] | None:
    if handler.command == "GET" and "/accounts?" in handler.path:
        return 400, {"error": {"code": handler.headers.get("Authorization"), "message": "see the code"}}
    return None


def signing_in(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]] | None:
    if handler.command == "POST" and "oauth2" in handler.path:
        return 400, {"error": "invalid_client", "error_description": request_text(handler, body)}
    return None


def writing(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]] | None:
    if handler.command == "POST" and "api/data" in handler.path:
        return 400, {"error": {"code": "0x80040265", "message": "header " + handler.headers.get("Authorization", "")}}
    return None


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world")) as made:
        made.csv([{"number": "A1", "name": "One", "city": "", "revenue": 1}])
        yield made


@pytest.fixture
def typed(here: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs the command line with a state store of its own."""

    def command(*words: str, **environment: str) -> int:
        state = f"sqlite:///{tmp_path / 'state.db'}"
        settings = {"SYNC_DEFINITIONS": str(here.folder / "syncs"), "STATE_STORE": state, "COLUMNS": "10000"}
        for name, value in {**here.environment, **settings, **environment}.items():
            monkeypatch.setenv(name, value)
        return run(words)

    return command


@pytest.mark.parametrize("change", [reading, in_the_code, signing_in, writing])
def test_a_secret_that_an_answer_repeats_is_in_no_output(
    change: Change,
    here: World,
    typed: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Standard output, standard error, logs, the state store and the run's files, plain and percent-encoded."""
    caplog.set_level(logging.DEBUG, "shared")
    here.define(accounts())
    between = Between(change)
    with between.serving(here.emulator.base_url) as url:
        for words in (["run", "accounts", "--json"], ["run", "accounts"], ["validate"], ["runs", "--json"]):
            typed(*words, DYNAMICS_URL=f"{url}/api/data/v9.2/")
        typed("errors", "last", "--csv", str(tmp_path / "errors"))
    said = "".join(capsys.readouterr()) + caplog.text
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode("latin1")
    secrets = {token for token in between.tokens if token} | {here.emulator.client_secret}
    assert any(len(secret) > 100 for secret in secrets) or change is signing_in
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            assert form not in said
            assert form not in kept
    assert "[hidden]" in said or change is in_the_code


@pytest.mark.parametrize("variable", ["DYNAMICS_CLIENT_SECRET", "COPY", "CUSTOMCONNSTR_X", "STORE"])
def test_a_formula_reads_no_secret(
    variable: str, here: World, typed: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its own name, by another name, by a name or a value that is typical of secrets."""
    definition = accounts()
    definition["parameters"]["leak"] = {"formula": f"ENV('{variable}')"}
    definition["destination"]["mappings"][1] = {"value": "@leak", "target": "name"}
    here.define(definition)
    secret = here.emulator.client_secret
    environment = {"COPY": f"x{secret}x", "CUSTOMCONNSTR_X": "x-y-z", "STORE": "AccountName=a;AccountKey=x-y-z"}
    codes = [
        typed(*words, **environment)
        for words in (["validate"], ["run", "accounts"], ["plan", "accounts", "--out", str(tmp_path / "plan")])
    ]
    assert codes == [1, 1, 1]
    said = "".join(capsys.readouterr())
    assert f"the environment variable {variable} contains a secret" in said
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode("latin1")
    assert not [text for text in (said, kept) if secret in text or "x-y-z" in text]
    assert not here.records("accounts?$select=name")


def test_a_parameter_that_is_given_a_secret_is_logged_without_it(
    here: World, typed: Callable[..., int], tmp_path: Path
) -> None:
    """A user may type a secret as a parameter."""
    definition = accounts()
    definition["parameters"]["typed"] = {"default": "x"}
    here.define(definition)
    typed("run", "accounts", "-p", f"typed={here.emulator.client_secret}")
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("state.db*"))
    assert here.emulator.client_secret.encode() not in kept
    here.emulator.reset()


@pytest.mark.parametrize(
    ("condition", "only_the_service_knows"),
    [
        ("nosuch eq 1", True),
        ("Name eq 'x'", True),
        ("name = 'x'", False),
        ("(statecode eq 0", False),
        ("createdon gt '2020-01-01'", True),
        ("revenue eq 'x'", True),
    ],
)
def test_a_filter_that_the_service_refuses_fails_validate(
    condition: str,
    only_the_service_knows: bool,  # noqa: FBT001 - a parameter of the test
    here: World,
    typed: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Only the service knows columns and values; the message has the place in the file."""
    here.define(accounts(destination={"filter": condition}))
    assert typed("validate") == 1
    assert "accounts.yaml:" in (said := "".join(capsys.readouterr()))
    assert "destination.filter" in said
    assert typed("validate", "--offline") == (0 if only_the_service_knows else 1)


@pytest.mark.parametrize("condition", ["statecode eq 0", "name eq @what", "revenue gt @least"])
def test_a_filter_that_the_service_accepts_passes_validate(
    condition: str, here: World, typed: Callable[..., int]
) -> None:
    """Also with parameters whose values only a run has."""
    definition = accounts(destination={"filter": condition})
    definition["parameters"] |= {"what": {"description": "given by the run"}, "least": {"default": 5}}
    here.define(definition)
    assert typed("validate") == 0
