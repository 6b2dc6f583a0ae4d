"""The check of the hosts of steps before a run: those that it may not reach."""

from __future__ import annotations

from collections.abc import Iterator

from shared.definitions import SyncDefinition
from shared.errors import Problem
from shared.sources import SourceContext
from shared.sources.rest.reachable import unreachable_api

__all__ = ["unreachable_steps"]


def unreachable_steps(definition: SyncDefinition, context: SourceContext) -> Iterator[Problem]:
    """The addresses of HTTP steps that a run would refuse; those that only a run knows are left out.

    Args:
        definition: Has the steps.
        context: Parameters, connections, and the hosts that may be reached.

    Raises:
        UserError: There is no such connection, or only a run knows its name.
    """
    for number, step in enumerate(definition.post_sync):
        if step.http is not None:
            yield from unreachable_api(step.http, context, f"post_sync[{number}].http")
