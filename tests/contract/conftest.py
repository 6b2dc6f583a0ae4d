"""Azurite for the contract tests."""

from __future__ import annotations

from tests.azurite.fixtures import azurite, storage_account

__all__ = ["azurite", "storage_account"]
