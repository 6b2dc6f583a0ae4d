"""The first folder: created by `init`, and used with exactly the commands that `init` prints."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import pytest

from emulator.http.options import Options
from emulator.testing import running
from shared.cli.boundary import run
from shared.cli.setting_up.starter import LOCAL_DATAVERSE, write_starter
from shared.errors import UserError

PROGRAM = Path(sys.executable).with_name("dynamics-sync")


def shell(command: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DYNAMICS_", "SYNC_", "STATE_"))}
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**clean, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def started(command: str, folder: Path) -> Iterator[dict[str, str]]:
    """A command that runs until it is stopped; gives its first line, which is JSON."""
    with subprocess.Popen(
        ["sh", "-c", command], cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def test_the_commands_that_init_prints_work(tmp_path: Path) -> None:
    """From an empty folder to records in a local Dataverse; the second run writes nothing."""
    made = shell(f"{PROGRAM} init my-syncs", tmp_path)
    assert made.returncode == 0, made.stderr
    emulator, plan, once = re.findall(r"^  (.+)$", made.stdout, re.MULTILINE)
    # Another program of this machine may have the port that the settings name.
    with started(f"{emulator} --port 0", tmp_path) as local:
        settings = {"DYNAMICS_URL": local["service_url"]}
        planned = shell(plan, tmp_path, **settings)
        assert (planned.returncode, "10 records" in planned.stdout) == (0, True), planned.stdout + planned.stderr
        assert shell(once, tmp_path, **settings).returncode == 0
        again = json.loads(shell(f"{once} --json", tmp_path, **settings).stdout)
        assert (again["unchanged"], again["writes"]) == (10, 0)
        checked = shell(f"cd my-syncs && {PROGRAM} validate", tmp_path, **settings)
        assert checked.stdout == "No problems in customers.\n"


def test_the_settings_are_those_of_the_emulator(tmp_path: Path) -> None:
    """Started without options, the emulator has the address and the credentials of the new folder."""
    defaults = Options.parse([])
    assert LOCAL_DATAVERSE["DYNAMICS_URL"] == f"http://127.0.0.1:{defaults.port}/api/data/v9.2/"
    assert LOCAL_DATAVERSE["DYNAMICS_CLIENT_ID"] == defaults.client_id
    assert LOCAL_DATAVERSE["DYNAMICS_CLIENT_SECRET"] == defaults.client_secret


@pytest.mark.parametrize("name", ["notes.txt", ".hidden"])
def test_a_folder_with_files_is_refused_and_keeps_them(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written beside them."""
    (tmp_path / name).write_text("mine")
    assert run(["init", str(tmp_path)]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "has files, and nothing was written" in said
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {name: "mine"}


def test_a_place_that_cannot_be_a_folder_is_an_error(tmp_path: Path) -> None:
    """The message names the file that exists at this path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        write_starter(tmp_path / "file" / "inside")
    with pytest.raises(UserError, match="cannot be written"):
        write_starter(tmp_path / "file")


def test_the_current_folder_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next commands then need no change of the folder."""
    monkeypatch.chdir(tmp_path)
    assert run(["init", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert (tmp_path / "syncs" / "customers.yaml").is_file()
    assert not any("cd " in command for command in made["next"])


def _port_is_free() -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 5080))
        except OSError:
            return False
    return True


# A shell lets the jobs that it starts in the background ignore Ctrl-C, and so the tests and what they start.
WITH_CTRL_C = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "demo", "--keep"])
"""


@pytest.mark.timeout(600)  # it sets a whole demo up, beside other tests
@pytest.mark.usefixtures("demo_port")
def test_a_demo_that_keeps_running_prints_the_next_commands(tmp_path: Path) -> None:
    """They work while it runs, and Ctrl-C ends it and its Dataverse."""
    if not _port_is_free():
        pytest.skip("another program has the port 5080")
    (tmp_path / "syncs").symlink_to(Path("syncs").resolve())
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    with subprocess.Popen(
        [sys.executable, "-c", WITH_CTRL_C],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        try:
            assert demo.stdout is not None
            lines = list(takewhile(lambda line: "until you press Ctrl-C" not in line, demo.stdout))
            assert demo.poll() is None, "".join(lines)
            steps = "".join(lines).partition("Next steps")[2]
            exports = dict(re.findall(r"^ +export (\w+)=(.+)$", steps, re.MULTILINE))
            commands = re.findall(r"^ +(\.venv/bin/dynamics-sync .+)$", steps, re.MULTILINE)
            codes = [shell(command, tmp_path, **exports).returncode for command in commands]
        finally:
            os.killpg(demo.pid, signal.SIGINT)
    assert [command.split()[1] for command in commands] == ["runs", "errors", "plan", "init"]
    assert codes == [0, 0, 2, 0]  # 2: rows of the demo's file are rejected
    assert demo.returncode == 0


def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    """The emulator says what to do, without a traceback."""
    with running() as other:
        port = other.base_url.rpartition(":")[2]
        done = shell(f"{sys.executable} -m emulator --port {port}", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"emulator: port {port} is in use")
    assert "--port" in done.stderr
