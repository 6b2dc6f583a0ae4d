"""What came of one file of the folder of definitions: a sync or a connection, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from shared.definitions.loading.definition import ReadText
from shared.definitions.loading.yaml_loader import TextPosition
from shared.definitions.models import ConnectionModel, SyncDefinition
from shared.errors import Problem
from shared.suggestions import closest

__all__ = ["File", "Loaded", "LoadedConnection", "loaded", "stem", "with_unique_names"]

_LISTENER: Final = "listener"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file.

    Attributes:
        name: The name that the text gives; the file's, without ending, where it has none that can be read or that is
            another file's.
        file: Path or URL.
        problems: In the order of the text.
        positions: Path as problems show it -> the position of that key.
    """

    name: str
    file: str
    problems: tuple[Problem, ...] = ()
    positions: Mapping[str, TextPosition] = field(default_factory=dict, repr=False)

    @property
    def usable(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Add file, line and column to problems that have only a path; if needed, those of the enclosing key."""
        return tuple(problem if problem.line else self._placed(problem) for problem in problems)

    def _placed(self, problem: Problem) -> Problem:
        path = problem.path
        while path and path not in self.positions:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        position = self.positions.get(path)
        line, column = (position.line, position.column) if position else (0, 0)
        return replace(problem, file=self.file, line=line, column=column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded(File):
    """A file of a sync.

    Attributes:
        definition: None when there are problems.
    """

    definition: SyncDefinition | None

    @property
    def may_hide_a_listener(self) -> bool:
        """Whether it has mistakes, and may listen for events once they are corrected.

        A text that is not YAML can contain anything, and a misspelt key can mean `listener`.
        """
        if self.definition is not None:
            return False
        top = [path for path in self.positions if not {".", "["} & {*path}]
        return not top or any(closest(key, [_LISTENER]) for key in top)

    def refused(self, problems: Iterable[Problem]) -> Loaded:
        """The same with problems that were found when the other files were known."""
        return replace(self, definition=None, problems=self.placed(problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedConnection(File):
    """A file of a connection.

    Attributes:
        connection: None when there are problems.
    """

    connection: ConnectionModel | None

    def refused(self, problems: Iterable[Problem]) -> LoadedConnection:
        """The same with problems that were found when the other files were known."""
        return replace(self, connection=None, problems=self.placed(problems))


def loaded(reading: ReadText, file: str) -> Loaded | LoadedConnection:
    """What came of a text."""
    name = reading.name or stem(file)
    if reading.of_connection:
        return LoadedConnection(
            name=name,
            file=file,
            connection=reading.connection,
            problems=reading.problems,
            positions=reading.positions,
        )
    return Loaded(
        name=name,
        file=file,
        definition=reading.definition,
        problems=reading.problems,
        positions=reading.positions,
    )


def stem(file: str) -> str:
    """A file's name without folder and ending."""
    return file.rpartition("/")[2].rpartition(".")[0]


_FileT = TypeVar("_FileT", Loaded, LoadedConnection)


def with_unique_names(files: Iterable[_FileT]) -> Iterator[_FileT]:
    """Refuse every file whose name another one has too, because the right one is not known."""
    all_files = list(files)
    named: dict[str, list[str]] = {}
    for each in all_files:
        if each.usable:
            named.setdefault(each.name, []).append(each.file)
    for each in all_files:
        others = [file for file in named.get(each.name, ()) if file != each.file]
        if not each.usable:
            # A copy with a problem must not take the name from the file that has none.
            yield replace(each, name=stem(each.file)) if others else each
        elif not others:
            yield each
        else:
            yield each.refused(
                [Problem(message=f"the name {each.name} is already used by {', '.join(others)}", path="name")]
            )
