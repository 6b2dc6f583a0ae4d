"""The container images without Docker: what their files copy is there, and what they start works from these files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import pytest

from shared.deployment import NEEDED

ROOT = Path(__file__).parents[2]
IMAGES = sorted((ROOT / "docker").glob("*.Dockerfile"))
LOCKS = {"functions": "requirements.txt", "job": "requirements/job.txt"}
_ROOMS = ["function_app", "batch_sync", "console", "event_sync", "shared"]


def instructions(file: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments."""
    text = re.sub(r"\\\n\s*", "", file.read_text("utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def built(name: str, folder: Path) -> Path:
    """Carry out the COPY instructions of an image below a folder, of what .dockerignore lets in; gives the workdir."""
    here = folder
    for instruction, arguments in instructions(ROOT / "docker" / f"{name}.Dockerfile"):
        if instruction == "WORKDIR":
            here = folder / arguments.lstrip("/")
            here.mkdir(parents=True)
        if instruction == "COPY":
            *sources, target = arguments.split()
            to = folder / target.lstrip("/") if target.startswith("/") else here / target
            for source in sources:
                _copy(ROOT / source, to, several=target.endswith("/"))
    return here


def _is_ignored(path: PurePosixPath) -> bool:
    """By .dockerignore: the last pattern that names a file, or a folder above it, decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.removeprefix("!")
        anywhere, folders = pattern.removeprefix("**/"), [path, *path.parents][:-1]
        names = [each.name for each in folders] if pattern.startswith("**/") else [str(each) for each in folders]
        if line and not line.startswith("#") and any(fnmatchcase(name, anywhere) for name in names):
            ignored = not line.startswith("!")
    return ignored


def _copy(source: Path, target: Path, *, several: bool) -> None:
    assert source.exists(), source
    files = [source] if source.is_file() else [each for each in source.rglob("*") if each.is_file()]
    taken = [each for each in files if not _is_ignored(PurePosixPath(each.relative_to(ROOT)))]
    assert taken, f"{source} is in .dockerignore"
    for each in taken:
        to = target / source.name if several else target
        place = to if source.is_file() else to / each.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(each, place)


@pytest.mark.parametrize("image", IMAGES, ids=lambda each: each.stem)
def test_an_image_has_the_python_version_and_the_packages_of_its_lock_file(image: Path) -> None:
    """Every package by hash, for the version that the lock file is for; no image is named by a moving tag alone."""
    name = image.name.partition(".")[0]
    ((_, base),) = [each for each in instructions(image) if each[0] == "FROM"]
    assert re.search(r"3\.13", base)
    assert "--platform=linux/amd64" in base
    runs = [arguments for instruction, arguments in instructions(image) if instruction == "RUN" and "-r " in arguments]
    assert len(runs) == 1
    assert "--require-hashes" in runs[0]
    assert "--no-deps" in runs[0]
    copied = [arguments.split()[0] for instruction, arguments in instructions(image) if instruction == "COPY"]
    assert LOCKS[name] in copied


def test_the_function_app_loads_from_its_image(tmp_path: Path) -> None:
    """The host looks for function_app.py and host.json in the folder of AzureWebJobsScriptRoot."""
    built("functions", tmp_path)
    (environment,) = [text for name, text in instructions(ROOT / "docker" / "functions.Dockerfile") if name == "ENV"]
    found = re.search(r"AzureWebJobsScriptRoot=(\S+)", environment)
    assert found
    site = tmp_path / found[1].lstrip("/")
    assert {"function_app.py", "host.json"} <= {each.name for each in site.iterdir()}
    rooms = [each for each in NEEDED if (ROOT / each.partition(".")[0]).is_dir()]
    assert {"console.deployed", "event_sync.handling"} <= set(rooms)
    program = f"import function_app, importlib, sys; [importlib.import_module(m) for m in {rooms}]; "
    program += "print(sorted(f.get_function_name() for f in function_app.app.get_functions())); "
    program += f"[print(m.__file__) for n, m in sys.modules.items() if n.partition('.')[0] in {_ROOMS}]"
    done = subprocess.run([sys.executable, "-c", program], cwd=site, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    functions, *files = done.stdout.splitlines()
    # This Python has the packages of the repository too: what the image lacks would come from there.
    assert [each for each in files if not Path(each).is_relative_to(tmp_path)] == []
    assert eval(functions) == ["batch_job", "batch_sync", "console", "event_sync"]  # noqa: S307 - printed by the lines above


def test_the_command_line_installs_and_starts_in_its_image(tmp_path: Path) -> None:
    """Without the emulator, and as a user that is not root."""
    here = built("job", tmp_path)
    steps = instructions(ROOT / "docker" / "job.Dockerfile")
    assert ("USER", "sync") in steps
    assert ("ENTRYPOINT", '["dynamics-sync"]') in steps
    (install,) = [arguments for name, arguments in steps if name == "RUN" and arguments.endswith(" .")]
    words = install.replace("--no-cache-dir", "").split()
    assert words[:2] == ["pip", "install"]
    target = tmp_path / "installed"
    quiet = ["--quiet", "--disable-pip-version-check", "--target", str(target)]
    subprocess.run([sys.executable, "-m", *words, *quiet], cwd=here, check=True, timeout=100)
    program = "import sys; sys.path.insert(0, sys.argv.pop(1)); from shared.cli import main; main()"
    command = [sys.executable, "-c", program, str(target), "schema"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["title"]
    installed = {each.name for each in target.iterdir()}
    assert installed >= {*_ROOMS} - {"function_app"}
    assert "emulator" not in installed
    assert any((target / "console" / "templates").glob("*.html"))
    assert (target / "bin" / "dynamics-sync").exists()
