"""The syntax of OData filters, as far as it can be seen without the service: brackets, quotes, and SQL in their place.

The operators are those of https://learn.microsoft.com/power-apps/developer/data-platform/webapi/query/filter-rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shared.definitions.loading.located import PathProblem, TypedValue
from shared.definitions.models.base import Language

__all__ = ["filter_problems"]

_TOKEN: Final = re.compile(
    r"""'(?:[^']|'')*'|(?P<open>'.*)|(?P<double>"[^"]*"?)|(?P<sign><>|!=|<=|>=|==|&&|\|\||[<>=!])|@\w+|[A-Za-z_][\w./]*|\S""",
    re.DOTALL,
)
_SIGNS: Final = {
    "=": "eq", "==": "eq", "<>": "ne", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge",
    "&&": "and", "||": "or", "!": "not",
}  # fmt: skip
_WORDS: Final = {
    "like": "contains(column, 'text') or startswith(column, 'text')",
    "between": "column ge 1 and column le 9",
    "is": "column eq null, or column ne null",
}
_JOINING: Final = frozenset({"and", "or", "not"})


def filter_problems(found: Iterable[TypedValue]) -> Iterator[PathProblem]:
    """Every mistake in the OData filters of a document; of each filter, one of each kind."""
    for each in found:
        if each.language is Language.ODATA and isinstance(each.value, str):
            for message in dict.fromkeys(_mistakes(each.value)):
                yield PathProblem(path=each.path, message=message, at_value=True)


def _mistakes(condition: str) -> Iterator[str]:
    matches = [*_TOKEN.finditer(condition)]
    tokens = [match[0] for match in matches]
    if any(match["open"] for match in matches):
        yield "a closing single quote is missing in this filter"
        return
    if any(match["double"] for match in matches):
        yield "in a filter text stands in single quotes, as in name eq 'One'"
    yield from _sql(tokens, [place for place, match in enumerate(matches) if match["sign"]])
    opened, closed = tokens.count("("), tokens.count(")")
    if opened != closed:
        yield f"this filter has {opened} opening and {closed} closing brackets"


def _sql(tokens: Sequence[str], signs: Iterable[int]) -> Iterator[str]:
    wrong = dict.fromkeys(tokens[place] for place in signs if not _names_an_argument(tokens, place))
    if wrong:
        ours = " and ".join(dict.fromkeys(_SIGNS[sign] for sign in wrong))
        yield f"this filter is OData and not SQL: OData writes {ours}, not {' and '.join(wrong)}"
    for token in tokens:
        if token.lower() in _WORDS:
            instead = _WORDS[token.lower()]
            yield f"this filter is OData and not SQL: OData has no {token.lower()}; write {instead}"


def _names_an_argument(tokens: Sequence[str], place: int) -> bool:
    """Whether a sign is the `=` behind an argument's name, as in ``Microsoft.Dynamics.CRM.In(PropertyName='city')``."""
    if tokens[place] != "=" or place < 2 or tokens[place - 2] not in {"(", ","}:  # noqa: PLR2004 - a name and what is before
        return False
    depth = 0
    for index in range(place - 1, -1, -1):
        depth += (tokens[index] in ")]") - (tokens[index] in "([")
        if depth < 0:
            before = tokens[index - 1] if index else ""
            return bool(re.fullmatch(r"[A-Za-z_][\w./]*", before)) and before.lower() not in _JOINING
    return False
