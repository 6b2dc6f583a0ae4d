"""Writes on the condition that nobody else has written, and the manifests that rest on them.

A manifest is one blob that names the blobs that count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions

if TYPE_CHECKING:
    from azure.data.tables import TableEntity

__all__ = ["MANIFEST", "if_unchanged", "part_names", "tag_of", "unchanged", "unless_changed"]

MANIFEST: Final = "manifest.json"
"""The name of the blob in its folder."""


def tag_of(entity: TableEntity | None) -> str:
    """The tag of an entity that was read; empty for a missing one."""
    return str(entity.metadata["etag"]) if entity else ""


def if_unchanged(entity: TableEntity) -> dict[str, Any]:
    """An entity that was read, with the `condition` of its deletion: that it has not changed since."""
    return {**entity, "condition": unchanged(tag_of(entity))}


def unchanged(tag: str) -> dict[str, Any]:
    """Options of a request that is refused unless the row or blob has this tag."""
    return {"etag": tag, "match_condition": MatchConditions.IfNotModified}


def part_names(paths: Iterable[str]) -> tuple[str, ...]:
    """The names of the parts among the blobs of one folder, in their order."""
    names = (path.rpartition("/")[2] for path in paths)
    return tuple(name for name in names if name != MANIFEST)


def unless_changed(version: str | None) -> dict[str, Any]:
    """The arguments of an upload that replaces only this version of a blob; None for one that is not there yet."""
    if version is None:
        return {"overwrite": False}
    return {"overwrite": True, **unchanged(version)}
