"""What is checked when the deployed app is loaded: its packages fit the interpreter and can be imported.

The Functions host shows an app's functions as soon as it is indexed. Without this check a package that was built for
another Python version is seen only when a function is called, and then at every call.

This module needs the standard library alone, because it reports that other packages are broken.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from shared.errors import AbortRun

__all__ = ["NEEDED", "check_when_deployed", "import_all", "is_deployed"]

# What the functions use when they are called. Each one loads its dependencies.
NEEDED: Final = (
    "batch_sync.tick",
    "console.deployed",
    "event_sync.handling",
    "shared.jobs.real_time.events",
    "shared.secrets.key_vault",
    "shared.state.azure",
    "shared.state.azure.job_queue",
    "duckdb",
    "azure.identity",
    "adlfs",
)
# Packages with compiled modules whose file names contain the Python version: `_yaml.cpython-313-x86_64-linux-gnu.so`.
_COMPILED: Final = ("pydantic_core", "yaml", "aiohttp")
_TAG: Final = re.compile(r"\.cpython-(\d)(\d+)-")


# Where the app runs: a function app names its site, Container Apps the app or the job.
# https://learn.microsoft.com/azure/container-apps/environment-variables
_PLACES: Final = ("WEBSITE_SITE_NAME", "CONTAINER_APP_NAME", "CONTAINER_APP_JOB_NAME")


def is_deployed(values: Mapping[str, str] | None = None) -> bool:
    """Whether this is Azure: a function app or Container Apps; the Core Tools say Development.

    Args:
        values: What to read instead of the environment.
    """
    found = os.environ if values is None else values
    return any(found.get(name) for name in _PLACES) and found.get("AZURE_FUNCTIONS_ENVIRONMENT") != "Development"


def check_when_deployed() -> None:
    """In Azure, import what the functions need. Elsewhere do nothing: a cold start on a laptop stays short.

    Raises:
        AbortRun: The packages cannot be imported; the message says why and what to do.
    """
    if is_deployed():
        import_all(NEEDED)


def import_all(modules: Iterable[str], *, path: Sequence[str] | None = None) -> None:
    """Import modules.

    Args:
        modules: Dotted names.
        path: Folders to look for compiled modules in when an import fails; `sys.path` when not given.

    Raises:
        AbortRun: One cannot be imported; if the packages were built for another Python version, the message names it.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        # A package for a newer Python may contain syntax that this version cannot read.
        except (ImportError, SyntaxError) as error:
            raise AbortRun(_explained(name, error, sys.path if path is None else path)) from error


def _explained(name: str, error: Exception, path: Sequence[str]) -> str:
    here = sys.version_info[:2]
    built_for = _versions_built_for(path)
    if built_for and here not in built_for:
        versions = " and ".join(f"{major}.{minor}" for major, minor in sorted(built_for))
        return (
            f"The app runs on Python {here[0]}.{here[1]}, but its packages were built for Python {versions}. "
            f"Set the function app's runtime to Python {versions}, or deploy a package that was built for it: "
            "docs/deploy.md, section 'The Python version'."
        )
    return (
        f"{name} cannot be imported ({error}). The deployment is not complete: deploy again, and look at the log of "
        "the remote build."
    )


def _versions_built_for(path: Sequence[str]) -> set[tuple[int, int]]:
    """The Python versions that compiled modules name, in the first folder that has modules of the known packages."""
    for folder in path:
        files = (file.name for package in _COMPILED for file in Path(folder, package).glob("*.so"))
        if versions := {(int(tag[1]), int(tag[2])) for file in files if (tag := _TAG.search(file))}:
            return versions
    return set()
