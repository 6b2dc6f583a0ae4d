"""Edits made in a text, and the proof that they did what was asked and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from yaml.error import YAMLError
from yaml.nodes import Node

from shared.definitions.loading.yaml_loader import compose_yaml, read_yaml
from shared.drafts.editing.differences import differences
from shared.drafts.editing.edits import Edit, Set, applied, same
from shared.drafts.editing.nodes import Text
from shared.drafts.editing.replacements import NotPossibleError, Replacement, replacements
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
    edits = [*differences(document.value, after)]
    return edited(text, edits) if edits else text


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
    if document.has_anchors:
        raise EditRefusedError(
            f"the YAML has anchors (&) or aliases (*), so one edit could change several places: {_REMEDY}"
        )
    mark = _MARK if text.startswith(_MARK) else ""
    made, edits = text.removeprefix(_MARK), [*edits]
    try:
        for group in _groups(edits):
            made = _after(made, group)
        expected = applied(document.value, edits)
    except (NotPossibleError, LookupError, TypeError, ValueError, YAMLError):
        raise EditRefusedError(f"the YAML is written in a way that cannot be edited here: {_REMEDY}") from None
    if _means(made, expected):
        return mark + made
    ended = made + Text(made).line_break  # a text that ends with a line break may be the last value of the file
    if not made.endswith("\n") and _means(ended, expected):
        return mark + ended
    raise EditRefusedError(f"the YAML is written in a way that cannot be edited here: {_REMEDY}")


def _means(text: str, expected: Any) -> bool:
    found = read_yaml(text)
    return not found.problems and same(found.value, expected)


def _groups(edits: Iterable[Edit]) -> Iterator[list[Edit]]:
    """Edits that can be made on one reading of the text: values of keys move nothing else."""
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
    found = _together(text, group)
    if found is None:
        for edit in group:
            text = _after(text, [edit])
        return text
    for each in reversed(found):
        text = _put(text, each)
    return text


def _together(text: str, group: list[Edit]) -> list[Replacement] | None:
    """What some edits replace, in the order of the text; None where each has to be made on what the last one left."""
    root = _root(text)
    try:
        found = [each for edit in group for each in replacements(Text(text), root, edit)]
    except NotPossibleError:
        if len(group) == 1:
            raise
        return None
    found.sort(key=lambda one: one.start)
    return found if len(group) == 1 or _are_apart(found) else None


def _are_apart(found: Sequence[Replacement]) -> bool:
    """Whether replacements in their order concern different places; two new keys of one mapping have the same place."""
    return all(one.end <= other.start and one.start < other.start for one, other in pairwise(found))


def _put(text: str, replacement: Replacement) -> str:
    return text[: replacement.start] + replacement.by + text[replacement.end :]


def _root(text: str) -> Node:
    root = compose_yaml(text)
    if root is None:
        raise NotPossibleError
    return root
