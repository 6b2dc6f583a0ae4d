"""What the path of a request is about: a sync, and with it what the person may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.access.person import ADMIN, Person
from console.access.rights import Level, levels_of
from console.console import Console
from shared.app.editing.questions import asked_by
from shared.definitions import Loaded

__all__ = ["Subject", "levels_for", "subject_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A sync as a person may see it.

    Attributes:
        name: The sync's name.
        loaded: Its file; None where it has no definition any more, but runs, or none yet, but a question.
        levels: What the person may do with it; not empty.
    """

    name: str
    loaded: Loaded | None
    levels: frozenset[Level]


def subject_of(path: Mapping[str, Any], person: Person, console: Console) -> Subject | None:
    """The sync of a path: by its name, or of its run or job; None where there is none, or no right to it.

    Whoever asked a question about a draft sees its job also before the sync is saved, when it has no permissions yet.

    Args:
        path: The parameters of the path: `sync`, `run` or `job`.
        person: Who asks.
        console: Has the definitions and the state.
    """
    name = _name(path, console)
    if name is None:
        return None
    loaded = next((each for each in console.app.definitions() if each.name == name), None)
    if loaded is None and ("sync" in path or not person.has(ADMIN)):
        levels = _levels_of_question(path, person, console)
        return Subject(name=name, loaded=None, levels=levels) if levels else None
    levels = levels_for(person, loaded)
    return Subject(name=name, loaded=loaded, levels=levels) if levels else None


def levels_for(person: Person, loaded: Loaded | None) -> frozenset[Level]:
    """What a person may do with the sync of a file; without a usable definition that is for `Sync.Admin` alone."""
    definition = loaded.definition if loaded else None
    return levels_of(person, definition.permissions if definition else None)


def _levels_of_question(path: Mapping[str, Any], person: Person, console: Console) -> frozenset[Level]:
    job = console.app.state.job(str(path["job"])) if "job" in path else None
    is_own = job is not None and asked_by(console.app, job.request) == person.id
    return frozenset({Level.READ}) if is_own else frozenset()


def _name(path: Mapping[str, Any], console: Console) -> str | None:
    state = console.app.state
    if "sync" in path:
        return str(path["sync"])
    if "run" in path:
        run = state.run(str(path["run"]))
        return run.sync if run else _of_job(str(path["run"]), console)
    return _of_job(str(path["job"]), console)


def _of_job(job_id: str, console: Console) -> str | None:
    job = console.app.state.job(job_id)
    return job.request.sync if job else None
