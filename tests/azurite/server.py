"""Azurite, Microsoft's storage emulator, started for tests: installed once by npm into the user's cache."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from emulator.http.tls import Certificates

HERE = Path(__file__).parent
# Accounts of one server: a test takes one that no other test has written to.
ACCOUNTS = tuple(f"account{number}" for number in range(500))
ACCOUNT_KEY = base64.b64encode(b"opens nothing but this emulator's accounts").decode()


class AzuriteMissingError(Exception):
    """Azurite cannot be had here; the message says why."""


def installed() -> Path:
    """The folder that Azurite is installed in; installed by npm the first time.

    Raises:
        AzuriteMissingError: npm is missing or cannot install.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise AzuriteMissingError("npm is missing: Azurite cannot be installed")
    lock_text = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dynamics-sync-tests"
    folder = cache / f"azurite-{hashlib.sha256(lock_text).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not (folder / "installed").exists():
            _install(npm, folder)
    return folder


def _install(npm: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise AzuriteMissingError(f"npm cannot install Azurite: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    (folder / "installed").touch()


class Azurite:
    """A running Azurite with blobs, queues and tables on free loopback ports; its data is removed at the end.

    Args:
        certificates: It speaks TLS with these, and takes tokens as well as keys.
        folder: It keeps its data in files of this folder, which stay; without one, in memory.
    """

    def __init__(self, certificates: Certificates | None = None, folder: Path | None = None) -> None:
        self._folder = folder
        self._script = installed() / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
        self._data = tempfile.TemporaryDirectory(prefix="azurite-")
        for last in (False, False, False, False, True):
            said = self._started(certificates)
            if not said:
                break
            # Another process may have taken a port before Azurite did.
            if last or "EADDRINUSE" not in said:
                raise AzuriteMissingError(f"Azurite does not start: {said[-500:]}")
        assert self._process.stdout is not None
        # Whatever it says later must not fill the pipe.
        self._reader = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._reader.start()

    def _started(self, certificates: Certificates | None) -> str:
        """Start the process; what it said where it has ended instead, else nothing."""
        # Its table service takes port 0 but does not tell which port it got.
        self.blob, self.queue, self.table = blob, queue, table = _free_ports(3)
        command = ["node", str(self._script), "--blobPort", blob, "--queuePort", queue, "--tablePort", table]
        command += ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
        command += ["--location", str(self._folder)] if self._folder else ["--inMemoryPersistence"]
        if certificates is not None:
            command += ["--oauth", "basic", "--cert", str(certificates.certificate_file)]
            command += ["--key", str(certificates.key_file)]
        self._process = subprocess.Popen(
            command,
            cwd=self._data.name,
            env=os.environ | {"AZURITE_ACCOUNTS": ";".join(f"{name}:{ACCOUNT_KEY}" for name in ACCOUNTS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        return self._wait_for(self._process.stdout)

    def _wait_for(self, said: IO[str]) -> str:
        lines: list[str] = []
        while line := said.readline():
            lines.append(line)
            if sum("successfully listening" in one for one in lines) == 3:
                return ""
        self._process.wait()
        said.close()
        return "".join(lines) or "it ended without a word"

    def connection_string(self, account: str) -> str:
        """What AzureWebJobsStorage would be for one of `ACCOUNTS`."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{self.blob}/{account};TableEndpoint=http://127.0.0.1:{self.table}/{account};"
            f"QueueEndpoint=http://127.0.0.1:{self.queue}/{account};"
        )

    def endpoints(self, account: str) -> tuple[str, str, str]:
        """URLs of the services of tables, blobs and queues of one of `ACCOUNTS`, if it uses TLS."""
        table, blob, queue = (f"https://127.0.0.1:{port}/{account}" for port in (self.table, self.blob, self.queue))
        return table, blob, queue

    def stop(self) -> None:
        """End the process, which writes what is not yet in its folder, if it has one."""
        if self._folder:
            self._process.terminate()
        else:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout:
            self._process.stdout.close()
        self._data.cleanup()


def _free_ports(count: int) -> list[str]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in sockets]
