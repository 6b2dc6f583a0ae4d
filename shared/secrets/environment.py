"""Secrets in environment variables (and `local.settings.json`), for work on a laptop."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.errors import UserError

__all__ = ["EnvironmentSecrets"]


class EnvironmentSecrets:
    """Secrets by the name of their environment variable.

    Args:
        read: Gives the environment as it is now, such as `shared.settings.environment`.
    """

    def __init__(self, read: Callable[[], Mapping[str, str]]) -> None:
        self._read = read

    def get(self, name: str, *, fresh: bool = False) -> str:  # noqa: ARG002 - the environment is always fresh
        """See `SecretStore.get`."""
        value = self._read().get(name, "")
        if not value:
            raise UserError(
                f"The secret {{env: {name}}} is not set: set the environment variable {name}, "
                "or add it to Values in local.settings.json"
            )
        return value
