"""Local and remote files: found by path, URL or glob, and opened; gzip files are decompressed."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Final, cast

from shared.errors import SourceUnavailableError, UserError
from shared.remote import OpenUrl, is_remote, open_without_account, shown_url
from shared.sources.packed import unpacked
from shared.sources.places.matching import below, is_file, matching
from shared.sources.places.outages import reaching, reason, refuse_unanswered
from shared.sources.refused_paths import check_local, check_system

__all__ = ["BLOCK", "InputFile", "find_files"]

BLOCK: Final = 1 << 20  # bytes read at once
_LITTLE: Final = 1 << 16
_COMPRESSIONS: Final = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd", ".zstd": "zstd"}
# How drivers of fsspec call it. If a driver reports only the size, the size is compared.
_VERSION_KEYS: Final = (
    "etag", "ETag", "size", "mtime", "last_modified", "LastModified", "Last-Modified", "created", "modify",
    "modificationTime", "last_write_time", "updated", "md5Hash", "content_hash",
)  # fmt: skip
Version = tuple[object, ...]
_OWNED: Final = "~$"  # Office makes a file with such a name for each workbook that is open
_MAGIC: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file of a source.

    Attributes:
        name: The path or URL as messages show it.
        path: Where it is, in its file system.
        system: The fsspec file system that holds it; None for a local file.
        version: What tells one content from another when the file was found; None where that does not matter.
        told_bytes: How many bytes its file system said that it has; None where it did not say it.
    """

    name: str
    path: str
    system: Any = None
    version: Version | None = None
    told_bytes: int | None = None

    @property
    def compression(self) -> str:
        """`gzip`, `zstd` or nothing, by the ending of the path."""
        return _COMPRESSIONS.get(Path(self.place).suffix.lower(), "")

    @property
    def place(self) -> str:
        """Its folders and its name: the path without what a URL of HTTP has before and behind them."""
        return shown_url(self.path)

    @property
    def local_bytes(self) -> int:
        """How many bytes a file of this machine is stored in; 0 for another file, and for one that is gone."""
        with suppress(OSError):
            return 0 if self.system is not None else Path(self.path).stat().st_size
        return 0

    def check_unchanged(self) -> None:
        """Compare the file with what it was when it was found.

        Raises:
            UserError: Another program has written or removed it since then.
        """
        if self.version is None:
            return
        if self.system is not None:
            _forget_listings(self.system)
        with _failures(self):
            now = _version_or_none(self)
        if now != self.version:
            raise UserError(
                f"{self.name} changed while it was read, so its rows may be a mixture of two versions; nothing is "
                "written. Start the run again when the file is complete. To avoid this, write a file under another "
                "name and then rename it"
            )

    @contextmanager
    def stored(self) -> Iterator[IO[bytes]]:
        """Open the file as it is stored.

        Raises:
            UserError: It cannot be opened; a read of the stream raises it too.
        """
        with _failures(self):
            opened = self._streamed() if self.is_http else self._opened()
        with opened:
            yield io.BufferedReader(_Stored(self, opened), BLOCK)

    @contextmanager
    def content(self) -> Iterator[IO[bytes]]:
        """Open the file's content, decompressed where it is gzip.

        Raises:
            UserError: It cannot be opened; a read of the stream raises it too, also where the file is damaged.
        """
        with self.stored() as stream:
            yield unpacked(stream, self.name) if self.compression == "gzip" else stream

    def anywhere(self) -> IO[bytes]:
        """Open the file as it is stored, for reads at any place where the system allows that.

        Raises:
            UserError: It cannot be opened; what is done with the stream raises it too.
        """
        with _failures(self):
            return io.BufferedReader(_Anywhere(self, self._opened()), _LITTLE)

    @property
    def is_http(self) -> bool:
        """Whether it is behind HTTP, where each reading may be of another version and the server need not tell."""
        return self.system is not None and "http" in self.system.protocol

    def _streamed(self) -> IO[bytes]:
        """Open a file behind HTTP in one answer: a server need not send parts, and parts may be of two versions.

        Raises:
            UserError: The answer has a part of the file, which nobody asked for.
        """
        opened = self.system.open(self.path, "rb", block_size=0)
        if getattr(getattr(opened, "r", None), "status", None) == HTTPStatus.PARTIAL_CONTENT:
            opened.close()
            raise UserError(f"{self.name} cannot be read: the server sends only a part of it (status 206)")
        return cast("IO[bytes]", opened)

    def _opened(self) -> IO[bytes]:
        if self.system is None:
            return Path(self.path).open("rb")
        return cast("IO[bytes]", self.system.open(self.path, "rb"))


