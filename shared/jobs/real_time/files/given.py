"""The files that a person names, as batches of events: found, told apart by their content, and put in order."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, cast

from shared.errors import UserError
from shared.events import Message
from shared.events.avro import MAGIC
from shared.jobs.real_time.files.capture import Stream, captured, stream_in, written_at
from shared.jobs.real_time.files.json_values import messages_in
from shared.remote import OpenUrl
from shared.sources.files import InputFile, find_files

__all__ = ["STANDARD_INPUT", "EventFilePlace", "messages_of"]

STANDARD_INPUT: Final = "-"
_ENDING: Final = ".avro"  # of the files that a folder means


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A file.

    Attributes:
        name: What it is called in errors.
        stream: The partition whose sequence numbers its events have.
        file: None for standard input.
        standard_input: What to read then.
        captured: Event Hubs Capture wrote it; otherwise it has JSON values.
        first: The first sequence number of a captured file; -1 where it has no event.
        damaged: A captured file whose first event cannot be read.
    """

    name: str
    stream: Stream
    file: InputFile | None = None
    standard_input: io.BufferedReader | None = None
    captured: bool = False
    first: int = -1
    damaged: bool = False

    @contextmanager
    def content(self) -> Iterator[io.BufferedReader]:
        if self.file is None:
            assert self.standard_input is not None  # noqa: S101 - it is one or the other
            yield self.standard_input
        else:
            with self.file.content() as content:
                yield cast("io.BufferedReader", content)

    def messages(self) -> Iterator[Message]:
        with self.content() as content:
            if self.captured:
                yield from captured(content, name=self.name, stream=self.stream)
            else:
                yield from messages_in(content, name=self.name, stream=self.stream.partition)

    def told(self, known: Stream | None) -> _Given:
        """The file with what its beginning and its name say.

        Args:
            known: The partition of a captured file whose name does not say it; None if nobody knows it.
        """
        with self.content() as content:
            if content.peek(len(MAGIC))[: len(MAGIC)] != MAGIC:
                return self
            stream = stream_in(self.name) or known or self.stream
            if self.file is None:
                return replace(self, captured=True, stream=stream)
            return replace(self, captured=True, stream=stream).begun(content)

    def begun(self, content: io.BufferedReader) -> _Given:
        """The captured file with its first sequence number.

        What is wrong with its first event is an error when its turn comes: the events of the files before it are given.
        """
        try:
            first = next(captured(content, name=self.name, stream=self.stream), None)
        except UserError:
            return replace(self, damaged=True)
        return replace(self, first=first.sequence if first else -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilePlace:
    """Where the files are.

    Attributes:
        feeding: Names this feeding: events without a position in a hub are new ones under another name.
        standard_input: Gives what `-` is.
        open_url: Opens URLs.
        partition: The partition of captured files whose names do not say it; None if nobody knows it.
    """

    feeding: str
    standard_input: Callable[[], io.BufferedReader]
    open_url: OpenUrl
    partition: Stream | None = None


def messages_of(names: Iterable[str], place: EventFilePlace) -> Iterator[Message]:
    """The events of files: those of Capture by partition and sequence number, then the others in the order given.

    Args:
        names: Paths, URLs, patterns or folders; `-` is standard input.
        place: Where they are.

    Raises:
        UserError: A file is missing or cannot be read; from some event on, where it says so.
    """
    given = [each.told(place.partition) for each in _found(names, place)]
    for each in (*_ordered([each for each in given if each.captured]), *(each for each in given if not each.captured)):
        yield from each.messages()


def _ordered(files: Sequence[_Given]) -> list[_Given]:
    """Files of Capture by partition and sequence number.

    The first number of a damaged file is not known. It comes behind the files that were written before it, by the times
    in their paths, or that were given before it: reading ends there, so that no later event is applied first.
    """
    numbers = [_first_behind(files, own) if each.damaged else each.first for own, each in enumerate(files)]
    ordered = sorted(zip(files, numbers, strict=True), key=lambda pair: (pair[0].stream, pair[1], pair[0].damaged))
    return [each for each, _ in ordered]


def _first_behind(files: Sequence[_Given], own: int) -> int:
    """The highest first number of the files that a damaged one comes behind; -1 for none."""
    before = (
        other.first for place, other in enumerate(files) if _comes_before(other, files[own], given_before=place < own)
    )
    return max(before, default=-1)


def _comes_before(other: _Given, damaged: _Given, *, given_before: bool) -> bool:
    if other.damaged or other.stream != damaged.stream:
        return False
    written, here = written_at(other.name), written_at(damaged.name)
    return written < here if written and here else given_before


def _found(names: Iterable[str], place: EventFilePlace) -> Iterator[_Given]:
    """The files, each with a stream of its own."""
    number = 0
    for name in names:
        if name == STANDARD_INPUT:
            stream = Stream("", f"{place.feeding}-{number}")
            yield _Given(name="standard input", stream=stream, standard_input=place.standard_input())
            number += 1
            continue
        for file in find_files(name, place.open_url, ending=_ENDING):
            yield _Given(name=file.name, stream=Stream("", f"{place.feeding}-{number}"), file=file)
            number += 1
