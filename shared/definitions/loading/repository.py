"""The folder of definitions: local, or anywhere that fsspec reaches, read again when a file changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from shared.definitions.loading.connections import (
    Connections,
    JoinedDefinition,
    connection_problems,
    default_problems,
    join,
)
from shared.definitions.loading.definition import read_definition
from shared.definitions.loading.folders import MOST_BYTES, OF_THE_FILE, File, Folder, folder_at, is_local
from shared.definitions.loading.loaded import Loaded, LoadedConnection, loaded, stem, with_unique_names
from shared.definitions.models import ConnectionModel, ParameterValue, SyncDefinition
from shared.definitions.parameters.environment import secret_variables
from shared.errors import DefinitionError, Problem, UserError
from shared.remote import OpenUrl, open_without_account
from shared.suggestions import did_you_mean

__all__ = ["Repository", "accepted", "load_folder"]

log = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS: Final = 60.0


def load_folder(location: str | Path) -> tuple[Loaded, ...]:
    """Read every sync of a folder (`*.yaml`, `*.yml`, not its subfolders), or one file.

    Args:
        location: A local path, or an fsspec URL such as `abfs://container/path`.

    Returns:
        One entry a file that is no connection, in the order of their names. A file with problems does not keep the
        others from being used; `accepted` is for callers that need all definitions or none.

    Raises:
        UserError: When the path does not exist or cannot be read.
    """
    return Repository(location, clock=lambda: 0.0).loaded()


def accepted(loaded: Iterable[Loaded]) -> tuple[SyncDefinition, ...]:
    """The definitions, when none has a problem.

    Raises:
        DefinitionError: With every problem of every file.
    """
    entries = [*loaded]
    if problems := [problem for entry in entries for problem in entry.problems]:
        raise DefinitionError(problems)
    return tuple(entry.definition for entry in entries if entry.definition is not None)


@dataclass(frozen=True)
class _Found:
    """What one look has found."""

    syncs: tuple[Loaded, ...]
    connections: Connections

    @cached_property
    def secret_variables(self) -> frozenset[str]:
        """See `Repository.secret_variables`: each run asks for it, and there may be hundreds of definitions."""
        definitions = (each.definition for each in self.syncs if each.definition is not None)
        connections = (each.connection for each in self.connections.files if each.connection is not None)
        return frozenset(secret_variables(definitions, connections))

    @classmethod
    def of(cls, files: Iterable[Loaded | LoadedConnection], location: str) -> _Found:
        files = [*files]
        of_connections = (each for each in files if isinstance(each, LoadedConnection))
        connections = Connections(tuple(with_unique_names(of_connections)), location)
        syncs = with_unique_names(each for each in files if isinstance(each, Loaded))
        return cls(tuple(_with_connections(each, connections) for each in syncs), connections)


def _with_connections(sync: Loaded, connections: Connections) -> Loaded:
    """Refuse a definition that names a connection which cannot be used; a parameter's value is known to a run only."""
    if sync.definition is None:
        return sync
    problems = connection_problems(sync.definition, connections)
    return sync.refused(problems) if problems else sync


