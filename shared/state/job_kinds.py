"""What jobs do."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from shared.errors import AbortRun

__all__ = ["RETRY_OF", "TAKEN_BACK", "UNBEGUN_RETRY", "UNDO_OF", "JobKind", "NewerJobError"]

RETRY_OF: Final = "retry_of"
"""The run whose rows a run tried again, in the counts of its row; missing in those of a run of the source."""
UNDO_OF: Final = "undo_of"
"""The run that a run took back, in the counts of its row; missing in those of other runs."""

TAKEN_BACK: Final = "taken-back"
"""The trigger of the row that a request leaves which a person took back: it started nothing and decides no schedule."""

UNBEGUN_RETRY: Final = "retry-not-begun"
"""The trigger of the row of a retry that cannot begin, because its file or its run cannot be used; as above."""


class NewerJobError(AbortRun):
    """A job asks for what only a newer version of the program can do: it waits until that is back."""


class JobKind(StrEnum):
    """What a job does.

    Attributes:
        RUN: A run of the source.
        APPLY: A run that applies exactly the plan of an earlier job, `JobRequest.of`.
        RETRY: A run of the mended rows of an earlier run, `JobRequest.of`.
        UNDO: A run that takes an earlier run back, `JobRequest.of`; `force` sets back what others have changed, too.
        PLAN: Read-only: what a run would do.
        UNDO_PLAN: Read-only: what the undo of an earlier run would do, `JobRequest.of`.
        PREVIEW: Read-only: what a run of the first rows would do, with a definition that need not be saved.
        TEST: Read-only: whether everything exists that a definition needs.
    """

    RUN = "run"
    APPLY = "apply"
    RETRY = "retry"
    UNDO = "undo"
    PLAN = "plan"
    UNDO_PLAN = "undo-plan"
    PREVIEW = "preview"
    TEST = "test"

    @property
    def is_read_only(self) -> bool:
        """Whether it only answers what would happen: it writes nothing, takes no lease of its sync and has no run."""
        return self in {JobKind.PLAN, JobKind.UNDO_PLAN, JobKind.PREVIEW, JobKind.TEST}

    @property
    def about_run(self) -> str:
        """The name of the earlier run in the counts of its runs; empty where it is about none."""
        return {JobKind.RETRY: RETRY_OF, JobKind.UNDO: UNDO_OF}.get(self, "")

    @property
    def has_files(self) -> bool:
        """Whether it works on what a person sent: then no two jobs of it are for the same thing."""
        return self in {JobKind.RETRY, JobKind.PREVIEW, JobKind.TEST}
