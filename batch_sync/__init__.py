"""The timer trigger: runs the batch syncs that are due."""

__all__: list[str] = []
