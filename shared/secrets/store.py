"""The protocol of a secret store."""

from __future__ import annotations

from typing import Protocol

__all__ = ["SecretStore"]


class SecretStore(Protocol):
    """Gives secrets by name. May be called from any thread; values are never logged, stored or put into messages."""

    def get(self, name: str, *, fresh: bool = False) -> str:
        """The current value of a secret.

        Args:
            name: The name in the definition's reference.
            fresh: Ask the source again even where a value is at hand: the one at hand was refused, so it may have been
                rotated.

        Raises:
            UserError: There is no such secret, or the settings do not name a vault.
            AbortRun: The app may not read it.
            RetryLater: The store is unavailable.
        """
