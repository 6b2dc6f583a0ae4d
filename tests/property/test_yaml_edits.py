"""Edits of YAML: the values are those that were asked for, and every other line stays as it is, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.definitions.loading.yaml_loader import Path, read_yaml
from shared.drafts.editing import Edit, Insert, Move, Remove, Rename, Set, edited, rewritten
from shared.drafts.editing.edits import applied, same
from shared.drafts.editing.replacements import inline
from shared.drafts.yaml_text import scalar_text


def _no_list(value: Any) -> bool:
    return not isinstance(value, list)


KEYS = ("name", "type", "filter", "odd key", "yes", "12", "a-b")
TEXTS = st.sampled_from(
    ["", "plain", "two words", "# no comment", "it's", 'say "x"', "a: b", "- x", "@name", "{x}", "true", "007", "null",
     " blank ", "Ü 😀", "back\\slash", "one\ntwo", "tail\n", "a\n\n  b"]
)  # fmt: skip
SCALARS = TEXTS | st.integers(-5, 99) | st.booleans() | st.none() | st.floats(0.5, 9.5).map(lambda x: round(x, 2))
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4) | st.lists(inner.filter(_no_list), max_size=4)
    ),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=5)


@dataclass(slots=True)
class Written:
    """A document as a person might write it: each line with the path that it is about, and comments everywhere."""

    draw: Any
    lines: list[tuple[str, Path]] = field(default_factory=list)
    numbers: int = 0

    def chance(self) -> bool:
        return bool(self.draw(st.booleans()))

    def note(self, indent: str, above: Path) -> None:
        if self.chance():
            self.numbers += 1
            self.lines.append((f"{indent}# remark {self.numbers}", above))
        if self.draw(st.integers(0, 5)) == 0:
            self.lines.append(("", above))

    def tail(self) -> str:
        self.numbers += 1
        return f"  # {self.numbers}" if self.chance() else ""

    def scalar(self, value: Any) -> str:
        if isinstance(value, str) and value.isprintable() and "'" not in value and self.chance():
            return f"'{value}'"
        return scalar_text(value)

    def mapping(self, value: dict[str, Any], indent: str, path: Path, first: str | None = None) -> None:
        for number, (key, each) in enumerate(value.items()):
            begin = first if number == 0 and first is not None else indent
            if begin == indent:
                self.note(indent, path)
            self.value(f"{begin}{scalar_text(key)}:", each, indent, (*path, key))

    def sequence(self, value: list[Any], indent: str, path: Path) -> None:
        for number, each in enumerate(value):
            self.note(indent, path)
            inner = indent + "  "
            if isinstance(each, dict) and each and self.chance():
                self.mapping(each, inner, (*path, number), f"{indent}- ")
            else:
                self.lines.append((f"{indent}- {inline(each)}{self.tail()}", (*path, number)))

    def value(self, begin: str, value: Any, indent: str, path: Path) -> None:
        deeper = indent + " " * self.draw(st.sampled_from([2, 4]))
        if isinstance(value, str) and value == "one\ntwo" and self.chance():
            self.lines += [(f"{begin} |-{self.tail()}", path), (f"{deeper}one", path), (f"{deeper}two", path)]
        elif isinstance(value, dict) and value and self.chance():
            self.lines.append((f"{begin}{self.tail()}", path))
            self.mapping(value, deeper, path)
        elif isinstance(value, list) and value and self.chance():
            self.lines.append((f"{begin}{self.tail()}", path))
            self.sequence(value, self.draw(st.sampled_from([indent, deeper])), path)
        elif value is None and self.chance():
            self.lines.append((f"{begin}{self.tail()}", path))
        else:
            shown = inline(value) if isinstance(value, dict | list) else self.scalar(value)
            self.lines.append((f"{begin} {shown}{self.tail()}", path))


@st.composite
def written(draw: Any) -> tuple[str, Written, dict[str, Any]]:
    data = draw(DOCUMENTS)
    made = Written(draw)
    made.note("", ())
    made.mapping(data, "", ())
    made.note("", ())
    line_break = draw(st.sampled_from(["\n", "\r\n"]))
    end = line_break if draw(st.booleans()) else ""
    return line_break.join(line for line, _ in made.lines) + end, made, data


def _paths(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    yield path, value
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in parts:
        yield from _paths(each, (*path, key))


def _edits(data: dict[str, Any]) -> Iterator[st.SearchStrategy[Edit]]:
    """Every kind of edit that the values allow."""
    for path, value in _paths(data):
        there = st.just(path)
        if path:
            yield st.builds(Set, path=there, value=VALUES)
        if isinstance(value, dict):
            missing = [key for key in KEYS if key not in value]
            for key in missing[:1]:
                yield st.builds(Set, path=st.just((*path, key)), value=VALUES, after=st.just([*value][:1]))
                yield from (st.just(Rename(path=(*path, old), name=key)) for old in [*value][:1])
        if isinstance(value, list):
            for index in {0, len(value)}:
                items = VALUES.filter(_no_list)
                yield st.builds(
                    Insert, path=there, index=st.just(index), value=items, others=st.lists(items, max_size=2)
                )
            if len(value) > 1:
                last = len(value) - 1
                yield st.sampled_from([Move(path=path, index=0, to=last), Move(path=path, index=last, to=0)])
        if len(path) > 1 or (path and len(data) > 1):
            yield st.just(Remove(path=path))


def _touched(edit: Edit, line: Path) -> bool:
    """Whether an edit may change the line that is about a path: it is about the edited value, or has it in brackets."""
    path = edit.path
    return line[: len(path)] == path or path[: len(line)] == line


def _stays(edit: Edit, made: Written, data: dict[str, Any]) -> list[str]:
    """The lines that have nothing to do with an edit."""
    path = edit.path
    if isinstance(edit, Remove) and path[:-1]:  # the last entry leaves brackets behind
        holder = data
        for part in path[:-1]:
            holder = holder[part]  # type: ignore[index]
        if len(holder) == 1:
            edit = Remove(path=path[:-1])
    kept = []
    for line, about in made.lines:
        comment = line.lstrip().startswith("#") or not line
        if (
            isinstance(edit, Set | Remove) and comment and about == edit.path[:-1] != about[: len(edit.path)]
        ) or not _touched(edit, about):
            kept.append(line)
    return [line for line in kept if line]


@settings(max_examples=150, deadline=None)
@given(st.data(), written())
def test_one_edit_does_what_was_asked_and_touches_no_other_line(
    data: st.DataObject, sample: tuple[str, Written, dict[str, Any]]
) -> None:
    """Comments, quotes, blank lines and indentation of all others are the same, in the same order."""
    text, made, values = sample
    assert same(read_yaml(text).value, values), text
    edit = data.draw(st.one_of([*_edits(values)]))
    result = edited(text, [edit])
    assert same(read_yaml(result).value, applied(values, [edit]))
    found = iter(result.replace("\r\n", "\n").split("\n"))
    for line in _stays(edit, made, values):
        assert any(line == other for other in found), f"{line!r} is not in\n{result}"
    if "\r\n" in text:
        assert "\n" not in result.replace("\r\n", "")


@settings(max_examples=60, deadline=None)
@given(written(), DOCUMENTS)
def test_a_text_gets_any_other_values(sample: tuple[str, Written, dict[str, Any]], other: dict[str, Any]) -> None:
    """However different they are; and without a difference it stays as it is."""
    text, _, values = sample
    assert same(read_yaml(rewritten(text, other)).value, other)
    assert rewritten(text, values) == text


@settings(max_examples=150, deadline=None)
@given(st.data(), written())
def test_edits_together_do_what_they_do_one_after_the_other(
    data: st.DataObject, sample: tuple[str, Written, dict[str, Any]]
) -> None:
    """Values of keys, which are changed on one reading of the text where that is possible."""
    text, _, values = sample
    found = [data.draw(each) for each in _edits(values)]
    edits = [each for each in found if isinstance(each, Set) and not isinstance(each.value, dict | list)]
    chosen = {each.path: each for each in data.draw(st.permutations(edits))}
    apart = [each for each in chosen.values() if not any(_is_in(each.path, other) for other in chosen)]
    one_by_one = text
    for edit in apart:
        one_by_one = edited(one_by_one, [edit])
    assert edited(text, apart) == one_by_one


def _is_in(path: Path, other: Path) -> bool:
    return len(other) < len(path) and path[: len(other)] == other
