"""Rules between the keys of `post_sync`: what each step does, and what else the definition must say for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.raw import Raw
from shared.definitions.loading.rules.rest import request_problems
from shared.definitions.loading.yaml_loader import Path
from shared.definitions.models.database_sql import statement_problem
from shared.definitions.models.post_sync import STEP_KINDS

__all__ = ["steps_after"]

_ONE_KIND: Final = f"a step has exactly one of {', '.join(STEP_KINDS[:-1])} and {STEP_KINDS[-1]}"


def steps_after(document: Raw) -> Iterator[PathProblem]:
    """Every problem between the keys of the steps."""
    steps = document.get("post_sync")
    if not isinstance(steps, list) or not steps:
        return
    yield from _of_definition(document)
    names: dict[str, int] = {}
    for number, step in enumerate(steps):
        if not isinstance(step, dict):
            continue
        place: Path = ("post_sync", number)
        yield from _kind(step, place)
        yield from _parts(step, place)
        name = step.get("name")
        if isinstance(name, str) and (first := names.setdefault(name.lower(), number)) != number:
            message = "two steps have this name, {both}; upper and lower case are the same: rename one"
            yield PathProblem(path=(*place, "name"), message=message, first=("post_sync", first, "name"))


def _of_definition(document: Raw) -> Iterator[PathProblem]:
    source, parameters = document.get("source"), document.get("parameters")
    if isinstance(source, dict) and source.get("type") == "events":
        message = "a sync with a source of events has no batch run, and steps run only after a batch run"
        yield PathProblem(path=("post_sync",), message=message)
    if isinstance(parameters, dict) and "run" in parameters:
        message = "@run is the run itself in a definition with post_sync: give this parameter another name"
        yield PathProblem(path=("parameters", "run"), message=message)


def _kind(step: Raw, place: Path) -> Iterator[PathProblem]:
    kinds = [kind for kind in STEP_KINDS if step.get(kind) is not None]
    if not kinds:
        yield PathProblem(path=place, message=_ONE_KIND)
    for kind in kinds[1:]:
        yield PathProblem(path=(*place, kind), message=f"{_ONE_KIND}; this one has {kinds[0]} already")
    for key in ("bound_to", "body"):
        if step.get(key) is not None and step.get("action") is None:
            inside = "; write the body of a request below http" if key == "body" and "http" in kinds else ""
            yield PathProblem(path=(*place, key), message=f"only a step with action has {key}{inside}")


def _parts(step: Raw, place: Path) -> Iterator[PathProblem]:
    sql, http = step.get("sql"), step.get("http")
    if isinstance(sql, dict) and isinstance(text := sql.get("statement"), str) and (message := statement_problem(text)):
        yield PathProblem(path=(*place, "sql", "statement"), message=message, at_value=True)
    if isinstance(http, dict):
        yield from request_problems(http, (*place, "http"))
