"""Schemas of Avro bodies: read from the files that listeners name, kept, and read again when they have changed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shared.dataverse import Clock, SystemClock
from shared.errors import Problem, UserError
from shared.events import Undecodable
from shared.events.avro import LARGEST_SCHEMA, AvroError, Schema
from shared.remote import OpenUrl, is_remote, open_without_account
from shared.sources.files import find_files

__all__ = ["Schemas"]

log = logging.getLogger(__name__)

_FRESH: Final = 60.0  # seconds: a remote file is not asked for with every batch


@dataclass(frozen=True, slots=True)
class _Kept:
    """A schema, or why there is none.

    Attributes:
        read: When the file was read, by the monotonic clock.
        version: What says that a local file has not changed.
    """

    schema: Schema | Undecodable
    read: float
    version: object


@dataclass(slots=True)
class Schemas:
    """The schemas of a process.

    Attributes:
        open_url: Opens the URL of a schema.
    """

    open_url: OpenUrl = open_without_account
    clock: Clock = field(default_factory=SystemClock)
    _kept: dict[str, _Kept] = field(default_factory=dict)

    def of(self, path: str) -> Schema | Undecodable:
        """The schema in a file, or why it cannot be used.

        A local file is read again when its time or size has changed, a remote one after a minute. If it cannot be read
        then, the schema as it was is used.
        """
        kept, version = self._kept.get(path), _version(path)
        if kept is not None and kept.version == version and self.clock.monotonic() - kept.read < _fresh(path, kept):
            return kept.schema
        found = self._read(path)
        if isinstance(found, Undecodable) and kept is not None and isinstance(kept.schema, Schema):
            log.warning("%s; the schema as it was is used", found.reason)
            found = kept.schema
        self._kept[path] = _Kept(found, self.clock.monotonic(), version)
        return found

    def problems(self, path: str) -> tuple[Problem, ...]:
        """Why the schema that a listener names cannot be used; empty where it can."""
        found = self.of(path)
        if isinstance(found, Schema):
            return ()
        return (Problem(message=found.reason, path="listener.topic.schema"),)

    def _read(self, path: str) -> Schema | Undecodable:
        try:
            files = find_files(path, self.open_url)
            if len(files) > 1:
                return Undecodable(reason=f"the schema {path} names several files: name one")
            with files[0].content() as stream:
                return Schema(stream.read(LARGEST_SCHEMA + 1))
        except UserError as error:
            return Undecodable(reason=f"the schema cannot be read: {error.message}")
        except AvroError as error:
            return Undecodable(reason=f"the schema {path} cannot be used: {error}")


def _fresh(path: str, kept: _Kept) -> float:
    """For how many seconds a schema needs no second look: what could not be read may be there at the next batch."""
    if isinstance(kept.schema, Undecodable):
        return 1.0
    return _FRESH if is_remote(path) else float("inf")


def _version(path: str) -> object:
    if is_remote(path):
        return None
    try:
        about = Path(path.removeprefix("file://")).stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size
