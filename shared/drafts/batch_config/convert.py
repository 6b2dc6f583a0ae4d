"""The whole file: name, parameters, source, target, and a check of what came out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from shared.definitions.loading.definition import read_definition
from shared.definitions.models.base import PARAMETER_NAME
from shared.drafts.batch_config.elements import ConfigElement, read_parts
from shared.drafts.batch_config.notes import Notes, logical_name, slug
from shared.drafts.batch_config.sources import SourceDraft, read_source, source_part
from shared.drafts.batch_config.target import read_behaviour, read_destination, target_part, uses_service_url
from shared.drafts.yaml_text import Remark, yaml_text
from shared.errors import UserError
from shared.transform import check_expressions

__all__ = ["ImportedDefinition", "imported"]

_SECRET_VALUE: Final = re.compile(r"GETSECRETVALUE\s*\(.*?,\s*['\"]?([^'\",)]+)['\"]?\s*\)", re.IGNORECASE)
_HEAD: Final = "Made from a BatchDataSyncConfig. What needs a person; remove a line when it is done:"
_NOTHING_OPEN: Final = "Made from a BatchDataSyncConfig."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDefinition:
    """The result of an import.

    Attributes:
        name: Name of the sync.
        text: The definition as YAML; what needs a person is in its first comment too.
        needs: What needs a person, a line each.
    """

    name: str
    text: str
    needs: tuple[str, ...]


def imported(content: bytes, file: str) -> ImportedDefinition:
    """Make a definition of a `BatchDataSyncConfig`.

    Args:
        content: The bytes of the file.
        file: Its name, for messages.

    Raises:
        UserError: It is not such a file, or has no source or no `DynamicsTarget`.
    """
    root, notes = read_parts(content, file), Notes()
    source, target = source_part(root), target_part(root)
    if target is None or target.name != "DynamicsTarget":
        found = f"its target is {target.name}" if target else "it has no target"
        raise UserError(f"{file}: {found}; only files with a DynamicsTarget can be imported")
    if source is None:
        raise UserError(f"{file}: it has no source: one element whose name ends in DataSource is needed")
    document = _document(root, source, target, notes)
    _drop_filters(document, notes)
    needs = [*notes.lines, *root.untaken(), *_remaining(yaml_text(document))]
    head = [_HEAD, *(f"- {line}" for line in needs)] if needs else [_NOTHING_OPEN]
    text = yaml_text({Remark(line): None for line in head}) + "\n" + yaml_text(document)
    return ImportedDefinition(name=document["name"], text=text, needs=tuple(needs))


def _drop_filters(document: dict[str, Any], notes: Notes) -> None:
    """Leave out OData filters that are none; without the target's one nothing is dropped, since it limits that."""
    found = {problem.path: problem.message for problem in read_definition(yaml_text(document)).problems}
    for place in ("source", "destination"):
        if (message := found.get(f"{place}.filter")) is None:
            continue
        del document[place]["filter"]
        notes.lines.append(f"{place}.filter: the filter was left out: {message}")
        if place == "destination" and document["sync_behaviour"]["dropped"] != "ignore":
            document["sync_behaviour"]["dropped"] = "ignore"
            notes.lines.append(
                "sync_behaviour.dropped: ignore was written, because the filter of the target is missing"
            )


def _document(root: ConfigElement, source: ConfigElement, target: ConfigElement, notes: Notes) -> dict[str, Any]:
    given = root.get("name")
    if given is None:
        notes.add(root, "the sync has no name: imported was written", "name")
    name = slug(given or "imported")
    document: dict[str, Any] = {"name": name}
    if (version := root.get("version")) is not None:
        document["version"] = version
    if given and given != name:
        document["description"] = given
    parameters = _parameters(root, notes)
    made = read_source(source, notes)
    destination = read_destination(target, made.columns, notes)
    if uses_service_url(destination) or "@service_url" in str(made.item.get("service_url")):
        parameters.setdefault("service_url", {"formula": "ENV('DYNAMICS_URL')"})
    if made.parameter:
        parameters.setdefault(made.parameter, {})
    behaviour = read_behaviour(target, destination, notes, events=made.events)
    document |= {"parameters": parameters} if parameters else {}
    document |= {"source": made.item, "destination": destination, "sync_behaviour": behaviour}
    return document | _listener(name, made)


def _listener(name: str, source: SourceDraft) -> dict[str, Any]:
    """A listener that takes nothing yet: what the XML does not have is in another table of the platform."""
    if not source.events:
        return {}
    return {"listener": {"name": name, "status": "disabled", "topic": {"format": "json"}}}


def _parameters(root: ConfigElement, notes: Notes) -> dict[str, Any]:
    parts = [part for group in root.children("Parameters") for part in group.children("Parameter")]
    own = {name for part in parts if re.fullmatch(PARAMETER_NAME, name := part.get("name") or "")}
    found: dict[str, Any] = {}
    for part in parts:
        name = part.get("name") or ""
        if name not in own:
            name = _free_name(name, own | found.keys())
            notes.add(part, f"this is not a name of a parameter; {name} was written", "name")
        elif name in found:
            name = _free_name(name, own | found.keys())
            notes.add(
                part, f"another parameter has this name; this one is called {name}, check where it is used", "name"
            )
        found[name] = _formula(part, notes)
    return found


def _free_name(name: str, taken: Collection[str]) -> str:
    """A name of a parameter that no other one has."""
    made = logical_name(name)
    made = made if re.fullmatch(PARAMETER_NAME, made) else f"p_{made}"
    numbered = (f"{made}_{number}" for number in count(2))
    return made if made not in taken else next(each for each in numbered if each not in taken)


def _formula(part: ConfigElement, notes: Notes) -> Mapping[str, Any]:
    written = part.get("formula")
    if written is None:
        return {}
    if (secret := _SECRET_VALUE.fullmatch(written)) is not None:
        notes.add(part, f"put the secret {secret[1]} into Key Vault; it may stand only where a secret may", "formula")
        return {"formula": f"SECRET('{secret[1]}')"}
    formula = written.replace('"', "'")
    if any(True for _ in _problems_of(formula)):
        notes.add(part, "this formula cannot be used: write it anew; the run has to give the value now", "formula")
        return {}
    return {"formula": formula}


def _problems_of(formula: str) -> Iterator[str]:
    """What is wrong with the formula itself; parameters that it names may come later."""
    text = yaml_text({"name": "x", "parameters": {"tried": {"formula": formula}}})
    for problem in read_definition(text).problems:
        if problem.path.startswith("parameters.tried") and "no parameter" not in problem.message:
            yield problem.message


def _remaining(text: str) -> Iterator[str]:
    """What `validate` would say about the definition."""
    reading = read_definition(text)
    problems = list(reading.problems)
    if reading.definition is not None and reading.definition.source.has_all_columns:
        problems += check_expressions(reading.definition)
    yield from (f"{problem.path}: {problem.message}" for problem in problems)
