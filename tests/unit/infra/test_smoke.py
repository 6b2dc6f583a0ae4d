"""The smoke test after a deployment, against a stand-in for Azure Resource Manager."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FUNCTIONS = ("batch_sync", "batch_job", "event_sync", "console")
APP_ID = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Web/sites/func-x"
pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


class Manager:
    """Answers like Azure Resource Manager; the functions appear at the given request."""

    def __init__(self, *, appear_at: int) -> None:
        self.asked: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(appear_at))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _handler(self, appear_at: int) -> type[BaseHTTPRequestHandler]:
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                asked.append((self.path, self.headers.get("Authorization", "")))
                names = FUNCTIONS if len(asked) >= appear_at else FUNCTIONS[:1]
                value = [{"id": f"{APP_ID}/functions/{name}", "name": f"func-x/{name}"} for name in names]
                data = json.dumps({"value": value}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def manager(request: pytest.FixtureRequest) -> Iterator[Manager]:
    server = Manager(appear_at=request.param)
    yield server
    server.stop()


def smoke(manager: Manager, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the hook with an `azd` that gives a token."""
    azd = folder / "azd"
    azd.write_text('#!/bin/sh\necho \'{"token": "secret-token", "expiresOn": "2030-01-01"}\'\n')
    azd.chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "AZURE_RESOURCE_MANAGER": manager.url,
        "FUNCTION_APP_ID": APP_ID,
        "FUNCTION_APP": "func-x",
        "SMOKE_TRIES": "3",
        "SMOKE_SECONDS": "0",
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.run(
        ["sh", str(ROOT / "scripts" / "smoke.sh")], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("manager", [2], indirect=True)
def test_functions_that_appear_pass(manager: Manager, tmp_path: Path) -> None:
    """The hook asks again until all are shown, with azd's token."""
    done = smoke(manager, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert manager.asked == [(f"{APP_ID}/functions?api-version=2024-04-01", "Bearer secret-token")] * 2


@pytest.mark.parametrize("manager", [99], indirect=True)
def test_a_missing_function_fails_the_deployment(manager: Manager, tmp_path: Path) -> None:
    """The message names the function and the page that helps, and not the token."""
    done = smoke(manager, tmp_path)
    assert done.returncode == 1
    assert f"does not show: {' '.join(FUNCTIONS[1:])}." in done.stderr
    assert "docs/runbook.md" in done.stderr
    assert "secret-token" not in done.stdout + done.stderr


@pytest.mark.parametrize("script", ["smoke.sh", "smoke.ps1"])
def test_each_function_of_the_app_is_looked_for(script: str) -> None:
    """Also one that is added later."""
    text = (ROOT / "scripts" / script).read_text("utf-8")
    sources = (path.read_text("utf-8") for path in ROOT.glob("*/function.py"))
    names = [name for source in sources for name in re.findall(r'@blueprint\.function_name\("(\w+)"\)', source)]
    assert sorted(names) == sorted(FUNCTIONS)
    assert all(re.search(rf"\b{name}\b", text) for name in names)
