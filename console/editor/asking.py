"""Questions about a draft as jobs: a test of its connection, and a preview of its first rows."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from console.editor.draft import Draft
from console.web.visit import Visit
from shared.app.editing.draft_app import DRAFT
from shared.app.editing.questions import ABOUT, MOST_ROWS, asked_by
from shared.app.requested import ANSWER
from shared.state import Job, JobKind, JobRequest

__all__ = ["DRAFT_ACTIONS", "answer_of", "ask", "waited_for"]

_ACTIONS: Final = {kind: f"asked for a {kind.value} of a draft" for kind in (JobKind.PREVIEW, JobKind.TEST)}
DRAFT_ACTIONS: Final = frozenset(_ACTIONS.values())
"""What the audit log says of questions about drafts, whose syncs may never have been saved."""
_LOOK: Final = 0.1  # seconds between two looks for an answer


def ask(visit: Visit, sync: str, draft: Draft, kind: JobKind, rows: int = 10) -> Job:
    """Ask a question about a draft.

    Args:
        visit: Who asks.
        sync: The sync whose rights were checked.
        draft: The draft.
        kind: What is asked: a preview or a test.
        rows: Of a preview: how many rows.
    """
    about = {"file": draft.file, "rows": max(1, min(rows, MOST_ROWS)), "by": visit.person.id}
    # Another text, number of rows or person is another question: two of them that wait are not one.
    of = hashlib.sha256(json.dumps([draft.text, about]).encode()).hexdigest()[:32]
    request = JobRequest(
        id=uuid.uuid4().hex,
        sync=sync,
        requested=datetime.now(UTC),
        requested_by=visit.person.name,
        kind=kind,
        of=of,
    )
    visit.note(_ACTIONS[kind], sync=sync)
    return visit.console.ask(request, {DRAFT: draft.text.encode(), ABOUT: json.dumps(about).encode()})


def waited_for(visit: Visit, sync: str, job_id: str, seconds: float) -> Mapping[str, Any] | None:
    """The answer to a question, if it comes soon enough; see `answer_of`."""
    end = time.monotonic() + seconds
    while (found := answer_of(visit, sync, job_id)) is None and time.monotonic() < end:
        time.sleep(_LOOK)
    return found


def answer_of(visit: Visit, sync: str, job_id: str) -> Mapping[str, Any] | None:
    """The answer to a question of the person about a sync; None while there is none.

    Returns:
        The answer; with `failed`, why it could not be answered, and how far it is with `progress`.
    """
    state = visit.app.state
    job = state.job(job_id)
    # The page names the job: that of another person may be about a sync that this one may not see.
    if job is None or job.request.sync != sync or asked_by(visit.app, job.request) != visit.person.id:
        return {"failed": "The question is not there any more: ask again."}
    if job.ended is None:
        return None
    if job.message:
        return {"failed": job.message}
    found: dict[str, Any] = json.loads(state.job_file(job_id, ANSWER) or b"{}")
    return found
