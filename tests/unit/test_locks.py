"""The lock files against pyproject.toml and each other: what is named there is pinned, once and with its hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def locked_extras(variable: str) -> list[str]:
    """What the extras that a variable of the Makefile lists bring."""
    found = re.search(rf"^{variable} := (.+)$", MAKEFILE, re.MULTILINE)
    assert found
    return [package for extra in found[1].split() for package in EXTRAS[extra]]


# As the Makefile's `lock` writes them.
CONTENT = {
    "requirements.txt": [*PROJECT["project"]["dependencies"], *locked_extras("DEPLOYED_EXTRAS")],
    "requirements/dev.txt": [
        *PROJECT["project"]["dependencies"],
        *locked_extras("EXTRAS"),
        *(each for name, group in GROUPS.items() if name != "tools" for each in group),
    ],
    "requirements/demo.txt": [
        *PROJECT["project"]["dependencies"],
        *locked_extras("EXTRAS"),
        *GROUPS["build"],
        *GROUPS["emulator"],
    ],
    "requirements/job.txt": [
        *PROJECT["project"]["dependencies"],
        *locked_extras("DEPLOYED_EXTRAS"),
        *EXTRAS["cli"],
        *GROUPS["build"],
    ],
    "requirements/tools.txt": GROUPS["tools"],
}


def entries(file: str) -> Iterator[tuple[str, str, str]]:
    """Name, version and whole text of each package in a lock file; a package may have one for each platform."""
    text = (ROOT / file).read_text("utf-8")
    for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]:
        name, version = re.match(r"([A-Za-z0-9_.-]+)==([^\s;]+)", entry).groups()  # type: ignore[union-attr]
        yield canonicalize_name(name), version, entry


@pytest.mark.parametrize("file", CONTENT)
def test_what_the_project_names_is_locked(file: str) -> None:
    """In a version that the project allows."""
    locked = {name: version for name, version, _ in entries(file)}
    wanted = [Requirement(text) for text in CONTENT[file]]
    assert not [str(each) for each in wanted if canonicalize_name(each.name) not in locked]
    assert not [str(each) for each in wanted if not each.specifier.contains(locked[canonicalize_name(each.name)])]


@pytest.mark.parametrize("file", [*CONTENT, "requirements/runtime.txt"])
def test_every_locked_package_has_its_hashes(file: str) -> None:
    """Nothing else than what was locked can be installed."""
    found = list(entries(file))
    assert found
    assert not [name for name, _, entry in found if "--hash=sha256:" not in entry]


def test_the_tests_use_the_versions_that_are_deployed() -> None:
    """All lock files name the same version of each package."""
    tested: dict[str, set[str]] = {}
    for name, version, _ in entries("requirements/dev.txt"):
        tested.setdefault(name, set()).add(version)
    for file in ("requirements.txt", "requirements/demo.txt", "requirements/job.txt"):
        assert not [(name, version) for name, version, _ in entries(file) if version not in tested[name]]


def test_all_kinds_of_dependencies_are_updated() -> None:
    """Dependabot knows every folder with a lock file of npm, and the files of pip."""
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    by_kind = {each["package-ecosystem"]: each.get("directories", [each.get("directory")]) for each in updates}
    assert {"pip", "github-actions", "npm"} == by_kind.keys()
    assert by_kind["pip"] == ["/"]
    found = (path for folder in ("tests", "requirements") for path in (ROOT / folder).rglob("package-lock.json"))
    locks = (path for path in found if "node_modules" not in path.parts)
    assert sorted(by_kind["npm"]) == sorted(f"/{path.parent.relative_to(ROOT)}" for path in locks)
