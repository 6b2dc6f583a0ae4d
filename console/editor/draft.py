"""What is edited: a text that travels with the page, so that no unsaved work is kept on the server."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from console.web.bodies import Body
from console.web.refusals import Refusal
from console.web.subjects import levels_for
from console.web.visit import Visit
from shared.app.definition_files import StoredText
from shared.app.editing.draft_app import DraftApp, with_draft
from shared.app.editing.environment import PATIENCE
from shared.definitions import Loaded
from shared.definitions.loading.yaml_loader import read_yaml
from shared.errors import DefinitionError, Problem

__all__ = ["Checked", "Draft", "check", "file_of", "hidden_sync", "in_use", "saved_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A definition as somebody edits it.

    Attributes:
        file: Name of its file.
        text: Its YAML.
        version: The version that was edited; empty for a file that does not exist yet.
    """

    file: str
    text: str = field(repr=False)
    version: str = ""

    @property
    def data(self) -> Any:
        """The values of the text; None where it cannot be read."""
        return read_yaml(self.text).value

    @property
    def sent(self) -> str:
        """The text as a field carries it: browsers change line breaks of texts, but not of this."""
        return base64.b64encode(self.text.encode()).decode()

    def with_text(self, text: str) -> Draft:
        """The same file with another text."""
        return replace(self, text=text)

    @classmethod
    def of(cls, stored: StoredText) -> Draft:
        """A saved definition."""
        return cls(file=stored.file, text=stored.text, version=stored.version)

    @classmethod
    def of_form(cls, body: Body) -> Draft:
        """The text that a page carries.

        Raises:
            Refusal: It is not what the page sent.
        """
        try:
            text = base64.b64decode(body.text("_text"), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal(400, "Not a definition", "The form that was sent has no text of a definition.") from None
        return cls(file=body.text("_file"), text=text, version=body.text("_version"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found in a draft.

    Attributes:
        name: The name of the sync that the text gives.
        problems: Mistakes: a definition with one is not saved.
        warnings: What may be a mistake.
    """

    name: str
    problems: Sequence[Problem] = ()
    warnings: Sequence[str] = ()
    drafted: DraftApp | None = None


def check(visit: Visit, draft: Draft, *, online: bool = False) -> Checked:
    """Find the mistakes of a draft.

    Args:
        visit: Has the app.
        draft: The draft.
        online: Whether Dataverse and the source are asked too.
    """
    try:
        drafted = with_draft(visit.app, draft.file, draft.text, patience=PATIENCE)
    except DefinitionError as error:
        return Checked(name="", problems=error.problems)
    name = drafted.loaded.name
    problems = drafted.loaded.problems or drafted.app.validate([name], offline=not online)
    warnings = drafted.app.warnings([name], offline=not online)
    if hidden_sync(visit, name, draft.file):  # the person does not learn in which file it is
        problems = [replace(each, message=in_use(name)) if each.path == "name" else each for each in problems]
    said = tuple(each.removeprefix(f"{name}: ") for each in warnings)
    return Checked(name=name, problems=tuple(problems), warnings=said, drafted=drafted)


def hidden_sync(visit: Visit, name: str, file: str) -> bool:
    """Whether another file has a sync of this name to which the person has no right."""
    others = [each for each in visit.app.definitions() if each.name == name and file_of(each) != file]
    return any(not levels_for(visit.person, each) for each in others)


def in_use(name: str) -> str:
    """What is wrong with a name that is not free: the same for a hidden sync and for a deleted one."""
    return f"the name {name} is in use: choose another one"


def file_of(loaded: Loaded) -> str:
    """The name of the file of a definition."""
    return loaded.file.replace("\\", "/").rpartition("/")[2]


def saved_text(visit: Visit, draft: Draft) -> str:
    """What is saved under the name of a draft's file, or was until it was deleted here; empty where nothing is."""
    files = visit.app.wiring.definition_files
    found = files.read(draft.file) or files.deleted(draft.file)
    return found.text if found else ""
