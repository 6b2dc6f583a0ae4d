"""What is said about a text that is not YAML: the line that is to be changed, and how.

PyYAML's own messages repeat what they found: an alias, a tag, a character. That may be a secret, so each one is
replaced. Its positions are where reading stopped, which is often far below the mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from yaml.error import MarkedYAMLError

__all__ = ["explained_syntax"]

_KINDS: Final = (
    ("found character '\\t'", "indentation cannot use tabs; use spaces"),
    ("cannot start any token", "text cannot start with this character; put the whole text in quotes"),
    ("undefined alias", "* starts an alias, and none has this name; put text that starts with * in quotes"),
    ("alphabetic or numeric character", "put text that starts with * or & in quotes"),
    ("mapping values are not allowed", "a key is not allowed here; put text that contains a colon in quotes"),
    ("escape", r"\ starts an escape in double quotes; write \\ for a backslash, or use single quotes"),
    ("another document", "a file holds one definition; a second document starts here"),
    ("end of stream", "a closing quote is missing"),
    ("stream end", "a closing bracket or quote is missing"),
    ("occurrence", "this anchor (&) is given twice"),
    ("but found ','", "text cannot start with a comma; put the whole text in quotes"),
    ("but got ':'", "a comma or the closing bracket is missing here; put text that contains a colon in quotes"),
    ("expected ','", "a comma or the closing bracket is missing after this value"),
    ("<block end>", "the indentation does not match the lines above; check indentation and quotes"),
    ("expected ':'", "a key needs a colon after it; check quotes and indentation"),
    ("tag", "a tag (!) has no meaning here"),
)
_ABOUT_INDENTATION: Final = ("mapping values are not allowed", "<block end>", "expected ':'")
_ABOUT_BRACKETS: Final = ("expected ','", "stream end")
_GLUED: Final = re.compile(r"\s*(?:- +)?[A-Za-z_]\w*(:)[^\s:/]")
_QUOTED: Final = re.compile(r"""'(?:[^']|'')*(?P<single>'?)|"(?:[^"\\]|\\.)*(?P<double>"?)|(?P<comment>(?<!\S)#.*)""")
_MOST_LINES: Final = 20_000

Place = tuple[int, int]
"""Line and column, both from 1."""


def explained_syntax(text: str, error: MarkedYAMLError) -> tuple[str, Place]:
    """The message about a syntax error, and the place of what is to be changed.

    Args:
        text: The whole text.
        error: What the parser raised.
    """
    lines = text.splitlines()[:_MOST_LINES]
    said = f"{error.problem} {error.context}"
    found = (
        _open_quote(lines, error)
        or _odd_quotes(lines, said, error)
        or _open_bracket(said, error)
        or _indentation(lines, said, error)
    )
    if found is None:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        found = next((ours for theirs, ours in _KINDS if theirs in said), "check indentation and quotes"), place
    message, place = found
    return f"this cannot be read as YAML: {message}", place


def _open_quote(lines: Sequence[str], error: MarkedYAMLError) -> tuple[str, Place] | None:
    """A quote that its own line does not close: the parser goes on to the next quote, or to the end of the file."""
    mark = error.problem_mark
    if mark is None or "escape" in f"{error.problem}":
        return None
    for number, line in enumerate(lines[: mark.line + 1], start=1):
        if column := _unclosed(line):
            return "the quote that opens here has no closing quote in its line", (number, column)
    return None


def _odd_quotes(lines: Sequence[str], said: str, error: MarkedYAMLError) -> tuple[str, Place] | None:
    """Quotes of two kinds in each other hide the one that is not closed, but not their number."""
    mark = error.problem_mark
    if mark is None or mark.line >= len(lines) or not any(kind in said for kind in _ABOUT_BRACKETS):
        return None
    count = lines[mark.line].replace('\\"', "").count('"')
    if count % 2 == 0:
        return None
    return f"a double quote is missing in this line, which has {count}", (mark.line + 1, mark.column + 1)


def _unclosed(line: str) -> int:
    """The column, from 1, of a quote that a line opens and does not close; 0 if there is none.

    A quote counts where a value can begin; elsewhere it is an apostrophe of a text without quotes.
    """
    place = 0
    while (found := _QUOTED.search(line, place)) is not None:
        if found["comment"] is not None:
            return 0
        if not re.search(r"(?:^|[\s\[{,:])$", line[: found.start()]):
            place = found.start() + 1
            continue
        if not (found["single"] or found["double"]):
            return found.start() + 1
        place = found.end()
    return 0


def _open_bracket(said: str, error: MarkedYAMLError) -> tuple[str, Place] | None:
    """A bracket that is still open in a later line, where the parser finds the next key."""
    opened, stopped = error.context_mark, error.problem_mark
    if opened is None or stopped is None or opened.line == stopped.line:
        return None
    if "flow" not in said or not any(kind in said for kind in _ABOUT_BRACKETS):
        return None
    return "the bracket that opens here has no closing bracket", (opened.line + 1, opened.column + 1)


def _indentation(lines: Sequence[str], said: str, error: MarkedYAMLError) -> tuple[str, Place] | None:
    mark = error.problem_mark
    if mark is None or mark.line >= len(lines) or not any(kind in said for kind in _ABOUT_INDENTATION):
        return None
    line = lines[mark.line]
    if line[: mark.column].strip() and "mapping values" not in said:
        return None  # it is about something within the line
    if (before := _before(lines, mark.line)) is None:
        return None
    if glued := _GLUED.match(lines[before]):
        return "a key needs a blank after its colon", (before + 1, glued.start(1) + 1)
    depth, place = _depth(line), (mark.line + 1, _depth(line) + 1)
    if _is_item(line) != _is_item(lines[before]) and _depth(lines[before]) == depth:
        return f"lines {before + 1} and {mark.line + 1} are on the same level; {_ONE_KIND}", place
    nearest = _levels(lines, mark.line)
    if nearest and nearest[0][1] != depth:
        compared = (f"{_compared(depth - other)} line {above + 1}" for above, other in nearest)
        return f"line {mark.line + 1} is {' and '.join(compared)}; {_SAME}", place
    return None


_SAME: Final = "lines on the same level start in the same column"
_ONE_KIND: Final = "on one level either every line begins with '- ' (a list) or none does (keys)"


def _before(lines: Sequence[str], number: int) -> int | None:
    """The nearest line above that is neither blank nor a comment."""
    return next(_above(lines, number), None)


def _above(lines: Sequence[str], number: int) -> Iterator[int]:
    for place in range(number - 1, -1, -1):
        if lines[place].strip() and not lines[place].lstrip().startswith("#"):
            yield place


def _levels(lines: Sequence[str], number: int) -> list[tuple[int, int]]:
    """The open levels nearest to the depth of a line, each as a line above and its depth; two if they are as near."""
    depth, item = _depth(lines[number]), _is_item(lines[number])
    found: list[tuple[int, int]] = []
    least = 1 << 30
    for place in _above(lines, number):
        # A key beside `- ` is two levels: the item's, and that of its keys.
        own = _depth(lines[place])
        inner = own + len(lines[place][own:]) - len(lines[place][own:].removeprefix("-").lstrip(" "))
        levels = {inner: False, own: True} if _is_item(lines[place]) else {own: False}
        found += [(place, other) for other, of_items in levels.items() if other < least and of_items == item]
        least = min(least, own)
        if own == 0:
            break
    nearest = min((abs(other - depth) for _, other in found), default=0)
    return [(place, other) for place, other in found if abs(other - depth) == nearest]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_item(line: str) -> bool:
    return line.lstrip(" ").startswith("- ")


def _compared(spaces: int) -> str:
    amount = "one space" if abs(spaces) == 1 else f"{abs(spaces)} spaces"
    return f"{amount} deeper than" if spaces > 0 else f"{amount} less deep than"
