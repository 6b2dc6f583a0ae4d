"""Whether the key of a row is known, empty, or there and not known.

A rejected row protects the record with its key from being dropped. A row whose key is empty belongs to no record; one
whose key is there and not known may belong to any. No message tells these two apart: of a row that is rejected already,
what the target cannot hold is not reported. So the fact itself is kept beside the key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from shared.transform.mapped.columns import MappedColumn, stage_name
from shared.transform.rules import ErrorType, Rule
from shared.transform.shape import Shape
from shared.workspace import quoted

__all__ = ["UNREAD", "unfit_key", "unread_key"]

UNREAD: Final = quoted("key:unread")
"""The column of `desired` that says so: the row has a key that is not known."""


def unread_key(keys: Sequence[MappedColumn], shape: Shape, read: Collection[str]) -> str:
    """SQL condition over `shaped` and the first steps of expressions: the row has a key that is not known.

    A value that it is made of cannot be read, is longer than its column of the source may be (by the definition, no
    such row makes a record), or is missing though it is required.

    Args:
        keys: The parts of the sync key; of a lookup, what it searches for.
        shape: The source's columns.
        read: The labels of those that are read.
    """
    tests = [shape.rules.any_of(list(_impossible(keys, shape)))]
    tests += [f"{stage_name('try', each)} IS NULL" for each in keys if each.attempt]
    tests += [test for each in keys for test in _incomplete(each, shape, read)]
    return " OR ".join(test for test in dict.fromkeys(tests) if test != "false") or "false"


def unfit_key(keys: Sequence[MappedColumn]) -> str:
    """SQL condition over the converted values: a part of the key has a value that its column cannot hold.

    What a lookup searches for need not fit: then it finds nothing by it.
    """
    own = [each for each in keys if each.column.key_part]
    tests = [f"{stage_name('in', each)} IS NOT NULL AND {quoted(each.column.name)} IS NULL" for each in own]
    return " OR ".join(f"({test})" for test in tests) or "false"


def _impossible(keys: Sequence[MappedColumn], shape: Shape) -> Iterator[Rule]:
    for each in keys:
        for name in sorted(each.made_of):
            yield from shape.doubts.get(name, ())
        parts = _parts(each, shape)
        yield from (rule for rule in shape.rules.rules if rule.error is ErrorType.MAX_LENGTH and rule.column in parts)


def _incomplete(each: MappedColumn, shape: Shape, read: Collection[str]) -> Iterator[str]:
    """Something that the part is calculated from is required and missing, and something else is there.

    Where nothing is there, or the whole part is what is missing, the key is empty.
    """
    parts = _parts(each, shape)
    needed = parts if each.attempt else parts - {each.label}
    rules = [rule for rule in shape.rules.rules if rule.error is ErrorType.MANDATORY and rule.column in needed]
    present = [f"{quoted(name)} IS NOT NULL" for name in sorted(parts.intersection(read))]
    if present and (rejecting := [rule for rule in rules if rule.rejects]):
        yield f"({shape.rules.any_of(rejecting)} AND ({' OR '.join(present)}))"


def _parts(each: MappedColumn, shape: Shape) -> frozenset[str]:
    """The source's columns that it is made of, and all that these are calculated from."""
    return frozenset().union(*(shape.parts[name] for name in each.made_of))
