"""Azurite and PostgreSQL for the contract tests."""

from __future__ import annotations

from tests.azurite.fixtures import azurite, azurite_by_identity, identity_account, identity_cloud, storage_account
from tests.postgresql.fixtures import database, postgresql

__all__ = [
    "azurite",
    "azurite_by_identity",
    "database",
    "identity_account",
    "identity_cloud",
    "postgresql",
    "storage_account",
]
