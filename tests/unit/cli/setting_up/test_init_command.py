"""`init`: what it says comes next, and the folder that it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.cli.boundary import run


def test_the_next_commands_can_be_pasted_where_the_command_was_typed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also with a blank in the folder's name."""
    folder = tmp_path / "first sync"
    assert run(["init", str(folder), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert all(Path(file).exists() for file in value["files"])
    assert {each.partition(" && ")[0] for each in value["next"]} == {f"cd '{folder}'"}


def test_a_folder_with_files_is_refused_and_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    assert run(["init", str(tmp_path)]) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
    assert "Traceback" not in capsys.readouterr().err
