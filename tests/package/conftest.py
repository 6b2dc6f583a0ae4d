"""The package as it is deployed: built, unpacked and installed for the Python version that runs in Azure."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.deployed_python import VERSION, find
from tests.functions.conftest import emulator

__all__ = ["emulator"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def python() -> str:
    """An interpreter of the deployed version."""
    found = find()
    if found is None:
        pytest.skip(f"Python {VERSION}, which the app is deployed with, is not installed here")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """The unpacked package with its packages, and an interpreter that has what the host brings along."""

    folder: Path
    python: Path

    @property
    def packages(self) -> Path:
        return self.folder / ".python_packages" / "lib" / "site-packages"


@pytest.fixture(scope="session")
def deployed(python: str, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Build the zip, unpack it into an empty folder, and install requirements.txt as the remote build does."""
    place = tmp_path_factory.mktemp("deployed")
    run([sys.executable, str(ROOT / "scripts" / "package.py"), "--folder", str(place)])
    folder = place / "wwwroot"
    with zipfile.ZipFile(place / "dynamics-sync.zip") as archive:
        archive.extractall(folder)
    run([python, "-m", "venv", str(place / "host")])
    interpreter = place / "host" / "bin" / "python"
    made = Deployed(folder=folder, python=interpreter)
    pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    run([*pip, "--no-compile", "--target", str(made.packages), "-r", str(folder / "requirements.txt")])
    run([*pip, "--no-deps", "-r", str(_host_lock(place))])
    return made


def _host_lock(place: Path) -> Path:
    """What the host's worker brings along: Microsoft's runtime, and protobuf with grpc from the lock of the tests."""
    text = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
    entries = (ROOT / "requirements" / "dev.txt").read_text("utf-8").split("\n    # via")
    wanted = [
        entry[entry.index(name) :] for entry in entries for name in ("grpcio==", "protobuf==") if f"\n{name}" in entry
    ]
    target = place / "host.lock"
    target.write_text("\n".join([text, *wanted]) + "\n", "utf-8")
    return target


def run(command: list[str], *, environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a program to its end and return what it printed; a failure shows all of it."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | (environment or {}), capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout
