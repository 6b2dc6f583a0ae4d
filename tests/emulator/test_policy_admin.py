"""The emulator's own paths: their answers, and who may use them."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette

from emulator.errors import ServiceError
from emulator.http.admin import Admin
from emulator.policies.assertions import Assertions
from emulator.policies.faults import Faults
from emulator.policies.stats import Stats
from emulator.store.collation import Collation


class Call:
    """One request to the paths, without a server."""

    def __init__(self) -> None:
        self.resets = 0
        self.assertions = Assertions()
        self.faults = Faults(Collation())
        admin = Admin(assertions=self.assertions, faults=self.faults, stats=Stats(), reset=self._reset, seed=self._seed)
        self.app = Starlette(routes=admin.routes())

    def _reset(self) -> None:
        self.resets += 1

    def _seed(self, name: str) -> dict[str, int]:
        if name != "demo":
            raise ServiceError(404, "0x0", f"There is no seed '{name}'.")
        return {"account": 2}

    def __call__(self, method: str, path: str, body: bytes = b"", host: str = "127.0.0.1") -> tuple[int, Any]:
        """Return status and JSON of the answer."""
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": method, "path": f"/_emulator{path}", "root_path": "", "query_string": b"",
            "headers": [], "client": (host, 1), "scheme": "http", "server": ("127.0.0.1", 80),
        }  # fmt: skip
        asyncio.run(self.app(scope, receive, send))
        content = sent[1]["body"]
        return sent[0]["status"], orjson.loads(content) if content.startswith(b"{") else content


@pytest.mark.parametrize("host", ["10.0.0.1", "203.0.113.7", "::ffff:10.0.0.1", "2001:db8::1", "elsewhere"])
def test_requests_from_other_machines_are_refused(host: str) -> None:
    """Faults, statistics and resets are only for the machine itself, because these paths need no token."""
    call = Call()
    for method, path in (
        ("GET", "/stats"),
        ("GET", "/log"),
        ("POST", "/reset"),
        ("POST", "/faults"),
        ("GET", "/faults"),
    ):
        assert call(method, path, host=host)[0] == 403
    assert call.resets == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_requests_from_the_same_machine_are_accepted(host: str) -> None:
    """Loopback addresses of both families."""
    assert Call()("GET", "/stats", host=host)[0] == 200


def test_faults_are_added_listed_and_cleared() -> None:
    """One or a list; the remaining ones are listed in the form in which they were added."""
    call = Call()
    one = {"action": "delay", "match": {"path": "accounts"}, "times": 2, "seconds": 0.5}
    assert call("POST", "/faults", orjson.dumps(one)) == (200, {"added": [one]})
    assert call("POST", "/faults", orjson.dumps([{"action": "drop_before"}]))[0] == 200
    listed = call("GET", "/faults")[1]
    assert listed == {"faults": [one, {"action": "drop_before", "match": {}, "times": 1}], "struck": 0}
    assert call("DELETE", "/faults")[0] == 200
    assert call("GET", "/faults")[1]["faults"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"5", b'[{"action": "status"}, 5]'])
def test_a_body_with_an_invalid_fault_is_refused_completely(body: bytes) -> None:
    """No fault of a list with a mistake is added."""
    call = Call()
    assert call("POST", "/faults", body)[0] == 400
    assert call("GET", "/faults")[1]["faults"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"certificates": "text"}',
        b'{"certificates": ["no certificate"]}',
        b'{"certificates": [5]}',
        b'{"federated": [{"issuer": "http://example.com", "subject": "a"}]}',
        b'{"federated": {"issuer": "https://example.com"}}',
    ],
)
def test_credentials_that_are_not_valid_are_refused(body: bytes) -> None:
    """What is registered stays as it is."""
    call = Call()
    good = orjson.dumps({"federated": [{"issuer": "https://example.com", "subject": "a"}]})
    assert call("PUT", "/credentials", good) == (200, {"certificates": 0, "federated": 1})
    status, answer = call("PUT", "/credentials", body)
    assert (status, answer["error"]["code"]) == (400, "0x80040203")
    assert call.assertions._federated[0].subject == "a"


def test_reset_and_seeds_call_their_functions() -> None:
    """The paths pass the request on, and answer with the result."""
    call = Call()
    assert call("POST", "/reset") == (200, {"reset": True})
    assert call.resets == 1
    assert call("POST", "/seed/demo") == (200, {"seeded": {"account": 2}})
    assert call("POST", "/seed/other")[0] == 404
    assert call("GET", "/reset")[0] == 405
