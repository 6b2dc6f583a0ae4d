"""What `make demo` shows: a local Dataverse, a messy customer file, and the main job from plan to nothing left to do."""

__all__: list[str] = []
