"""The schema of a listener is read from its file, kept, and read again when it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest

from shared.events import Undecodable
from shared.events.avro import Schema
from shared.jobs.real_time.schemas import Schemas
from tests.quick_clock import QuickClock

ONE, OTHER = b'{"type": "array", "items": "string"}', b'{"type": "map", "values": "string"}'


def reason(found: Schema | Undecodable) -> str:
    assert isinstance(found, Undecodable)
    return found.reason


def test_a_local_file_is_read_once_and_again_when_it_changes(tmp_path: Path) -> None:
    """The same schema is used as long as the file is the same, and the new one with the next batch."""
    file = tmp_path / "a.avsc"
    file.write_bytes(ONE)
    schemas = Schemas()
    first = schemas.of(str(file))
    assert isinstance(first, Schema)
    assert schemas.of(str(file)) is first
    file.write_bytes(OTHER + b" ")
    second = schemas.of(str(file))
    assert isinstance(second, Schema)
    assert second.fingerprint != first.fingerprint


def test_a_remote_file_is_asked_for_once_a_minute() -> None:
    """A request for each batch would cost more than the batch."""
    memory = fsspec.filesystem("memory")
    memory.pipe("/schemas/b.avsc", ONE)
    clock, opened = QuickClock(), list[str]()

    def open_url(url: str) -> tuple[Any, str]:
        opened.append(url)
        return memory, "/schemas/b.avsc"

    schemas = Schemas(open_url, clock)
    first = schemas.of("memory://schemas/b.avsc")
    memory.pipe("/schemas/b.avsc", OTHER)
    assert schemas.of("memory://schemas/b.avsc") is first
    assert len(opened) == 1
    clock.sleep(61)
    assert schemas.of("memory://schemas/b.avsc") is not first
    clock.sleep(61)
    memory.rm("/schemas/b.avsc")
    assert isinstance(schemas.of("memory://schemas/b.avsc"), Schema)


def test_a_schema_that_cannot_be_used_says_why_and_is_tried_again(tmp_path: Path) -> None:
    """The events wait in the dead letters; when the file is there, the next batch is read with it."""
    clock = QuickClock()
    schemas = Schemas(clock=clock)
    file = tmp_path / "c.avsc"
    assert "does not exist" in reason(schemas.of(str(file)))
    file.write_text("{", "utf-8")
    assert "c.avsc cannot be used: the schema is not JSON" in reason(schemas.of(str(file)))
    file.write_bytes(ONE)
    assert isinstance(schemas.of(str(file)), Schema)
    assert "several files" in reason(schemas.of(str(_other(tmp_path).parent / "*.avsc")))


def test_a_schema_that_was_good_stays_in_use(tmp_path: Path) -> None:
    """A file that is being written anew, or has been removed, does not stop events."""
    file = _other(tmp_path)
    schemas = Schemas()
    first = schemas.of(str(file))
    file.write_text("{", "utf-8")
    assert schemas.of(str(file)) is first
    file.unlink()
    assert schemas.of(str(file)) is first


def _other(folder: Path) -> Path:
    file = folder / "d.avsc"
    file.write_bytes(ONE)
    return file


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows a process' environment as a file")
def test_a_system_file_is_no_schema() -> None:
    """What a source must not read, a listener must not read either."""
    assert "refused" in reason(Schemas().of(f"/proc/{os.getpid()}/environ"))
