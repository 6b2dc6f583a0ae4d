"""Edits made in a text, and the proof that they did what was asked and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import yaml
from yaml.error import YAMLError
from yaml.nodes import Node, ScalarNode
from yaml.tokens import AliasToken, AnchorToken

from shared.definitions.loading.yaml_loader import compose_yaml, read_yaml
from shared.drafts.editing.differences import differences
from shared.drafts.editing.edits import Edit, Set, applied, same
from shared.drafts.editing.nodes import Text, entry_of
from shared.drafts.editing.surgery import NotPossibleError, Replacement, replacements
from shared.errors import UserError

__all__ = ["EditRefusedError", "edited", "rewritten"]

_MARK = "\ufeff"
_REMEDY = "edit the YAML instead"


class EditRefusedError(UserError):
    """A text cannot be edited without changing more than was asked for."""


def rewritten(text: str, after: Any) -> str:
    """A text with other values.

    Args:
        text: A definition that `read_yaml` reads without a problem.
        after: All its values afterwards, as plain data.

    Raises:
        EditRefusedError: See `edited`.
    """
    document = read_yaml(text)
    if document.value == {} or document.value is None:
        raise EditRefusedError(f"the YAML is empty or has mistakes: {_REMEDY}")
    return edited(text, [*differences(document.value, after)])


def edited(text: str, edits: Iterable[Edit]) -> str:
    """A text after some edits, each made on what the one before has left.

    Comments, order, quotes, blank lines and indentation of everything else stay as they are.

    Args:
        text: A definition that `read_yaml` reads without a problem.
        edits: Each path exists at its time, but for a key that is set.

    Raises:
        EditRefusedError: The text has mistakes, anchors or aliases, or is written in another way that no edit knows.
    """
    document = read_yaml(text)
    if document.problems or document.value is None:
        raise EditRefusedError(f"the YAML has mistakes: {_REMEDY}")
    if _has_anchors(text):
        raise EditRefusedError(
            f"the YAML has anchors (&) or aliases (*), so one edit could change several places: {_REMEDY}"
        )
    mark = _MARK if text.startswith(_MARK) else ""
    made, expected = text.removeprefix(_MARK), document.value
    try:
        for group in _groups(edits):
            made = _after(made, group)
            for edit in group:
                expected = applied(expected, edit)
    except (NotPossibleError, LookupError, TypeError, ValueError, YAMLError):
        raise EditRefusedError(f"the YAML is written in a way that cannot be edited here: {_REMEDY}") from None
    found = read_yaml(made)
    if found.problems or not same(found.value, expected):
        raise EditRefusedError(f"the YAML is written in a way that cannot be edited here: {_REMEDY}")
    return mark + made


def _groups(edits: Iterable[Edit]) -> Iterator[list[Edit]]:
    """Edits that can be made on one reading of the text: values of keys that are there move nothing else."""
    waiting: list[Edit] = []
    for edit in edits:
        is_scalar = isinstance(edit, Set) and not isinstance(edit.value, dict | list)
        if is_scalar and all(each.path != edit.path for each in waiting):
            waiting.append(edit)
            continue
        if waiting:
            yield waiting
            waiting = []
        yield [edit]
    if waiting:
        yield waiting


def _after(text: str, group: list[Edit]) -> str:
    root = _root(text)
    if len(group) > 1 and not all(_is_scalar(root, edit) for edit in group):
        for edit in group:
            text = _after(text, [edit])
        return text
    found = [each for edit in group for each in replacements(Text(text), root, edit)]
    for each in sorted(found, key=lambda one: one.start, reverse=True):
        text = _put(text, each)
    return text


def _put(text: str, replacement: Replacement) -> str:
    return text[: replacement.start] + replacement.by + text[replacement.end :]


def _root(text: str) -> Node:
    root = compose_yaml(text)
    if root is None:
        raise NotPossibleError
    return root


def _is_scalar(root: Node, edit: Edit) -> bool:
    entry = entry_of(root, edit.path)
    return entry is not None and isinstance(entry.value, ScalarNode)


def _has_anchors(text: str) -> bool:
    if "&" not in text and "*" not in text:
        return False
    return any(isinstance(token, AliasToken | AnchorToken) for token in yaml.scan(text, Loader=yaml.SafeLoader))
