"""What the deployed app checks when it is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shared.deployment import NEEDED, import_all, is_deployed
from shared.errors import AbortRun

ROOT = Path(__file__).parents[2]


def test_everything_that_the_functions_need_can_be_imported() -> None:
    """Each name is a module of this program or of the deployment's lock."""
    program = f"from shared.deployment import import_all; import_all({NEEDED!r})"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_a_package_for_another_python_is_named_with_both_versions(tmp_path: Path) -> None:
    """The first folder that has compiled packages decides, not one behind it."""
    for folder, tag in (("app", "399"), ("host", f"{sys.version_info[0]}{sys.version_info[1]}")):
        place = tmp_path / folder / "pydantic_core"
        place.mkdir(parents=True)
        (place / f"_core.cpython-{tag}-x86_64-linux-gnu.so").touch()
    here = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(AbortRun, match=rf"runs on Python {here}, but its packages were built for Python 3\.99\."):
        import_all(["no_such_module"], path=[str(tmp_path / "empty"), str(tmp_path / "app"), str(tmp_path / "host")])


def test_a_missing_package_is_named() -> None:
    """Where the versions agree, the deployment is incomplete."""
    with pytest.raises(AbortRun, match=r"no_such_module cannot be imported .* deploy again"):
        import_all(["no_such_module"])


def test_code_for_a_newer_python_is_an_error_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Syntax that this interpreter does not know is reported like a missing package."""
    (tmp_path / "newer_module.py").write_text("x = = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AbortRun, match="newer_module cannot be imported"):
        import_all(["newer_module"])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"WEBSITE_SITE_NAME": "func-x"}, True),
        ({"CONTAINER_APP_NAME": "app-x"}, True),
        ({"CONTAINER_APP_JOB_NAME": "job-x"}, True),
        ({"WEBSITE_SITE_NAME": "func-x", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}, False),
    ],
)
def test_azure_names_the_site(values: dict[str, str], *, expected: bool) -> None:
    """Elsewhere, and in the Core Tools, nothing is imported ahead."""
    assert is_deployed(values) is expected
