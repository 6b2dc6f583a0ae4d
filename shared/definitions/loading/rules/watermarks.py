"""Rules about `watermark`: what else a definition must say for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.calculated import is_calculated
from shared.definitions.loading.wording import close_to
from shared.definitions.models.sources import KINDS, SourceModel, WatermarkedSource

__all__ = ["watermarks"]

_Raw = Mapping[str, Any]


def watermarks(document: _Raw) -> Iterator[PathProblem]:
    """A sync that reads only a part of its source must not take the rest for gone, and must compare by key."""
    source, behaviour = document.get("source"), document.get("sync_behaviour")
    if not isinstance(source, dict) or not isinstance(source.get("watermark"), dict):
        return
    if not issubclass(KINDS.get(str(source.get("type")), SourceModel), WatermarkedSource):
        return  # the key is unknown there, which is told already
    yield from _strategy(behaviour if isinstance(behaviour, dict) else {})
    yield from _column(source, source["watermark"].get("column"))


def _strategy(behaviour: _Raw) -> Iterator[PathProblem]:
    strategy, dropped = behaviour.get("strategy", "full"), behaviour.get("dropped", "ignore")
    needed = "a watermark needs strategy: upsert, or strategy: full with dropped: ignore"
    if strategy not in {"full", "upsert"}:
        yield PathProblem(path=("sync_behaviour", "strategy"), message=needed, at_value=True)
    elif strategy == "full" and dropped != "ignore":
        message = f"{needed}: a row that is not read is not gone"
        yield PathProblem(path=("sync_behaviour", "dropped"), message=message, at_value=True)


def _column(source: _Raw, name: object) -> Iterator[PathProblem]:
    """The column is one that is read; without columns, only the source knows."""
    columns = source.get("columns")
    named = [each for each in columns if isinstance(each, dict)] if isinstance(columns, list) else []
    read = [each for each in named if not is_calculated(each)]
    names = [str(each[key]) for each in read for key in ("name", "alias") if each.get(key) is not None]
    if isinstance(name, str) and names and name not in names:
        message = f"no column that is read has this name; {close_to(name, names)}"
        yield PathProblem(path=("source", "watermark", "column"), message=message, at_value=True)
