"""Databases for the tests of their reading."""

from __future__ import annotations

from tests.postgresql.fixtures import database, postgresql

__all__ = ["database", "postgresql"]
