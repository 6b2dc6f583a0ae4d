"""Databases for the tests of `sql` sources."""

from __future__ import annotations

from tests.postgresql.fixtures import database, postgresql

__all__ = ["database", "postgresql"]
