"""Which files `make package` deploys."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.package import deployed_files


def test_only_files_that_git_tracks_are_deployed(tmp_path: Path) -> None:
    """Notes and exports beside the code are left out, and so is what .funcignore names."""
    for name in ("host.json", "notes.json", "docs.md"):
        (tmp_path / name).write_text("{}", "utf-8")
    (tmp_path / ".funcignore").write_text("*.md\n.funcignore\n", "utf-8")
    for words in (["init", "--quiet"], ["add", "host.json", "docs.md", ".funcignore"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)

    assert deployed_files(tmp_path) == [Path("host.json")]