class Repository:
    """Definitions that follow their files.

    Thread-safe. The folder is looked at once a minute, and when a caller asks for it; only files whose version changed
    are read again.
    When a look fails (storage unavailable) the definitions of the last look stay in use; the first look has to succeed.
    A folder that is gone has no definitions any more.

    Args:
        location: A local path, or an fsspec URL.
        clock: Monotonic seconds.
        open_url: Turns a URL into its file system and path.
    """

    def __init__(
        self, location: str | Path, *, clock: Callable[[], float], open_url: OpenUrl = open_without_account
    ) -> None:
        self._location = str(location)
        self._open_url = open_url
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._read: dict[File, Loaded | LoadedConnection] = {}
        self._found: _Found | None = None
        self._joined: dict[str, JoinedDefinition] = {}

    def loaded(self) -> tuple[Loaded, ...]:
        """Every file of a sync with its definition or problems.

        Raises:
            UserError: When the location cannot be read and never was.
        """
        return self._now().syncs

    def connections(self) -> Connections:
        """The files of connections.

        Raises:
            UserError: When the location cannot be read and never was.
        """
        return self._now().connections

    def connection(self, name: str) -> ConnectionModel:
        """One connection.

        Raises:
            DefinitionError: When it has problems.
            UserError: When there is none of this name.
        """
        return self.connections().named(name)

    def secret_variables(self) -> frozenset[str]:
        """The environment variables that any definition or connection uses as secrets."""
        return self._now().secret_variables

    def default_problems(self, definition: SyncDefinition) -> list[Problem]:
        """What is wrong with the connections that a definition names, with the defaults of its parameters."""
        return default_problems(definition, self.connections())

    def joined(self, definition: SyncDefinition, values: Mapping[str, ParameterValue]) -> SyncDefinition:
        """A definition with the keys of the connections that it names.

        The same object is returned as long as the definition and its connections are the same.

        Args:
            definition: One of `definitions`.
            values: Values of its parameters.

        Raises:
            DefinitionError: A connection is missing, has problems, or does not fit; each problem has its path.
        """
        known = self._joined.get(definition.name)
        made = join(definition, values, self.connections(), known)
        self._joined[definition.name] = made
        return made.definition

    def _now(self) -> _Found:
        with self._lock:
            if self._found is None or self._clock() - self._looked >= SECONDS_BETWEEN_LOOKS:
                self._found = self._look()
                self._looked = self._clock()
            return self._found

    def look_again(self) -> None:
        """Look at the folder at the next call: it was changed by this process, or a job begins."""
        with self._lock:
            self._looked = float("-inf")

    def look_again_if_local(self) -> None:
        """Look at the folder at the next call if it is one of this machine, where a look takes no request."""
        if is_local(self._location):
            self.look_again()

    def with_draft(self, name: str, text: str) -> Repository:
        """The definitions as they are now, with a text in place of one file; it does not follow the folder.

        Args:
            name: Name of the file; it need not exist.
            text: What the file would hold.
        """
        self._now()
        made = Repository(self._location, clock=lambda: 0.0, open_url=self._open_url)
        file = self.shown(name)
        others = {known: what for known, what in self._read.items() if known.name != name}
        made._read = others | {File(name, "draft"): loaded(read_definition(text, file=file), file)}
        made._found = _Found.of(made._read.values(), self._location)
        made._looked = 0.0
        return made

    def shown(self, name: str) -> str:
        """What problems call a file of the folder."""
        return folder_at(self._location, self._open_url).shown(name)

    def definitions(self) -> tuple[SyncDefinition, ...]:
        """The definitions without problems."""
        return tuple(entry.definition for entry in self.loaded() if entry.definition is not None)

    def find(self, name: str) -> SyncDefinition:
        """One definition.

        Raises:
            DefinitionError: When it has problems.
            UserError: When there is none of this name.
        """
        entries = [entry for entry in self.loaded() if entry.name == name]
        if not entries:
            raise UserError(f"there is no sync {name} in {self._location}; {self._instead_of(name)}")
        return accepted(entries)[0]

    def _instead_of(self, name: str) -> str:
        known = [entry.name for entry in self.loaded()]
        return did_you_mean(stem(name) or name, known) or f"there are: {', '.join(known) or 'none'}"

    def placed(self, name: str, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Give problems of one sync, found after loading and known by path, their file, line and column."""
        entry = next((entry for entry in self.loaded() if entry.name == name), None)
        return entry.placed(problems) if entry else tuple(problems)

    def _look(self) -> _Found:
        try:
            folder = folder_at(self._location, self._open_url)
            files = self._files(folder)
            if self._found is not None and files == [*self._read]:
                return self._found
            self._read = {file: self._read.get(file) or _load(folder, file.name) for file in files}
        except OSError as error:
            if self._found is not None:
                return self._found
            if isinstance(error, FileNotFoundError):
                raise UserError(self._no_folder()) from error
            reason = error.strerror or str(error)
            raise UserError(f"the definitions in {self._location} cannot be read: {reason}") from error
        return _Found.of(self._read.values(), self._location)

    def _files(self, folder: Folder) -> list[File]:
        """The files as they are now. A folder that has been there and is gone has none.

        In blob storage a folder is there as long as a file is in it.

        Raises:
            FileNotFoundError: The folder does not exist, and was never looked at.
            OSError: It cannot be read.
        """
        try:
            return folder.files()
        except FileNotFoundError:
            if self._found is None:
                raise
            if self._read:
                log.warning("The folder of definitions %s no longer exists: it has no definitions", self._location)
            return []

    def _no_folder(self) -> str:
        inside = "" if "://" in self._location or Path(self._location).is_absolute() else f" in {Path.cwd()}"
        return (
            f"the folder of definitions {self._location} does not exist{inside}; set SYNC_DEFINITIONS to the folder "
            f"with your definitions, or make one with `dynamics-sync init`"
        )


def _load(folder: Folder, name: str) -> Loaded | LoadedConnection:
    file = folder.shown(name)
    try:
        content = folder.read(name)
    except OSError as error:
        if error.errno not in OF_THE_FILE:
            raise
        problem = Problem(message=f"the file cannot be read: {error.strerror or error}", file=file)
        return Loaded(name=stem(name), file=file, definition=None, problems=(problem,))
    if len(content) > MOST_BYTES:
        problem = Problem(
            message=f"the file is larger than {MOST_BYTES:,} bytes, the limit for a definition", file=file
        )
        return Loaded(name=stem(name), file=file, definition=None, problems=(problem,))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        problem = Problem(
            message="a definition is UTF-8 text, but this byte is not valid UTF-8",
            file=file,
            line=before.count(b"\n") + 1,
            column=error.start - before.rfind(b"\n"),
        )
        # What can be read of it tells whether it is a connection.
        found = loaded(read_definition(content.decode("utf-8-sig", "replace"), file=file), file)
        return replace(found.refused([problem]), name=stem(name))
    return loaded(read_definition(text, file=file), file)
