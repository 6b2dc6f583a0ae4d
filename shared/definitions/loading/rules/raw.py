"""Parts of a raw document. It may have mistakes, so a part of another kind counts as missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.definitions.loading.yaml_loader import Path

__all__ = ["Raw", "items_at", "mapping_at", "texts_at"]

Raw = Mapping[str, Any]


def mapping_at(document: Raw, *keys: str) -> Raw:
    """The mapping at a path; empty if there is none."""
    value: Any = document
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, dict) else {}


def items_at(document: Raw, *keys: str) -> Iterator[tuple[Path, Raw]]:
    """The mappings of the list at a path, each with its path."""
    return ((path, value) for path, value in _entries(document, *keys) if isinstance(value, dict))


def texts_at(document: Raw, *keys: str) -> Iterator[tuple[Path, str]]:
    """The texts of the list at a path, each with its path."""
    return ((path, value) for path, value in _entries(document, *keys) if isinstance(value, str))


def _entries(document: Raw, *keys: str) -> Iterator[tuple[Path, object]]:
    values = mapping_at(document, *keys[:-1]).get(keys[-1])
    for index, value in enumerate(values if isinstance(values, list) else ()):
        yield (*keys, index), value
