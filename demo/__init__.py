"""What `make demo` shows: a local Dataverse, a messy customer file, the main job, and nothing left to do."""

__all__: list[str] = []
