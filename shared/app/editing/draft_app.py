"""The app with a text in place of one definition: for checks, tests and previews of what is not saved."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dataverse import RetryPolicy
from shared.definitions import Loaded
from shared.errors import DefinitionError, Problem

if TYPE_CHECKING:
    from shared.app.app import App

__all__ = ["DRAFT", "DraftApp", "with_draft"]

DRAFT = "draft.yaml"
"""The file of a job that has the text of a definition that need not be saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftApp:
    """The app, and what came of the text.

    Attributes:
        app: Finds the text under the name of `loaded`.
        loaded: The definition, or the problems of the text.
    """

    app: App
    loaded: Loaded


def with_draft(app: App, file: str, text: str, *, patience: RetryPolicy | None = None) -> DraftApp:
    """The app with a text in place of a file.

    Args:
        app: The program; it is not changed.
        file: Name of the file; it need not exist.
        text: What the file would hold.
        patience: The retry policy of requests to Dataverse; the default for None.

    Raises:
        DefinitionError: The text is a connection.
    """
    wiring = copy.copy(app.wiring)
    wiring.repository = app.wiring.repository.with_draft(file, text)
    wiring.patience = patience or wiring.patience
    drafted = copy.copy(app)
    drafted.wiring = wiring
    drafted.state = app.state  # opened once for both
    shown = wiring.repository.shown(file)
    for loaded in wiring.repository.loaded():
        if loaded.file == shown:
            return DraftApp(app=drafted, loaded=loaded)
    raise DefinitionError([Problem(message="this is a connection and not a sync", file=shown, path="kind")])
