"""Where secrets come from: Key Vault in Azure, environment variables on a laptop."""

from __future__ import annotations

from shared.secrets.store import SecretStore

__all__ = ["SecretStore"]
