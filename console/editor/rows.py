"""What the buttons of lists do: rows are added, removed and moved, and another page of them is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from console.editor.editing import Editing
from console.editor.forms.widgets import name_of
from shared.definitions.loading.yaml_loader import Path
from shared.drafts.editing import Edit, Insert, Move, Remove, Set, edited

__all__ = ["ROW_ACTIONS", "append", "change", "turn", "value_at"]

_DIGITS: Final = 10  # the number of a row has fewer


def path_of(editing: Editing, name: str) -> Path:
    """The path of a field by its name."""
    path: Path = ()
    for part in name.split("."):
        is_index = isinstance(value_at(editing.draft.data, path), list) and _is_number(part)
        path = (*path, int(part) if is_index else part)
    return path


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit() and len(part) < _DIGITS


def value_at(data: Any, path: Path) -> Any:
    """The value at a path; None where there is none."""
    for part in path:
        try:
            data = data[part]
        except (LookupError, TypeError):
            return None
    return data


def change(editing: Editing, *edits: Edit) -> None:
    """Edit the text of the draft."""
    editing.draft = editing.draft.with_text(edited(editing.draft.text, edits))


def turn(editing: Editing, about: str) -> None:
    """Show another page of a list."""
    name, _, start = about.rpartition(":")
    if _is_number(start):
        editing.pages.turn(name, int(start))


def _add(editing: Editing, about: str) -> None:
    path = path_of(editing, about)
    there = value_at(editing.draft.data, path)
    append(editing, path, [{}])
    editing.pages.go_to(about, len(there) if isinstance(there, list) else 0)


def append(editing: Editing, path: Path, items: Sequence[Any]) -> None:
    """Add items to a list that may be missing, with what holds it."""
    if not items:
        return
    there = value_at(editing.draft.data, path)
    if isinstance(there, list) and there:
        change(editing, Insert(path=path, index=len(there), value=items[0], others=items[1:]))
    else:
        _put(editing, path, [*items])


def _put(editing: Editing, path: Path, value: Any) -> None:
    """Give a key a value, with the mappings around it that are missing."""
    while len(path) > 1 and value_at(editing.draft.data, path[:-1]) is None:
        path, value = path[:-1], {path[-1]: value}
    change(editing, Set(path=path, value=value))


def _name(editing: Editing, about: str) -> None:
    """Add something that has a name, such as a parameter."""
    path, name = path_of(editing, about), editing.visit.body.text(f"{about}.new").strip()
    there = value_at(editing.draft.data, path)
    if not name or (isinstance(there, dict) and name in there):
        editing.say("bad", "Write a name that is not in use yet, and press Add again.")
        return
    _put(editing, (*path, name), {})
    editing.pages.go_to(about, len(there) if isinstance(there, dict) else 0)


def _remove(editing: Editing, about: str) -> None:
    change(editing, Remove(path=path_of(editing, about)))


def _up(editing: Editing, about: str) -> None:
    _move(editing, about, -1)


def _down(editing: Editing, about: str) -> None:
    _move(editing, about, 1)


def _move(editing: Editing, about: str, by: int) -> None:
    *path, index = path_of(editing, about)
    items = value_at(editing.draft.data, tuple(path))
    if isinstance(items, list) and isinstance(index, int) and 0 <= index + by < len(items):
        change(editing, Move(path=tuple(path), index=index, to=index + by))
        if not editing.pages.is_found(name := name_of(tuple(path))):
            editing.pages.turn(name, index + by)


ROW_ACTIONS: Final[Mapping[str, Callable[[Editing, str], None]]] = {
    "add": _add,
    "name": _name,
    "remove": _remove,
    "up": _up,
    "down": _down,
}
