"""Edits of a definition's YAML: what was not edited stays as it is, byte for byte, with its comments."""

from __future__ import annotations

from shared.drafts.editing.differences import differences
from shared.drafts.editing.edits import Edit, Insert, Move, Remove, Rename, Set
from shared.drafts.editing.texts import EditRefusedError, edited, rewritten

__all__ = [
    "Edit",
    "EditRefusedError",
    "Insert",
    "Move",
    "Remove",
    "Rename",
    "Set",
    "differences",
    "edited",
    "rewritten",
]
