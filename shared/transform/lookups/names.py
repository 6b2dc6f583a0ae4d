"""The columns that a lookup matches, by the names that a definition gives them."""

from __future__ import annotations

from typing import Final

from shared.entities import EntityMetadata

__all__ = ["ID", "match_columns"]

ID: Final = "id"  # in `match`: the primary key, whatever its name


def match_columns(entity: EntityMetadata, match: str | tuple[str, ...]) -> tuple[str, ...]:
    """The columns that `match` names: itself, those of an alternate key, or the primary key for `id`."""
    if isinstance(match, tuple):
        return tuple(entity.primary_id if name == ID else name for name in match)
    if match == ID:
        return (entity.primary_id,)
    if match in entity.attributes:
        return (match,)
    key = next((key for key in entity.keys if key.name == match), None)
    return key.columns if key is not None else (match,)
