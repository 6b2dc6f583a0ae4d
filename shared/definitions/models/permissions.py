"""Who may do what with a sync in the console and its API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.definitions.models.base import Model

__all__ = ["Permissions"]

_MOST = 100  # entries of a level: a person has a few roles and groups

Entries = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    Field(max_length=_MOST),
]


class Permissions(Model):
    """App roles, and object ids of Entra groups and people, by what they may do with the sync."""

    admin: Entries = Field(
        default=(),
        description="May do everything, also change `permissions`, connections, references to secrets, hosts and "
        "`post_sync`.",
    )
    execute: Entries = Field(
        default=(), description="May start, cancel and undo runs, plan, apply plans, retry rows and replay events."
    )
    write: Entries = Field(default=(), description="May change the definition, but for what only `admin` may change.")
    read: Entries = Field(default=(), description="May see values of rows, which are masked for all others.")
