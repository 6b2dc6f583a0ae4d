"""What the workflows do with definitions: which are planned, which settings they have, and how long a comment is."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from scripts.pipeline import LONGEST, _whole, changed, comment, not_planned, settings
from shared.definitions import Loaded, Repository
from tests.acceptance.world import accounts

CONNECTION = (
    "kind: connection\nname: crm\ntype: dynamics\nservice_url: https://org.crm.dynamics.com/\nauth: managed_identity\n"
)


def write(folder: Path, name: str, **keys: object) -> None:
    content = {**accounts(), **keys}
    content["parameters"] = {"service_url": {"default": "https://org.crm.dynamics.com/"}, "file_path": {"default": "a"}}
    content["parameters"].update(keys.get("parameters", {}))
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, **content}), "utf-8")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with three definitions and a connection, committed."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "syncs"
    folder.mkdir()
    for name in ("one", "two", "three"):
        write(folder, name)
    (folder / "crm.yaml").write_text(CONNECTION, "utf-8")
    git("init", "--quiet")
    commit()
    return folder


def git(*words: str) -> str:
    named = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *named, *words], capture_output=True, text=True, check=True).stdout.strip()


def commit() -> str:
    git("add", ".")
    git("commit", "--quiet", "--message", "Change")
    return git("rev-parse", "HEAD")


def names(base: str) -> list[str]:
    folder = Path("syncs")
    return sorted(each.name for each in changed(folder, base, loaded(folder)))


def loaded(folder: Path) -> tuple[Loaded, ...]:
    return Repository(folder, clock=lambda: 0.0).loaded()


def test_only_changed_definitions_are_planned(repository: Path) -> None:
    """Those whose files changed since the base; nothing changed means none."""
    base = git("rev-parse", "HEAD")
    assert names(base) == []
    write(repository, "two", description="Changed")
    write(repository, "four")
    (repository.parent / "README.md").write_text("no definition", "utf-8")
    commit()
    assert names(base) == ["four", "two"]


@pytest.mark.parametrize("change", ["connection", "other file", "removed"])
def test_all_are_planned_if_something_changed_that_they_share(repository: Path, change: str) -> None:
    """A connection, a file beside the definitions, and a definition that is not there any more."""
    base = git("rev-parse", "HEAD")
    match change:
        case "connection":
            (repository / "crm.yaml").write_text(CONNECTION + "timeout: 5\n", "utf-8")
        case "other file":
            (repository / "numbers.csv").write_text("a\n1\n", "utf-8")
        case _:
            (repository / "three.yaml").unlink()
    commit()
    assert names(base) == sorted({"one", "two", "three"} - ({"three"} if change == "removed" else set()))


@pytest.mark.parametrize("base", ["", "0" * 40, "f" * 40, "--output=x", "HEAD"])
def test_all_are_planned_without_a_known_base(repository: Path, base: str) -> None:
    """A new branch, a start by hand, a commit that is not there, and text that is no commit."""
    assert names(base) == ["one", "three", "two"]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({}, ""),
        ({"parameters": {"day": {}}}, "a run must give a value for day"),
        ({"parameters": {"day": {"default": None}}}, ""),
        ({"parameters": {"day": {"formula": "NOW()"}}}, ""),
        ({"enabled": False}, "it is not enabled"),
        ({"source": {"type": "events", "columns": [{"name": "number"}]}}, "it takes events only"),
        ({"strategy": "none"}, "it has mistakes"),
    ],
)
def test_what_cannot_be_planned_has_its_reason(tmp_path: Path, keys: dict[str, object], reason: str) -> None:
    """It is said in the comment."""
    if "source" in keys:
        mappings = [{"source": "number", "target": "accountnumber"}]
        topic = {"format": "json", "action": "$.op", "records": "$.data"}
        keys["destination"] = {**accounts()["destination"], "mappings": mappings}
        keys["listener"] = {"name": "events", "connector": "event_hub", "topic": topic}
    write(tmp_path, "one", **keys)
    (one,) = loaded(tmp_path)
    assert not_planned(one) == reason, one.problems


def test_settings_are_those_of_the_environment_and_of_app_settings() -> None:
    """Values may have equals signs; a part that is no setting is named by its number alone."""
    given = {"A": "1", "APP_SETTINGS": "A=2; B_C=x=y ;;AzureWebJobsStorage__accountName=st"}
    found = settings(given)
    assert (found["A"], found["B_C"], found["AzureWebJobsStorage__accountName"]) == ("2", "x=y", "st")
    with pytest.raises(SystemExit, match="part 2 is not NAME=value") as caught:
        settings({"APP_SETTINGS": "A=1;a-secret"})
    assert "a-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "done", "whole"),
    [
        (0, {}, True),
        (2, {"failed": 0, "skipped": 0}, True),
        (2, {"failed": 1, "skipped": 0}, False),
        (2, {"failed": 0, "skipped": 3}, False),
        (1, {"error": {"message": "stale"}}, False),
        (3, {}, False),
    ],
)
def test_rows_that_the_plan_rejects_do_not_stop_the_workflow(code: int, done: dict[str, object], whole: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """The person who approved has seen them; changes that Dataverse refuses were not in the plan."""
    assert _whole(code, done) is whole


def test_a_comment_is_never_too_long() -> None:
    """Plans that do not fit are counted."""
    assert "No sync has changed." in comment([])
    assert comment(["### one\n"]).endswith("### one\n")
    text = comment(["x" * 20_000] * 9)
    assert len(text) <= LONGEST
    assert "7 further plans are too long for a comment" in text
