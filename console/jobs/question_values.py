"""The answer to a question about a draft as the API shows it."""

from __future__ import annotations

import json
from typing import Any, Final

from console.access.rights import Level
from console.web.visit import Visit
from shared.app.editing.questions import asked_by
from shared.app.requested import ANSWER
from shared.state import Job, JobKind, RunState
from shared.views.pages.masking import masked_plan

__all__ = ["shown_answer"]

_QUESTIONS: Final = (JobKind.PREVIEW, JobKind.TEST)


def shown_answer(visit: Visit, job: Job) -> dict[str, Any] | None:
    """The answer of a preview or of a test, for whoever asked, as in the editor.

    Returns:
        Of a preview what `plan --json` prints and the numbers of `previewed`, masked unless the person may see values;
        of a test what `test-connection --json` prints. None for every other job, while there is no answer, if it is not
        there any more, and for everybody else: a draft may name what only its author knows.
    """
    if job.request.kind not in _QUESTIONS or job.state != RunState.SUCCEEDED:
        return None
    if asked_by(visit.app, job.request) != visit.person.id:
        return None
    kept = visit.app.state.job_file(job.id, ANSWER)
    if kept is None:
        return None
    answer: dict[str, Any] = json.loads(kept)
    is_masked = job.request.kind is JobKind.PREVIEW and not visit.may(Level.READ)
    return masked_plan(answer) if is_masked else answer
