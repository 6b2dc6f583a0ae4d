"""Rules about `watermark`: what else a definition must say for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.definitions.loading.located import PathProblem
from shared.definitions.loading.rules.calculated import is_calculated
from shared.definitions.loading.rules.raw import Raw
from shared.definitions.loading.wording import close_to
from shared.definitions.models.names import names_in
from shared.definitions.models.sources import KINDS, SourceModel, WatermarkedSource
from shared.definitions.models.sources.watermark import WATERMARK

__all__ = ["watermarks"]

_WITHOUT_ORDER: Final = ("bool", "json")
# Keys about values in another notation than the one that is sent to the service again.
_NOTATION: Final = ("input_format", "decimal_separator", "thousands_separator", "strip")


def watermarks(document: Raw) -> Iterator[PathProblem]:
    """A sync that reads only a part of its source must not take the rest for gone, and must compare by key."""
    source, behaviour = document.get("source"), document.get("sync_behaviour")
    if not isinstance(source, dict) or not isinstance(source.get("watermark"), dict):
        return
    if not issubclass(KINDS.get(str(source.get("type")), SourceModel), WatermarkedSource):
        return  # the key is unknown there, which is told already
    yield from _strategy(behaviour if isinstance(behaviour, dict) else {})
    yield from _column(source, source["watermark"].get("column"))
    if source.get("type") == "rest":
        yield from _sent(source)
        yield from _notation(source, source["watermark"].get("column"))


def _strategy(behaviour: Raw) -> Iterator[PathProblem]:
    strategy, dropped = behaviour.get("strategy", "full"), behaviour.get("dropped", "ignore")
    needed = "a watermark needs strategy: upsert, or strategy: full with dropped: ignore"
    if strategy not in {"full", "upsert"}:
        yield PathProblem(path=("sync_behaviour", "strategy"), message=needed, at_value=True)
    elif strategy == "full" and dropped != "ignore":
        message = f"{needed}: a row that is not read is not gone"
        yield PathProblem(path=("sync_behaviour", "dropped"), message=message, at_value=True)


def _column(source: Raw, name: object) -> Iterator[PathProblem]:
    """The column is one that is read; without columns, only the source knows."""
    columns = source.get("columns")
    named = [each for each in columns if isinstance(each, dict)] if isinstance(columns, list) else []
    read = [each for each in named if not is_calculated(each)]
    names = [str(each[key]) for each in read for key in ("name", "alias") if each.get(key) is not None]
    if isinstance(name, str) and names and name not in names:
        message = f"no column that is read has this name; {close_to(name, names)}"
        yield PathProblem(path=("source", "watermark", "column"), message=message, at_value=True)


def _sent(source: Raw) -> Iterator[PathProblem]:
    """A service that is not asked for what is past the watermark gives all records in each run."""
    headers = source.get("headers")
    texts = [source.get("url"), source.get("body"), *(headers.values() if isinstance(headers, dict) else ())]
    if not any(WATERMARK in names_in(text) for text in texts if isinstance(text, str)):
        message = (
            f"@{WATERMARK} is not in url, headers or body: the service must be asked for the records that are past "
            f"it, such as with url: …?changed_since=@{WATERMARK}"
        )
        yield PathProblem(path=("source", "watermark"), message=message)


def _notation(source: Raw, name: object) -> Iterator[PathProblem]:
    """Values without an order, or with a notation of their own, which have none as they are sent."""
    columns = source.get("columns")
    for index, column in enumerate(columns if isinstance(columns, list) else ()):
        if not isinstance(column, dict) or name not in (column.get("name"), column.get("alias")):
            continue
        if column.get("type") in _WITHOUT_ORDER:
            message = "the watermark needs a number, a date or a text"
            yield PathProblem(path=("source", "columns", index, "type"), message=message, at_value=True)
        for key in _NOTATION:
            if column.get(key) is not None:
                message = "the watermark needs values such as 2024-01-31T12:00:00Z or 12.5: remove this key"
                yield PathProblem(path=("source", "columns", index, key), message=message)
