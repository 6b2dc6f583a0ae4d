"""Rules between keys for dropped and returning records, the ledger, and when values are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.hidden_marks import NOT_EMPTY, NULL, UNKNOWN, hidden_message, hides
from shared.definitions.loading.rules.raw import Raw, mapping_at
from shared.definitions.loading.yaml_loader import Path

__all__ = ["marks", "scopes", "written"]

_BLIND: Final = ("upsert", "delta")  # strategies that do not read the target
_COMPARED: Final = ("if_empty", "unless_edited")
_DROPPED: Final[Path] = ("sync_behaviour", "dropped")
_RETURNED: Final[Path] = ("sync_behaviour", "returned")


def written(document: Raw) -> Iterator[PathProblem]:
    """Policies of mappings that need what is not there."""
    behaviour = mapping_at(document, "sync_behaviour")
    strategy, keys = behaviour.get("strategy", "full"), behaviour.get("sync_key")
    for index, mapping in enumerate(_list(mapping_at(document, "destination").get("mappings"))):
        policy = mapping.get("write") if isinstance(mapping, dict) else None
        if policy not in _COMPARED:
            continue
        path: Path = ("destination", "mappings", index, "write")
        if strategy in _BLIND:
            yield PathProblem(
                path=path,
                message=f"strategy {strategy} does not read the target, so {policy} is not possible: use always or "
                "on_insert",
            )
        elif mapping.get("target") in _list(keys):
            yield PathProblem(path=path, message="a column of the sync key is written always, or on_insert")


def scopes(document: Raw) -> Iterator[PathProblem]:
    """`returned` and `dropped_scope`: what they need of other keys."""
    behaviour = mapping_at(document, "sync_behaviour")
    strategy, dropped = behaviour.get("strategy", "full"), behaviour.get("dropped", "ignore")
    for key, off in (("returned", "ignore"), ("dropped_scope", "all")):
        if behaviour.get(key, off) == off:
            continue
        path = ("sync_behaviour", key)
        if strategy in _BLIND:
            yield PathProblem(path=path, message=f"strategy {strategy} does not read the target, so this has no effect")
        elif dropped == "ignore":
            yield PathProblem(path=path, message="dropped is ignore, so there are no dropped records")
    returned = behaviour.get("returned", "ignore")
    if returned != "ignore" and dropped == "delete":
        yield PathProblem(path=_RETURNED, message="a deleted record has no mark; its row is inserted again")
    if returned == "reactivate" and isinstance(dropped, dict) and "set" in dropped:
        yield PathProblem(
            path=_RETURNED, message="reactivate goes with deactivate and expire; write returned: {set: …} for a set"
        )


def marks(document: Raw) -> Iterator[PathProblem]:
    """Marks that would be set in each run, that events cannot set, or that the filter hides."""
    behaviour = mapping_at(document, "sync_behaviour")
    dropped = behaviour.get("dropped")
    for path, rule in ((_DROPPED, dropped), (_RETURNED, behaviour.get("returned"))):
        for name, expression in _set(rule).items():
            if isinstance(expression, str):
                yield from _expression(document, (*path, "set", name), expression)
    yield from _of_the_key(behaviour)
    condition = mapping_at(document, "destination").get("filter")
    for key in ("dropped", "returned"):
        mark = _mark(behaviour.get(key))
        if isinstance(condition, str) and mark and hides(condition, mark):
            yield PathProblem(path=("destination", "filter"), message=hidden_message(key, mark))


def _of_the_key(behaviour: Raw) -> Iterator[PathProblem]:
    """A mark that gives a record another sync key."""
    keys = [name for name in _list(behaviour.get("sync_key")) if isinstance(name, str)]
    for path, rule in ((_DROPPED, behaviour.get("dropped")), (_RETURNED, behaviour.get("returned"))):
        for name in keys:
            if name in _mark(rule):
                yield PathProblem(
                    path=_place_of(path, rule, name),
                    message=f"{name} is a column of the sync key: a record that gets another key is not found again, "
                    "so a row that returns would be inserted a second time; set another column",
                )


def _place_of(path: Path, rule: object, name: str) -> Path:
    if not isinstance(rule, dict):
        return path
    return (*path, "set", name) if name in _set(rule) else (*path, next(iter(rule)))


_QUOTED: Final = re.compile(r"'(?:[^']|'')*'")
_TARGET: Final = re.compile(r'(?<![\w."])target\s*\.', re.IGNORECASE)
_PARAMETER: Final = re.compile(r"@([A-Za-z_]\w*)")
_VARYING: Final = re.compile(r"\s*(?:GUID|NOW)\s*\(", re.IGNORECASE)


def _expression(document: Raw, path: Path, expression: str) -> Iterator[PathProblem]:
    text = _QUOTED.sub("''", expression)
    if mapping_at(document, "sync_behaviour").get("strategy") == "upsert" and _TARGET.search(text):
        yield PathProblem(
            path=path, message="strategy upsert does not read the target, so the expression cannot name its columns"
        )
    for name in _PARAMETER.findall(text):
        formula = mapping_at(document, "parameters", name).get("formula")
        if isinstance(formula, str) and _VARYING.match(formula):
            yield PathProblem(
                path=path, message=f"@{name} has another value in each run, so each run would write the mark again"
            )


def _mark(dropped: object) -> dict[str, str]:
    """Column -> the value that the mark gives it."""
    if dropped == "deactivate":
        return {"statecode": "1", "statuscode": UNKNOWN}
    if isinstance(dropped, dict) and isinstance(dropped.get("expire"), str):
        return {dropped["expire"]: NOT_EMPTY}
    columns = {name: _constant(value) for name, value in _set(dropped).items()}
    if "statecode" in columns:
        columns.setdefault("statuscode", UNKNOWN)  # the service sets the default of the state
    return columns


_CONSTANT: Final = re.compile(r"'(?:[^']|'')+'|-?[0-9]+(?:\.[0-9]+)?|true|false|null", re.IGNORECASE)


def _constant(expression: object) -> str:
    text = str(expression).strip()
    if not _CONSTANT.fullmatch(text):
        return UNKNOWN
    return NULL if text.lower() == NULL else text


def _set(rule: object) -> dict[str, Any]:
    columns = rule.get("set") if isinstance(rule, dict) else None
    return (
        {name: value for name, value in columns.items() if isinstance(name, str)} if isinstance(columns, dict) else {}
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
