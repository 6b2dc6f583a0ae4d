"""Manifests: one blob names the blobs that count, and is replaced only where nobody else has replaced it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from azure.core import MatchConditions

__all__ = ["MANIFEST", "part_names", "unless_changed"]

MANIFEST: Final = "manifest.json"
"""The name of the blob in its folder."""


def part_names(paths: Iterable[str]) -> tuple[str, ...]:
    """The names of the parts among the blobs of one folder, in their order."""
    names = (path.rpartition("/")[2] for path in paths)
    return tuple(name for name in names if name != MANIFEST)


def unless_changed(version: str | None) -> dict[str, Any]:
    """The arguments of an upload that replaces only this version of a blob; None for one that is not there yet."""
    if version is None:
        return {"overwrite": False}
    return {"overwrite": True, "etag": version, "match_condition": MatchConditions.IfNotModified}
