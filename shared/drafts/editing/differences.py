"""The edits that make one definition of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.definitions.loading.yaml_loader import Path
from shared.drafts.editing.edits import Edit, Insert, Remove, Rename, Set, same

__all__ = ["differences"]


def differences(before: Any, after: Any, path: Path = ()) -> Iterator[Edit]:
    """Yield the edits in the order in which they are to be made.

    Args:
        before: Plain data.
        after: Plain data; the order of its keys says where new ones belong.
        path: Where both are in their documents.
    """
    if isinstance(before, dict) and isinstance(after, dict) and before:
        yield from _of_mapping(before, after, path)
    elif isinstance(before, list) and isinstance(after, list) and before and after:
        yield from _of_list(before, after, path)
    elif not same(before, after):
        yield Set(path=path, value=after)


def _of_mapping(before: dict[str, Any], after: dict[str, Any], path: Path) -> Iterator[Edit]:
    keys, former = [*after], _former_names(before, after)
    for place, key in enumerate(keys):
        if key in former:
            yield Rename(path=(*path, former[key]), name=key)
        if key in before or key in former:
            yield from differences(before[former.get(key, key)], after[key], (*path, key))
        else:
            yield Set(path=(*path, key), value=after[key], after=keys[:place])
    for key in before:
        if key not in after and key not in former.values():
            yield Remove(path=(*path, key))


def _former_names(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """The keys that stand in the place of another one and have its value, or a mapping in the place of one."""
    if len(before) != len(after):
        return {}
    return {
        new: old
        for (old, value), (new, other) in zip(before.items(), after.items(), strict=True)
        if old not in after
        and new not in before
        and (same(value, other) or (isinstance(value, dict) and isinstance(other, dict)))
    }


def _of_list(before: list[Any], after: list[Any], path: Path) -> Iterator[Edit]:
    start = 0
    while start < min(len(before), len(after)) and same(before[start], after[start]):
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and same(before[-1 - end], after[-1 - end]):
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    for place, (one, other) in enumerate(zip(old, new, strict=False), start):
        yield from differences(one, other, (*path, place))
    if added := new[len(old) :]:
        yield Insert(path=path, index=start + len(old), value=added[0], others=added[1:])
    for place in reversed(range(start + len(new), start + len(old))):
        yield Remove(path=(*path, place))
