"""Databases for the tests of statements after the sync."""

from __future__ import annotations

from tests.postgresql.fixtures import database, postgresql

__all__ = ["database", "postgresql"]
