"""Files wherever they are: found by path, URL or glob, and brought into the workspace as UTF-8 text where needed."""

from __future__ import annotations

import codecs
import glob
import gzip
import io
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from shared.errors import UserError
from shared.remote import OpenUrl, is_remote, open_without_account
from shared.sources.places import check_local, check_system

__all__ = ["InputFile", "Layout", "data_lines", "find_files", "open_text", "write_plain"]

_BLOCK: Final = 1 << 20
_COMPRESSIONS: Final = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
_MAGIC: Final = frozenset("*?[")
_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What of a file is not data: its encoding, and lines above and below."""

    encoding: str = "utf-8"
    head: int = 0
    foot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file of a source.

    Attributes:
        name: The path or URL as messages show it.
        path: Where it is, in its file system.
        system: The fsspec file system that holds it; None for a local file.
    """

    name: str
    path: str
    system: Any = None

    @property
    def compression(self) -> str:
        """`gzip`, `zstd` or nothing, by the ending of the path."""
        return _COMPRESSIONS.get(Path(self.path).suffix.lower(), "")

    @contextmanager
    def stored(self) -> Iterator[IO[bytes]]:
        """Open the file as it is stored.

        Raises:
            UserError: It cannot be opened or read.
        """
        try:
            with self._opened() as stream:
                yield stream
        except (OSError, EOFError, zlib.error) as error:
            # The last two, and BadGzipFile, come from a compressed file that is cut short or is none at all.
            raise UserError(f"{self.name} cannot be read: {_reason(error)}") from error

    @contextmanager
    def content(self) -> Iterator[IO[bytes]]:
        """Open the file's content, decompressed where it is gzip.

        Raises:
            UserError: It cannot be opened or read.
        """
        with self.stored() as stream:
            if self.compression == "gzip":
                with gzip.open(stream, "rb") as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield stream

    def _opened(self) -> IO[bytes]:
        if self.system is None:
            return Path(self.path).open("rb")
        with _reaching(self.name):
            return cast("IO[bytes]", self.system.open(self.path, "rb"))


def find_files(path: str, open_url: OpenUrl = open_without_account) -> tuple[InputFile, ...]:
    """Return the files that a path, URL or glob names, in the order of their names.

    Args:
        path: What the source says.
        open_url: Turns a URL into its file system and path.

    Raises:
        UserError: There is none, or the place cannot be reached.
    """
    if not path:
        raise UserError("the source's path is empty: is the parameter that it is made of?")
    found = _remote_files(path, open_url) if is_remote(path) else _local_files(path.removeprefix("file://"))
    if not found:
        raise UserError(
            f"{path} names no file: no such file exists; check the path"
            if not _MAGIC & set(path)
            else f"{path} matches no file; check the pattern"
        )
    return found


def _local_files(path: str) -> tuple[InputFile, ...]:
    check_local(path)
    # The path as it is goes first: a name may hold brackets of its own.
    names = [str(Path(path))] if Path(path).is_file() else sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - absolute patterns
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder; name a file, or files by a pattern such as {path.rstrip('/')}/*.csv")
    for name in names:
        check_local(name)
    return tuple(InputFile(name=name, path=name) for name in names if Path(name).is_file())


def _remote_files(url: str, open_url: OpenUrl) -> tuple[InputFile, ...]:
    with _reaching(url):
        system, path = open_url(url)
        check_system(system, path)
        names = sorted(system.glob(path)) if _MAGIC & set(path) else [path] if system.exists(path) else []
        for name in names:
            check_system(system, str(name))
        return tuple(
            InputFile(name=system.unstrip_protocol(name), path=str(name), system=system)
            for name in names
            if system.isfile(name)
        )


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{url}: the driver for this kind of URL is not installed ({error})") from error
    except Exception as error:  # the boundary to fsspec: every driver raises errors of its own
        raise UserError(f"{url} cannot be reached: {_reason(error)}") from error


@contextmanager
def open_text(file: InputFile, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a file as text, decompressed, line ends kept as they are.

    Raises:
        UserError: It cannot be read, or is not in this encoding; the message says where.
    """
    with file.content() as stream:
        text = io.TextIOWrapper(stream, encoding=_marked(encoding), newline="")
        try:
            yield text
        except UnicodeError as error:
            raise _undecodable(file, encoding) from error
        finally:
            text.detach()


@contextmanager
def data_lines(file: InputFile, layout: Layout) -> Iterator[Iterator[str]]:
    """Open a file's data: its lines without those above and below, with their ends.

    Raises:
        UserError: It cannot be read, or is not in its encoding.
    """
    with open_text(file, layout.encoding) as text:
        for _ in range(layout.head):
            text.readline()
        yield _without_last(text, layout.foot) if layout.foot else text


def write_plain(file: InputFile, layout: Layout, target: Path) -> None:
    """Write a file's data lines to a local UTF-8 file with a byte order mark, streaming.

    Raises:
        UserError: It cannot be read, or is not in its encoding.
    """
    # With a byte order mark: readers drop one, and the data may begin with that character itself.
    with data_lines(file, layout) as lines, target.open("w", encoding="utf-8-sig", newline="") as out:
        out.writelines(lines)


def _without_last(lines: Iterable[str], count: int) -> Iterator[str]:
    held: deque[str] = deque()
    for line in lines:
        held.append(line)
        if len(held) > count:
            yield held.popleft()


def _marked(encoding: str) -> str:
    """UTF-8 with or without a byte order mark reads alike."""
    return "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding


def _undecodable(file: InputFile, encoding: str) -> UserError:
    """Find the place where a file leaves its encoding: byte offset and line, both in what is decompressed."""
    decoder = codecs.getincrementaldecoder(_marked(encoding))()
    offset, lines, first = 0, 1, b""
    with file.content() as stream:
        while block := stream.read(_BLOCK):
            first = first or block
            kept = decoder.getstate()[0]
            try:
                lines += decoder.decode(block).count("\n")
            except UnicodeError as error:
                # UTF-16 without its mark is an error without a place: it is the first byte's.
                start = error.start if isinstance(error, UnicodeDecodeError) else 0
                lines += (kept + block)[:start].count(b"\n")
                offset += start - len(kept)
                break
            offset += len(block)
    others = [name for name in ("utf-8", "windows-1252", "iso-8859-1", "utf-16") if name != encoding]
    hint = "utf-16" if first.startswith(_UTF_16_MARKS) else f"{', '.join(others[:-1])} or {others[-1]}"
    return UserError(
        f"{file.name} is not {encoding}: the byte at offset {offset:,} (line {lines:,}) does not belong there; "
        f"set the source's encoding, perhaps to {hint}"
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
