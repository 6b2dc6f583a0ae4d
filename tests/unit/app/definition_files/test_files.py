"""Definitions as files: their names, their bounds, and where they can be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.app.definition_files import Author, DefinitionFiles
from shared.app.definition_files.files import MOST_VERSIONS
from shared.app.definition_files.local import LocalPlace
from shared.app.definition_files.opening import opened
from shared.app.wiring import Wiring
from shared.errors import UserError
from shared.settings import Settings
from tests.contract.test_remote_files import DEFINITION

ANN = Author(id="a", name="Ann")


@pytest.fixture
def files(tmp_path: Path) -> DefinitionFiles:
    """An empty folder."""
    return DefinitionFiles(LocalPlace(tmp_path))


def test_old_versions_leave(files: DefinitionFiles) -> None:
    """There is a bound."""
    version = None
    for number in range(MOST_VERSIONS + 2):
        version = files.write("a.yaml", str(number), expected=version, by=ANN).version
    kept = files.versions("a.yaml", limit=2 * MOST_VERSIONS)
    assert (len(kept), kept[-1].text) == (MOST_VERSIONS, "2")


@pytest.mark.parametrize("name", ["../a.yaml", "a/b.yaml", ".a.yaml", "a.txt", "a\\b.yaml", ""])
def test_a_name_stays_in_the_folder(files: DefinitionFiles, name: str) -> None:
    """It is refused before anything is read."""
    with pytest.raises(UserError, match="has a name such as"):
        files.write(name, "x", expected=None, by=ANN)
    with pytest.raises(UserError):
        files.read(name)


def test_what_is_too_large_or_no_text_is_refused(files: DefinitionFiles, tmp_path: Path) -> None:
    """The message says why."""
    with pytest.raises(UserError, match="at most 1,000,000 bytes"):
        files.write("a.yaml", "x" * 1_000_001, expected=None, by=ANN)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        files.read("b.yaml")


def test_where_nothing_can_be_written_the_files_say_why(tmp_path: Path) -> None:
    """A package, a single file and another storage are read-only."""
    (tmp_path / "customers.yaml").write_text(DEFINITION)

    def there(location: str, **variables: str) -> DefinitionFiles:
        settings = Settings.load({"SYNC_DEFINITIONS": location})
        return opened(Wiring(settings, lambda: variables), settings, variables)

    assert there(str(tmp_path)).read_only == ""
    deployed = there(str(tmp_path), WEBSITE_SITE_NAME="app")
    assert "container" in deployed.read_only
    assert "folder of the file" in there(str(tmp_path / "customers.yaml")).read_only
    assert "container" in there("s3://bucket/syncs").read_only
    read = deployed.read("customers.yaml")
    assert read is not None
    with pytest.raises(UserError, match="deployed package"):
        deployed.write("customers.yaml", "x", expected=read.version, by=ANN)
