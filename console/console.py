"""What the pages work with: the program, who signs in, and who does the jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from console.access.person import SignIn
from shared.app import App
from shared.app.event_hub.asking import WaitingEvents
from shared.app.event_hub.sending import SendsEvents
from shared.state import Job, JobRequest

__all__ = ["Console"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The console of one process.

    Attributes:
        app: Definitions, state, runs.
        sign_in: Says who sends a request.
        wake: Tells whoever does the jobs that one waits, by its id.
        hosts: Names that the console answers to; None where the platform checks them.
        hub: Takes events; None where this process applies them itself.
        waiting: Knows how many events wait in that hub; None where there is none.
    """

    app: App
    sign_in: SignIn
    wake: Callable[[str], None]
    hosts: Collection[str] | None = None
    hub: SendsEvents | None = None
    waiting: WaitingEvents | None = None

    def ask(self, request: JobRequest, files: Mapping[str, bytes] = MappingProxyType({})) -> Job:
        """Make a job, with its files, and have it begun at once.

        Args:
            request: What it is to do.
            files: Name of a file -> what the job works on.

        Returns:
            The job; an earlier one for the same thing that waits, where there is one.

        Raises:
            RetryLater: The state store is away.
        """
        state = self.app.state
        for name, data in files.items():
            state.put_job_file(request.id, name, data)
        job = state.request_job(request)
        self.wake(job.id)
        return job
