"""Manifests: one blob names the blobs that count, and is replaced only where nobody else has replaced it."""

from __future__ import annotations

from typing import Any, Final

from azure.core import MatchConditions

__all__ = ["MANIFEST", "unless_changed"]

MANIFEST: Final = "manifest.json"
"""The name of the blob in its folder."""


def unless_changed(version: str | None) -> dict[str, Any]:
    """The arguments of an upload that replaces only this version of a blob; None for one that is not there yet."""
    if version is None:
        return {"overwrite": False}
    return {"overwrite": True, "etag": version, "match_condition": MatchConditions.IfNotModified}
