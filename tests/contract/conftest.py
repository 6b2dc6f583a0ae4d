"""Azurite for the contract tests."""

from __future__ import annotations

from tests.azurite.fixtures import azurite, azurite_by_identity, identity_account, identity_cloud, storage_account

__all__ = ["azurite", "azurite_by_identity", "identity_account", "identity_cloud", "storage_account"]