class _Stored(io.RawIOBase):
    """A file's bytes. An error while they are read is an error of the file; an error while they are used is not."""

    def __init__(self, file: InputFile, stream: IO[bytes]) -> None:
        self._file = file
        self._stream = stream
        self._came = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _failures(self._file):
            data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._came += len(data)
        if not data:
            self._check_end()
        return len(data)

    def _check_end(self) -> None:
        """An answer of HTTP without a length ends in the same way where the connection breaks.

        More bytes than were told are no fault: a server may compress what it sends.
        """
        told = self._file.told_bytes
        if told is not None and self._came < told:
            raise SourceUnavailableError(
                f"{self._file.name} ended after {self._came:,} of {told:,} bytes, so its last rows are missing; "
                "nothing is written. Start the run again"
            )


class _Anywhere(_Stored):
    """The same with places: it may be read in any order, so its end says nothing."""

    def _check_end(self) -> None:
        pass

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, place: int, whence: int = 0, /) -> int:
        with _failures(self._file):
            return self._stream.seek(place, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def close(self) -> None:
        self._stream.close()
        super().close()


def find_files(
    path: str, open_url: OpenUrl = open_without_account, *, ending: str = "", roots: Sequence[str] = ()
) -> tuple[InputFile, ...]:
    """Return the files that a path, URL or glob names, in the order of their names.

    Args:
        path: What the source says.
        open_url: Turns a URL into its file system and path.
        ending: A folder means all files below it whose names end so; empty where a folder is refused.
        roots: The only folders that local files are read from; any folder where there is none.

    Raises:
        UserError: There is none, the place cannot be reached, or is one that no source is read from.
    """
    if not path:
        raise UserError("the source's path is empty: check the parameter that it uses")
    if not _is_possible(path):
        raise UserError(
            f"{shown_url(path)} cannot be a path: it has a character that no path has; check the parameter that it uses"
        )
    found = (
        _remote_files(path, open_url, ending, roots)
        if is_remote(path)
        else _local_files(path.removeprefix("file://"), ending, roots)
    )
    shown = shown_url(path)
    pattern = _MAGIC & set(shown)
    if pattern or len(found) > 1:
        found = tuple(file for file in found if not Path(file.name).name.startswith(_OWNED))
    if not found:
        raise UserError(
            f"{shown} matches no file; check the pattern" if pattern else f"{shown} does not exist; check the path"
        )
    return found


def _is_possible(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # half of a character
        return False


def _local_files(path: str, ending: str, roots: Sequence[str]) -> tuple[InputFile, ...]:
    try:
        return _found_on_disk(path, ending, roots)
    except OSError as error:  # a folder that may not be entered, a name that is too long, a drive that is gone
        found = error.filename if isinstance(error.filename, str) else path
        missing = f": {path} may name files in it, and their records would be dropped" if found != path else ""
        raise UserError(f"{found} cannot be read: {reason(error)}{missing}") from error


def _found_on_disk(path: str, ending: str, roots: Sequence[str]) -> tuple[InputFile, ...]:
    check_local(path, roots)
    # The exact path is tried first, because a name may contain brackets.
    names = [str(Path(path))] if Path(path).is_file() else matching(path)
    if Path(path).is_dir() and ending:
        names = below(str(Path(path)), ending)
    elif Path(path).is_dir():
        raise UserError(f"{path} is a folder; name a file, or files by a pattern such as {path.rstrip('/')}/*.csv")
    for name in names:
        check_local(name, roots)
    return tuple(InputFile(name=name, path=name, version=_version_of_local(name)) for name in names if is_file(name))


def _remote_files(url: str, open_url: OpenUrl, ending: str, roots: Sequence[str]) -> tuple[InputFile, ...]:
    with reaching(url):
        system, path = open_url(url)
        _forget_listings(system)
        check_system(system, path, roots)
        names = _names_of(system, path, url)
        if ending and names == [path] and system.isdir(path):
            names = sorted(name for name in system.find(path, **_strict(system)) if name.endswith(ending))
        for name in names:
            check_system(system, str(name), roots)
        return tuple(file for name in names if (file := _remote_file(system, str(name), url)) is not None)


def _forget_listings(system: Any) -> None:
    """Let a file system ask its storage anew: it lives as long as the process, and keeps what earlier runs listed."""
    with suppress(Exception):  # a driver may keep no listings
        system.invalidate_cache()


def _remote_file(system: Any, name: str, url: str) -> InputFile | None:
    """A file that was named or listed; None for a folder, and where nothing is there."""
    about = _about(system, name, url)
    if about is None or about["type"] != "file":
        return None
    size = about.get("size")
    told_bytes = size if isinstance(size, int) else None
    return InputFile(
        name=_shown_name(system, name, url), path=name, system=system, version=_told(about), told_bytes=told_bytes
    )


def _about(system: Any, path: str, url: str) -> Mapping[str, Any] | None:
    """What a storage tells of a file or a folder; None where it says that there is none.

    `exists` and `isfile` of a driver say no also when they cannot ask: a file that is there would count as missing.

    Raises:
        UserError: The host did not say that there is no such file.
    """
    try:
        return cast("Mapping[str, Any]", system.info(path))
    except FileNotFoundError as error:
        if "http" in system.protocol:
            refuse_unanswered(error, url)
        return None


def _names_of(system: Any, path: str, url: str) -> list[str]:
    """The path, or what a pattern names. The exact path is tried first, because a name may contain brackets."""
    if not _MAGIC & set(shown_url(path)) or ("[" in path and _is_file(system, path, url)):
        return [path]
    return sorted(map(str, system.glob(path, **_strict(system))))


def _is_file(system: Any, path: str, url: str) -> bool:
    """Whether a file has this name. Other drivers than that of HTTP may not take signs of patterns in a name."""
    return _about(system, path, url) is not None if "http" in system.protocol else bool(system.isfile(path))


def _strict(system: Any) -> Mapping[str, Any]:
    """What lets a driver tell of a folder that it cannot list; drivers that look for files in their own way do so."""
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]  # noqa: PLC0415 - loaded with the first URL

    if "http" in system.protocol:
        return {"on_error": _unless_gone}
    own = {type(system).glob, type(system).find} - {AbstractFileSystem.glob, AbstractFileSystem.find}
    return {} if own or system.async_impl else {"on_error": _unless_gone}


def _unless_gone(error: Exception) -> None:
    """The folder of a pattern cannot be listed: fsspec would take it for empty. One that is gone is empty indeed."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _shown_name(system: Any, name: str, url: str) -> str:
    """The URL of a file as messages and columns have it; drivers such as that of FTP leave out the host."""
    shown, (scheme, _, rest) = str(system.unstrip_protocol(name)), url.partition("://")
    host = rest.partition("/")[0]
    is_kept = not shown.startswith(f"{scheme}:///") or f"{name}/".startswith(f"/{host}/") or _MAGIC & set(host)
    return shown_url(shown if is_kept else f"{scheme}://{host}/{name.lstrip('/')}")


def _told(about: Mapping[str, Any]) -> Version:
    return tuple(str(about[key]) for key in _VERSION_KEYS if about.get(key) is not None)


def _version_of_local(path: str) -> Version:
    """What changes when a file is written.

    Raises:
        FileNotFoundError: There is no such file.
    """
    about = Path(path).stat()
    return about.st_size, about.st_mtime_ns


def _version_or_none(file: InputFile) -> Version | None:
    """The version of a file; None where it is no longer there."""
    if file.system is not None:
        about = _about(file.system, file.path, file.name)
        return None if about is None else _told(about)
    try:
        return _version_of_local(file.path)
    except FileNotFoundError:
        return None


@contextmanager
def _failures(file: InputFile) -> Iterator[None]:
    """Explain why a file cannot be read where it is stored."""
    if file.system is not None:
        with reaching(file.name), _found(file):
            yield
        return
    try:
        yield
    except OSError as error:
        raise UserError(f"{file.name} cannot be read: {reason(error)}") from error


@contextmanager
def _found(file: InputFile) -> Iterator[None]:
    """Say of a file behind HTTP why it is not there, although its host has told of it."""
    try:
        yield
    except FileNotFoundError as error:
        if not file.is_http:
            raise
        refuse_unanswered(error, file.name)
        raise UserError(f"{file.name} does not exist; check the path") from error
