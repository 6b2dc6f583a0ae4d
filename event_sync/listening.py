"""What real time needs of the app: who listens, and the tools that are kept between invocations."""

from __future__ import annotations

from functools import lru_cache, partial

from shared.app import App
from shared.jobs.events import EventSync, EventTools, Listeners, WarmWorkspace

__all__ = ["listeners", "tools"]


def listeners(app: App) -> Listeners:
    """The syncs that listen, as their definitions are now."""
    loaded = app.definitions()
    return Listeners(
        syncs=tuple(
            EventSync(definition=definition, resolve=partial(app.parameters, definition, {}))
            for each in loaded
            if (definition := each.definition) is not None and definition.listener and definition.listener.enabled
        ),
        complete=all(each.definition is not None for each in loaded),
    )


@lru_cache(maxsize=1)
def tools(app: App) -> EventTools:
    """The tools of this process: environments, open workspaces and metadata outlive an invocation."""
    # A batch is a few hundred rows: more threads would only wait for each other.
    open_workspace = partial(
        WarmWorkspace.open,
        memory_limit=app.settings.workspace_memory,
        temp_folder=app.settings.workspace_temp or None,
        threads=1,
    )
    return EventTools.wired(app.state, app.dataverse, open_workspace)
