"""Hints for expressions that are not SQL: what people write who know OData, another language or another database."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

__all__ = ["FOREIGN_FUNCTIONS", "hints", "in_plain_words"]

_QUOTED: Final = re.compile(r"""'(?:[^']|'')*'|"[^"]*\"""")
_ODATA: Final = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_OTHER_SIGNS: Final = {"&&": "AND", "!=": "", "!": "NOT", "===": "="}
_CLAUSE: Final = re.compile(r"\s*(select|where|from|if|case when .* from)\b", re.IGNORECASE)

FOREIGN_FUNCTIONS: Final = {
    **dict.fromkeys(("charindex", "patindex", "indexof", "find", "locate"), "strpos(text, part)"),
    **dict.fromkeys(("iif", "decode_case", "if"), "CASE WHEN … THEN … ELSE … END"),
    **dict.fromkeys(("nvl", "ifnull"), "coalesce(a, b)"),
    **dict.fromkeys(("convert", "to_number", "value"), "try_cast(value AS type)"),
    **dict.fromkeys(("to_date", "str_to_date", "parse_date"), "try_strptime(text, format)"),
    **dict.fromkeys(("to_char", "date_format"), "strftime(date, format)"),
    **dict.fromkeys(("dateadd", "adddays"), "date_add(date, interval)"),
    **dict.fromkeys(("len", "datalength", "strlength"), "length(text)"),
    **dict.fromkeys(("startswith", "startwith"), "starts_with(text, part)"),
    **dict.fromkeys(("endswith", "endwith"), "ends_with(text, part)"),
    **dict.fromkeys(("substringof", "includes"), "contains(text, part)"),
    **dict.fromkeys(("tolower", "lowercase"), "lower(text)"),
    **dict.fromkeys(("toupper", "uppercase"), "upper(text)"),
    **dict.fromkeys(("concatenate", "join", "textjoin"), "concat_ws(separator, a, b)"),
    **dict.fromkeys(("mid", "substr_of"), "substring(text, start, length)"),
}
"""A function of another database, of Excel or of OData -> how it is written here."""

_TYPES: Final = (
    (r"VARCHAR|STRING_LITERAL", "text"),
    (r"\w*INT\w*|DECIMAL.*|DOUBLE|FLOAT|NUMERIC.*|INTEGER_LITERAL", "a number"),
    (r"TIMESTAMP.*|DATE|TIME.*", "a date"),
    (r"BOOLEAN", "true or false"),
)
_REMEDIES: Final = {
    "a number": ("number", "DOUBLE"),
    "a date": ("date", "TIMESTAMP"),
    "true or false": ("bool", "BOOLEAN"),
}
_COMPARED: Final = re.compile(r"Cannot compare values of type (.+?) and type (.+?) - an explicit cast")


def hints(text: str, names: Collection[str]) -> str:
    """Sentences about a text that is not SQL, each after a semicolon; empty if nothing is recognised.

    Args:
        text: What the user wrote.
        names: The columns.
    """
    return "".join(f"; {hint}" for hint in _hints(text, names))


def _hints(text: str, names: Collection[str]) -> Iterator[str]:
    bare = _QUOTED.sub("''", text)
    known = {name.lower() for name in names}
    words = dict.fromkeys(word.lower() for word in re.findall(r"[A-Za-z_]\w*", bare))
    if odata := [word for word in words if word in _ODATA and word not in known]:
        yield f"OData writes {' and '.join(odata)}, SQL writes {' and '.join(_ODATA[word] for word in odata)}"
    signs = dict.fromkeys(re.findall(r"&&|!==?|===|!", bare))
    if other := [sign for sign in signs if _OTHER_SIGNS.get(sign)]:
        yield f"SQL writes {' and '.join(_OTHER_SIGNS[sign] for sign in other)}, not {' and '.join(other)}"
    if _CLAUSE.match(bare):
        yield "write only the expression, without SELECT, FROM, WHERE or IF"
    yield from _unbalanced(bare)
    for name in sorted(names):
        if not re.fullmatch(r"\w+", name) and name.lower() in bare.lower():
            yield f'write the name of this column in double quotes: "{name}"'


def _unbalanced(bare: str) -> Iterator[str]:
    if "'" in bare.replace("''", ""):
        yield "a closing single quote is missing"
    opened, closed = bare.count("("), bare.count(")")
    if opened != closed:
        yield f"it has {opened} opening and {closed} closing brackets"


def in_plain_words(message: str) -> str:
    """A message of DuckDB about types, without the names of its types; any other message as it is."""
    if (found := _COMPARED.search(message)) is None:
        return message
    left, right = (_type(found[side]) for side in (1, 2))
    other = right if left == "text" else left
    if "text" in (left, right) and other in _REMEDIES:
        kind, sql = _REMEDIES[other]
        return f"{left} is compared with {right}: give the column type: {kind}, or write try_cast(column AS {sql})"
    return f"{left} is compared with {right}: write both sides as the same type, with CAST(… AS type)"


def _type(name: str) -> str:
    return next((words for pattern, words in _TYPES if re.fullmatch(pattern, name)), name)
