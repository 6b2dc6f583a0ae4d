"""The core of Dynamics Sync: everything that batch and real-time syncs, and the command line, have in common."""

__all__: list[str] = []
