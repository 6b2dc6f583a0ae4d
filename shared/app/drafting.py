"""Definitions that the program writes: into the folder of definitions, and never over a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.definitions.models.base import mistake_in_name
from shared.drafts.batch_config import ImportedDefinition, imported
from shared.drafts.batch_config.elements import MOST_BYTES
from shared.errors import UserError

__all__ = ["WrittenDraft", "check_new", "import_config", "new_definition_file", "write_new"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenDraft:
    """A definition that was written.

    Attributes:
        file: Its file.
        made: What is in it.
    """

    file: Path
    made: ImportedDefinition


def import_config(file: Path, out: Path | None, folder: str) -> WrittenDraft:
    """Write the definition of a `BatchDataSyncConfig`.

    Args:
        file: The XML.
        out: The file to write; one in the folder, with the name of the sync, for None.
        folder: The folder of definitions.

    Raises:
        UserError: The XML cannot be read, or the file cannot be written or exists already.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    made = imported(content, str(file))
    target = out or new_definition_file(folder, made.name)
    write_new(target, made.text)
    return WrittenDraft(file=target, made=made)


def new_definition_file(folder: str, name: str) -> Path:
    """The file of a new definition.

    Raises:
        UserError: The folder is not on this machine, or it is a single file.
    """
    if "://" in folder or Path(folder).is_file():
        raise UserError(f"the definitions are in {folder}, where no file can be written: name a file with --out")
    return Path(folder) / f"{name}.yaml"


def check_new(file: Path, name: str) -> None:
    """Refuse a name that no sync can have, and a file that exists, before anything is read.

    Raises:
        UserError: One of the two.
    """
    if mistake := mistake_in_name(name):
        raise UserError(f"{name}: {mistake}")
    try:
        exists = file.exists()
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from error
    if exists:
        raise UserError(f"{file} exists already and was not changed: name another file with --out")


def write_new(file: Path, text: str) -> None:
    """Write a file that does not exist yet.

    Raises:
        UserError: It exists, or cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError:
        raise UserError(f"{file} exists already and was not changed: name another file with --out") from None
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from error
