"""Remote files of which DuckDB reads the parts that it needs: for the first rows, a file is not copied."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any, Final, TypeVar

from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]  # it ships no types

from shared.errors import UserError
from shared.sources.files import InputFile
from shared.workspace import SERVED

__all__ = ["Ranges"]

_MARK: Final = b"PAR1"
"""The last bytes of a Parquet file."""
T = TypeVar("T")


class Ranges(AbstractFileSystem):  # type: ignore[misc]  # see above
    """The files, as a file system for DuckDB.

    Attributes:
        failure: Why a file could not be read: DuckDB does not keep the error.
    """

    protocol = SERVED.partition("://")[0]
    cachable = False

    def __init__(self) -> None:
        """Without files."""
        super().__init__()
        self._files: dict[str, InputFile] = {}
        self.failure: UserError | None = None

    def add(self, file: InputFile) -> str:
        """Let DuckDB read a file.

        Returns:
            Its path for DuckDB; empty for a file that can only be read from its beginning to its end, or that is no
            Parquet file.

        Raises:
            UserError: It cannot be reached.
        """
        with file.anywhere() as stream:
            if not stream.seekable():
                return ""
            stream.seek(max(0, stream.seek(0, 2) - len(_MARK)))
            if stream.read() != _MARK:
                return ""
        path = f"{SERVED}/{len(self._files)}.parquet"
        self._files[path] = file
        return path

    def glob(self, path: str, **_options: Any) -> list[str]:
        """The file itself: DuckDB asks first which files a path names."""
        return [path]

    def info(self, path: str, **_options: Any) -> dict[str, Any]:
        """What is known of a file."""
        with self.noted(self._files[path].anywhere) as stream:
            return {"name": path, "size": self.noted(lambda: stream.seek(0, 2)), "type": "file"}

    def modified(self, path: str) -> datetime:  # noqa: ARG002 - as DuckDB asks
        """Any moment: the source itself checks that its files stay the same."""
        return datetime.fromtimestamp(0, UTC)

    def open(self, path: str, *_mode: Any, **_options: Any) -> _Stream:
        """Open a file; DuckDB only reads it."""
        return _Stream(self, self.noted(self._files[path].anywhere))

    def noted(self, do: Callable[[], T]) -> T:
        """Do something, and note why it fails."""
        try:
            return do()
        except UserError as error:
            self.failure = error
            raise


class _Stream:
    """What DuckDB uses of a stream."""

    def __init__(self, files: Ranges, stream: IO[bytes]) -> None:
        self._files = files
        self._stream = stream
        self.close = stream.close
        self.tell = stream.tell

    def seek(self, place: int, whence: int = 0) -> int:
        return self._files.noted(lambda: self._stream.seek(place, whence))

    def read(self, size: int = -1) -> bytes:
        return self._files.noted(lambda: self._stream.read(size))
