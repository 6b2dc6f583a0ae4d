"""Ids of runs as people see and type them."""

from __future__ import annotations

from typing import Final

__all__ = ["SHORT_ID"]

SHORT_ID: Final = 10
"""Characters that are enough to name a run: commands take the beginning of an id."""
